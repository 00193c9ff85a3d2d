"""A question to the API, and the answer as it came: what it says of an error, and how that may be shown.

Nothing that a server says is repeated before `quotable` has taken the key out of it. No I/O.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cached_property
from html import unescape
from typing import Any

import httpx

LIST = "/chat/completions"
ORGANIZATION = "/organization"


@dataclass(frozen=True)
class Ask:
    """A question: a path below the base URL, and its query; answers of more than `most_bytes` are not wanted."""

    path: str
    query: Mapping[str, str | Sequence[str]]
    most_bytes: int | None = None

    @property
    def after(self) -> str | None:
        after = self.query.get("after")
        return after if isinstance(after, str) else None

    @property
    def is_of_organization(self) -> bool:
        return self.path.startswith(ORGANIZATION)


@dataclass(frozen=True)
class Reply:
    """An answer as it came from the base URL `url`; `said`, `kind` and `request_id`
    may be shown to anyone, the rest may not."""

    ask: Ask
    url: httpx.URL
    api_key: str = field(repr=False)
    response: httpx.Response
    body: bytes

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def date(self) -> int | None:
        return unix_seconds(self.response.headers.get("date"))

    @property
    def request_id(self) -> str | None:
        name = self.response.headers.get("x-request-id") or self.response.headers.get("apim-request-id")
        return self.quotable(name) if name else None

    @cached_property
    def error(self) -> dict[str, str]:
        """message, code, type and param, each "" when it is not given."""
        return _error_fields(self.body)

    @property
    def said(self) -> str:
        message = self.error["message"]
        return self.said_with(f'"{self.quotable(message)}"' if message else self.kind, self.error["code"])

    def said_with(self, what: str, code: str = "") -> str:
        marks = [self.quotable(code), f"request {self.request_id}" if self.request_id else ""]
        known = ", ".join(filter(None, marks))
        return f"{self.url.host} answered {self.status} {what}" + (f" ({known})" if known else "")

    @property
    def kind(self) -> str:
        """What a body without an error message is; of a page its title, of anything else no word."""
        start = self.body[:20_000].decode(errors="replace").lstrip("\ufeff \t\r\n")
        if not start:
            return "with an empty body"
        if not start.startswith("<"):
            return f"with {len(self.body)} bytes"
        title = re.search(r"<title[^>]*>(.*?)</title", start, re.I | re.S)
        return "with an HTML page" + (f' titled "{self.quotable(unescape(title[1]))}"' if title else "")

    def names(self, *words: str) -> bool:
        """Whether the error is about one of `words`: by its `param`, and without one by its message."""
        if self.error["param"]:
            return self.error["param"].split(".")[-1] in words
        pattern = "|".join(re.escape(word) for word in words if word)
        return re.search(rf"(?<!\w)({pattern})(?!\w)", self.error["message"], re.I) is not None

    def quotable(self, text: str) -> str:
        return quotable(text, self.api_key)


def unix_seconds(date: str | None) -> int | None:
    """Of an HTTP date; None where it is none."""
    try:
        moment = parsedate_to_datetime(date or "")
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _error_fields(body: bytes) -> dict[str, str]:
    """message, code, type and param of an error body, in any of the shapes that servers send."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    error: Any = found.get("error", found) if isinstance(found, dict) else None
    if not isinstance(error, dict):
        error = {"message": error}
    error = {**error, "message": error.get("message") or error.get("detail")}
    return {name: _text(error.get(name)) for name in ("message", "code", "type", "param")}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def quotable(text: str, key: str) -> str:
    """At most 300 printable characters of `text` in one line, without the key, a part of it, or
    anything that looks like one."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:10_000]).split())
    parts = {key[start : start + 8] for start in range(max(len(key) - 7, 1))}
    words = (
        "[key]" if any(part in word for part in parts) or re.search(r"\bsk-\w|\*{3}", word) else word
        for word in line.split(" ")
    )
    shown = " ".join(words)
    return shown if len(shown) <= 300 else f"{shown[:299]}…"
