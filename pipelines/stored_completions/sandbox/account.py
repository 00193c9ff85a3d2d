"""What is stored: completions byte for byte, their input messages, and from when they can be seen."""

import gzip
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from io import BufferedReader
from pathlib import Path
from threading import RLock
from typing import Any, Self

import msgspec

from .generate import UNTIL, generate
from .rows import Message, Ordered, Row

_LONGEST_INTEGER = 4000


class _Head(msgspec.Struct):
    """What a row is found by."""

    id: Any = None
    created: Any = None
    model: Any = None
    metadata: Any = None


class _Entry(msgspec.Struct):
    """A line that wraps its completion."""

    completion: msgspec.Raw = msgspec.Raw()
    choices: msgspec.Raw = msgspec.Raw()
    messages: list[dict[str, Any]] | None = None
    visible_at: float | None = None
    at: int | None = None


class Account:
    """One project's stored completions. Every method may be called from any thread."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._stored = Ordered()
        self._by_id: dict[str, Row] = {}
        self._filtered: dict[tuple[str | None, tuple[tuple[str, str], ...]], Ordered] = {}

    @classmethod
    def generate(
        cls,
        completions: int = 500,
        *,
        seed: int = 0,
        until: int = UNTIL,
        per_second: int | None = None,
        logprob_share: float = 0.05,
        tokens: int | None = None,
        top_logprobs: int | None = None,
    ) -> Self:
        """An invented company's account, the same for the same arguments.

        until          unix second of the newest row
        per_second     exactly this many rows in each of consecutive seconds; None: 45 days of office hours
        logprob_share  share of rows with logprobs
        tokens         how many tokens each of those has; None: as many as its text gives
        top_logprobs   how many alternatives each of its tokens has; None: 0, 2, 5 or 20, row by row
        """
        account = cls()
        rows = generate(
            completions,
            seed=seed,
            until=until,
            per_second=per_second,
            logprob_share=logprob_share,
            tokens=tokens,
            top_logprobs=top_logprobs,
        )
        account._extend(rows)
        return account

    @classmethod
    def from_ndjson(cls, path: str | Path) -> Self:
        """The completions of a file, one a line (gzipped if it ends in .gz), as `add_lines` takes them."""
        account = cls()
        with _opened(path) as lines:
            account.add_lines(lines)
        return account

    def add(
        self,
        completion: Mapping[str, Any] | bytes,
        *,
        messages: Sequence[Message] | None = None,
        visible_at: float | None = None,
        at: int | None = None,
    ) -> None:
        """Stores a completion, however broken; bytes are served as they are.

        It stands at second `at`, else at its `created`, else beside the newest row.
        Where ids repeat, all are listed and the one added last answers to the id.
        """
        body = completion if isinstance(completion, bytes) else _encode(completion)
        head = _head(body)
        with self.lock:
            row = Row(
                id=head.id if isinstance(head.id, str) else None,
                second=self._second(head.created) if at is None else at,
                body=body,
                model=head.model if isinstance(head.model, str) else None,
                metadata=head.metadata if isinstance(head.metadata, dict) else {},
                visible_at=visible_at,
                messages=messages,
            )
            self._stored.insert(row)
            self._remember(row)

    def add_lines(self, lines: Iterable[bytes]) -> int:
        """Stores completions from JSON lines; returns how many.

        A line is a completion, or `{"completion": …, "messages": …, "visible_at": …, "at": …}`.
        """
        return sum(self._add_line(line) for line in map(bytes.strip, lines) if line)

    def delete(self, completion_id: str) -> bool:
        """Whether it was there to be deleted."""
        with self.lock:
            row = self._by_id.pop(completion_id, None)
            if row is not None:
                self._stored.remove(row)
                self._filtered.clear()
            return row is not None

    def update_metadata(self, completion_id: str, metadata: Mapping[str, str]) -> None:
        """Replaces a completion's metadata; KeyError if it is not there."""
        with self.lock:
            row = self._by_id[completion_id]
            row.metadata = dict(metadata)
            row.body = _encode({**_decode(row.body), "metadata": row.metadata})
            self._filtered.clear()

    def ids(self) -> list[str]:
        """Every usable id, oldest first."""
        with self.lock:
            return [row.id for row in self._stored.rows if row.id is not None]

    def completions(self) -> list[dict[str, Any]]:
        """Every completion, visible or not, oldest first."""
        with self.lock:
            return [_decode(row.body) for row in self._stored.rows]

    def __len__(self) -> int:
        return len(self._stored)

    def newest(self) -> int | None:
        """The latest second of any row."""
        with self.lock:
            return self._stored.rows[-1].second if self._stored.rows else None

    def row(self, completion_id: str, now: float) -> Row | None:
        """The row that answers to this id at this time."""
        row = self._by_id.get(completion_id)
        return row if row is not None and row.is_visible(now) else None

    def rows(self, model: str | None = None, metadata: Iterable[tuple[str, str]] = ()) -> Ordered:
        """The rows that a filter lets through. Hold `lock` while reading them."""
        pairs = tuple(sorted(metadata))
        if model is None and not pairs:
            return self._stored
        if (model, pairs) not in self._filtered:
            self._filtered[model, pairs] = Ordered(
                row for row in self._stored.rows if row.matches(model, pairs)
            )
        return self._filtered[model, pairs]

    def _extend(self, rows: Iterable[Row]) -> None:
        with self.lock:
            self._stored = Ordered([*self._stored.rows, *rows])
            self._by_id.update((row.id, row) for row in self._stored.rows if row.id is not None)
            self._filtered.clear()

    def _remember(self, row: Row) -> None:
        if row.id is not None:
            self._by_id[row.id] = row
        self._filtered.clear()

    def _add_line(self, line: bytes) -> int:
        entry = _entry(line)
        self.add(
            bytes(entry.completion) or line,
            messages=entry.messages,
            visible_at=entry.visible_at,
            at=entry.at,
        )
        return 1

    def _second(self, created: object) -> int:
        usable = _number(created)
        return usable if usable is not None else self.newest() or 0


def _opened(path: str | Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path) if str(path).endswith(".gz") else open(path, "rb")


def _number(created: object) -> int | None:
    if isinstance(created, str) and created.isascii() and created.isdigit() and len(created) < 20:
        return int(created)
    if isinstance(created, float) and math.isfinite(created):
        return math.floor(created)
    return created if isinstance(created, int) and not isinstance(created, bool) else None


def _entry(line: bytes) -> _Entry:
    """The line's wrapper; an empty one if the line is itself a completion."""
    try:
        entry = msgspec.json.decode(line, type=_Entry)
    except (msgspec.DecodeError, UnicodeDecodeError):
        entry = _lenient_entry(line)
    return _Entry() if bytes(entry.choices) else entry


def _lenient_entry(line: bytes) -> _Entry:
    """A wrapper around what Python calls JSON and others do not, such as NaN."""
    try:
        said = json.loads(line)
    except ValueError:
        return _Entry()
    if not isinstance(said, dict) or not isinstance(said.get("completion"), dict):
        return _Entry()
    known = {name: said[name] for name in ("messages", "visible_at", "at") if name in said}
    return _Entry(completion=msgspec.Raw(_encode(said["completion"])), **known)


def _head(body: bytes) -> _Head:
    """What can be read of the object; nothing where it is no JSON object."""
    try:
        return msgspec.json.decode(body, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _leniently(body)
    except RecursionError:
        return _Head()


def _leniently(body: bytes) -> _Head:
    try:
        completion = json.loads(body.decode("utf-8", "replace"), parse_int=_integer)
    except (ValueError, RecursionError):
        return _Head()
    if not isinstance(completion, dict):
        return _Head()
    return _Head(**{name: completion.get(name) for name in _Head.__struct_fields__})


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) < _LONGEST_INTEGER else None


def _decode(body: bytes) -> dict[str, Any]:
    completion: dict[str, Any] = json.loads(body)
    return completion


def _encode(completion: Mapping[str, Any]) -> bytes:
    """JSON with every digit kept; lone surrogates, which UTF-8 cannot carry, are escaped."""
    try:
        return json.dumps(completion, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(completion, separators=(",", ":")).encode()
