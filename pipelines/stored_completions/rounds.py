"""A round: a bounded stretch of the walk that is loaded and committed together with its cursor.

Sorts what a page shows into new, changed, unchanged and set aside, so that a row that did not
change is not written again and a row that is another source's stays theirs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256

from stored_completions.completions import Item, Known, Rows, body
from stored_completions.cursor import Cursor
from stored_completions.reader import Taken

Lookup = Callable[[Sequence[str], Sequence[int | None]], dict[str, Known]]

_MOST_ROWS = 20_000
_MOST_BYTES = 64_000_000


@dataclass
class Counts:
    """What a run or a round did, as `sync_runs` names it."""

    pages: int = 0
    rows_seen: int = 0
    rows_new: int = 0
    rows_changed: int = 0
    rows_late: int = 0
    rows_quarantined: int = 0

    def add(self, other: "Counts") -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


class Round:
    """Rows of some pages, with the cursor that stands after them.

    `has_changes` says whether anything is to be written; `is_new` whether all of it is new to the
    warehouse, so that it can be appended instead of merged.
    """

    def __init__(self, source: str, now: int, quarantined: Iterable[str]) -> None:
        """`now` in microseconds; `quarantined` are hashes of objects set aside before."""
        self.rows = Rows(source, now)
        self.counts = Counts()
        self.cursor: Cursor | None = None
        self.is_new = True
        self._source = source
        self._hashes: dict[str, str] = {}
        self._quarantined = set(quarantined)
        self._bytes = 0

    @property
    def has_changes(self) -> bool:
        return bool(self.counts.rows_new or self.counts.rows_changed or self.counts.rows_quarantined)

    @property
    def is_full(self) -> bool:
        return self._bytes >= _MOST_BYTES or len(self._hashes) >= _MOST_ROWS

    def add(self, taken: Taken, lookup: Lookup) -> None:
        """Adds a page; `lookup` says what the warehouse holds of its ids."""
        known = lookup([item.completion_id for item in taken.items], [item.created for item in taken.items])
        for item in taken.items:
            self._add(item, known.get(item.completion_id), item.completion_id in taken.late)
        for entry in taken.nameless:
            self._set_aside(body(entry), "it has no usable id")
        self.rows.end_page()
        self.counts.pages += 1
        self.counts.rows_seen += len(taken.items) + len(taken.nameless)
        self.cursor = taken.cursor
        self._bytes += taken.size

    def _add(self, item: Item, known: Known | None, is_late: bool) -> None:
        row_hash = item.row_hash
        repeated = self._hashes.setdefault(item.completion_id, row_hash)
        if repeated is not row_hash:
            if repeated != row_hash:
                self._set_aside(body(item.fields), "another object of the same listing has its id")
        elif known is None:
            self.rows.add(item)
            self.counts.rows_new += 1
            self.counts.rows_late += is_late
        elif known.row_hash == row_hash:
            return
        elif known.source == self._source:
            self.rows.add(item, known)
            self.counts.rows_changed += 1
            self.is_new = False
        else:
            self._set_aside(body(item.fields), f"its id belongs to source {known.source}")

    def _set_aside(self, text: str, reason: str) -> None:
        digest = sha256(text.encode()).hexdigest()
        if digest not in self._quarantined:
            self._quarantined.add(digest)
            self.rows.set_aside(digest, text, reason)
            self.counts.rows_quarantined += 1
