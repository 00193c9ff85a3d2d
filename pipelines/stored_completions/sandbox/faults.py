"""What can go wrong between a client and the API, on demand: one fault spoils one request."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from threading import Lock
from typing import Any, Literal

from . import answers
from .answers import Answer

_MESSAGES = {
    400: "The request was malformed.",
    403: "You are not allowed to do this.",
    408: "The request timed out.",
    409: "The request conflicted with another one.",
    429: "Rate limit reached. Please try again later.",
    500: "The server had an error while processing your request. Sorry about that!",
    502: "Bad gateway.",
    503: "The engine is currently overloaded, please try again later.",
    504: "The gateway timed out.",
}
_CODES = {429: "rate_limit_exceeded", 503: "server_overloaded"}


@dataclass(frozen=True)
class Fault:
    """One spoilt request; made by the class methods below.

    answer  what is sent in place of the API's answer; None: the API's own
    delay   seconds to wait before anything is sent
    keep    share of the answer's body that is sent before the connection ends; None: all of it
    end     how it then ends: the other side is told ("close") or the line is cut ("reset")
    path    only a request whose path contains this text meets the fault; None: any
    """

    answer: Answer | None = None
    delay: float = 0.0
    keep: float | None = None
    end: Literal["close", "reset"] = "close"
    path: str | None = None

    @classmethod
    def none(cls) -> Fault:
        """The API's answer untouched: a step of a script where nothing goes wrong."""
        return cls()

    @classmethod
    def status(
        cls,
        status: int,
        body: str | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fault:
        """Any status; a body of text or JSON, or OpenAI's error shape if none is given."""
        if body is None:
            return cls(replace(_error(status), headers=headers or {}))
        text, kind = (body, "text/plain") if isinstance(body, str) else (json.dumps(body), answers.JSON)
        return cls(Answer(status, text.encode(), kind, headers or {}))

    @classmethod
    def rate_limited(
        cls,
        retry_after_ms: float | None = None,
        retry_after: float | None = None,
        retry_at: float | None = None,
    ) -> Fault:
        """A 429 that may say when to come back: in milliseconds, in seconds, or at a unix second,
        which is sent as an HTTP date."""
        said = {
            "retry-after-ms": None if retry_after_ms is None else f"{retry_after_ms:g}",
            "retry-after": None if retry_after is None else f"{retry_after:g}",
        }
        if retry_at is not None:
            said["retry-after"] = formatdate(retry_at, usegmt=True)
        return cls.status(429, headers={name: value for name, value in said.items() if value is not None})

    @classmethod
    def quota(cls) -> Fault:
        """The 429 that no waiting mends."""
        words = (
            "You exceeded your current quota, please check your plan and billing details. For more "
            "information on this error, read the docs: "
            "https://platform.openai.com/docs/guides/error-codes/api-errors."
        )
        return cls(answers.error(429, words, kind="insufficient_quota", code="insufficient_quota"))

    @classmethod
    def cut(cls, keep: float = 0.5) -> Fault:
        """The body ends short of its Content-Length."""
        return cls(keep=keep)

    @classmethod
    def reset(cls, keep: float | None = None) -> Fault:
        """The connection is reset: before any answer, or after a share of the body."""
        return cls(keep=-1.0 if keep is None else keep, end="reset")

    @classmethod
    def close(cls) -> Fault:
        """The connection is closed without an answer."""
        return cls(keep=-1.0)

    @classmethod
    def html(cls, status: int = 200) -> Fault:
        """A web page, as from a proxy."""
        page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
        return cls(Answer(status, page.encode(), "text/html; charset=utf-8"))

    @classmethod
    def not_json(cls) -> Fault:
        """A 200 that calls itself JSON and is none."""
        return cls(Answer(200, b'{"object":"list","data":[{"id":'))

    @classmethod
    def not_a_list(cls) -> Fault:
        """A 200 with a body that is JSON of something else."""
        return cls(Answer(200, b'{"status":"ok"}'))

    @classmethod
    def slow(cls, seconds: float) -> Fault:
        """The API's answer, late."""
        return cls(delay=seconds)

    @classmethod
    def redirect(cls, location: str, status: int = 307) -> Fault:
        return cls(Answer(status, b"", headers={"Location": location}))

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Fault:
        """From JSON: `{"fault": "cut", "keep": 0.2, "path": "/messages"}`, the names being those above."""
        arguments = dict(said)
        name, path = arguments.pop("fault"), arguments.pop("path", None)
        if name not in NAMES:
            raise ValueError(f"There is no fault {name!r}; there are: {', '.join(NAMES)}.")
        make = getattr(cls, name)
        takes = inspect.signature(make)
        try:
            takes.bind(**arguments)
        except TypeError as error:
            raise ValueError(
                f"Fault {name!r}: {error}; it takes: {', '.join(takes.parameters) or 'nothing'}."
            ) from None
        fault: Fault = make(**arguments)
        return fault.on(path)

    def on(self, path: str | None) -> Fault:
        """The same fault for requests whose path contains this text."""
        return replace(self, path=path)


NAMES = (
    "none",
    "status",
    "rate_limited",
    "quota",
    "cut",
    "reset",
    "close",
    "html",
    "not_json",
    "not_a_list",
    "slow",
    "redirect",
)


class Faults:
    """The faults still to come; each request takes the first that is meant for its path."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = Lock()

    def extend(self, faults: Iterable[Fault]) -> None:
        with self._lock:
            self._waiting.extend(faults)

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def take(self, path: str) -> Fault:
        """The fault for a request of this path; `Fault.none()` if there is none."""
        with self._lock:
            for place, fault in enumerate(self._waiting):
                if fault.path is None or fault.path in path:
                    return self._waiting.pop(place)
        return Fault.none()

    def __len__(self) -> int:
        return len(self._waiting)


def _error(status: int) -> Answer:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return answers.error(
        status,
        _MESSAGES.get(status, f"Status {status}."),
        kind="requests" if status == 429 else kind,
        code=_CODES.get(status),
    )
