"""A round: a bounded stretch of the walk that is loaded and committed together with its cursor.

Sorts what a page shows into new, changed, unchanged and set aside, so that a row that did not
change is not written again and a row that is another source's stays theirs.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date

import pyarrow as pa
from msgspec.structs import replace

from stored_completions.completions import Rows
from stored_completions.content.policy import DROPPED, ERASED, KEPT, Policy, is_comparable
from stored_completions.content.stage import treated
from stored_completions.cursor import Cursor
from stored_completions.items import Item
from stored_completions.messages.hashes import Hashes, with_answers
from stored_completions.pages import Entry
from stored_completions.reader import Taken
from stored_completions.store import Held
from stored_completions.tables import Table

Lookup = Callable[[Mapping[str, int | None]], dict[str, Held]]


@dataclass(frozen=True)
class Bounds:
    """When a round is full: completions, and bytes of the pages that showed them. Memory grows with it.

    `seconds` is how long a run goes on before what it has loaded is published. `messages` is the same as
    `completions` for a round of input messages, `publish_every` the seconds after which what such rounds
    loaded is published meanwhile. `patience` is how many seconds in all a first run waits for the server before it
    makes tables, prices and views meanwhile.
    """

    completions: int = 50_000
    bytes: int = 96_000_000
    seconds: float = 60.0
    messages: int = 2_000
    publish_every: float = 600.0
    patience: float = 3.0

    def shared_by(self, rounds: int) -> "Bounds":
        """What each of so many rounds may hold, so that together they need no more memory than one."""
        return dataclasses.replace(
            self, completions=max(1, self.completions // rounds), bytes=max(1, self.bytes // rounds)
        )


@dataclass
class Counts:
    """What a run or a round did, as `sync_runs` names it; `latest_seconds` is how late the latest row was, 0:
    none was; `rows_shared` are another source's, seen here as they are; `rows_returned` were marked as deleted."""

    pages: int = 0
    rows_seen: int = 0
    rows_new: int = 0
    rows_changed: int = 0
    rows_returned: int = 0
    rows_late: int = 0
    latest_seconds: int = 0
    rows_quarantined: int = 0
    rows_shared: int = 0

    def add(self, other: "Counts") -> None:
        latest = max(self.latest_seconds, other.latest_seconds)
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        self.latest_seconds = latest


class Round:
    """Rows of some pages, with the cursor that stands after them.

    `replaced` are the completions, and their days, that the warehouse holds in an older version.
    """

    def __init__(
        self,
        source: str,
        now: int,
        quarantined: set[str],
        bounds: Bounds = Bounds(),
        policy: Policy = KEPT,
    ) -> None:
        """`now` in microseconds; `quarantined` are hashes of objects set aside before, and grows."""
        self.counts = Counts()
        self.cursor: Cursor | None = None
        self.hashes: Hashes | None = None
        self._rows = Rows(source, now)
        self._source = source
        self._bounds = bounds
        self._policy = policy
        self._purged: set[str] = set()
        self._left_alone: set[str] = set()
        self._hashes: dict[str, str] = {}
        self._replaced: dict[str, date | None] = {}
        self._quarantined = quarantined
        self._bytes = 0

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to write but the cursor."""
        return bool(self.counts.rows_new or self.counts.rows_changed or self.counts.rows_quarantined)

    @property
    def ids(self) -> list[str]:
        """Every id that its pages showed."""
        return [*self._hashes, *self._left_alone]

    @property
    def is_full(self) -> bool:
        return self._bytes >= self._bounds.bytes or len(self._hashes) >= self._bounds.completions

    @property
    def replaced(self) -> tuple[list[str], list[date | None]]:
        return list(self._replaced), list(self._replaced.values())

    def tables(self, load_id: str) -> Iterator[tuple[Table, pa.Table]]:
        """Every table with its rows, stamped with dlt's load id, and no content but what is to be kept.

        Before any of it is left out, answers are hashed, if `hashes` are given.
        """
        tables = self._rows.tables(load_id)
        for table, rows in with_answers(tables, self.hashes) if self.hashes else tables:
            yield table, treated(table, rows, self._policy, self._purged)

    def held(self, ids: Iterable[str]) -> dict[str, Held]:
        """Those of the ids that it holds, as the warehouse will once it is loaded."""
        return {
            id_: Held(self._hashes[id_], self._source, 0, None, None, None)
            for id_ in ids
            if id_ in self._hashes
        }

    def add(self, taken: Taken, lookup: Lookup, purged: Collection[str] = ()) -> None:
        """Adds a page; `lookup` says what the warehouse holds of its ids, `purged` which of them were purged."""
        created = {item.completion_id: item.created_column for item in taken.items}
        known = lookup(created)
        self._purged.update(purged)
        items = [_erased(item) if item.completion_id in purged else item for item in taken.items]
        for item in _kept_first(items, known):
            self._add(item, known.get(item.completion_id), taken.late.get(item.completion_id, 0))
        for entry in taken.nameless:
            self._set_aside(entry, _why_nameless(entry))
        self._rows.end_page()
        self.counts.pages += 1
        self.counts.rows_seen += len(taken.items) + len(taken.nameless)
        self.cursor = taken.cursor
        self._bytes += taken.size

    def _add(self, item: Item, known: Held | None, late: int) -> None:
        if known is not None and item.completion_id in self._purged and not self._is_back(known):
            self._left_alone.add(item.completion_id)
            return
        repeated = self._hashes.setdefault(item.completion_id, item.row_hash)
        if repeated is not item.row_hash:
            if repeated != item.row_hash:
                self._set_item_aside(item, "another object of the same listing has its id")
        elif known is None:
            self._rows.add(item)
            self.counts.rows_new += 1
            self.counts.rows_late += late > 0
            self.counts.latest_seconds = max(self.counts.latest_seconds, late)
        elif known.row_hash != item.row_hash or self._is_back(known):
            self._change(item, known)
        else:
            self.counts.rows_shared += known.source != self._source

    def _change(self, item: Item, known: Held) -> None:
        """Replaces what the warehouse holds: only metadata can change, so all else is another object."""
        if known.source != self._source:
            if is_comparable(known.row_hash, item.row_hash):
                self._set_item_aside(item, f"its id belongs to source {known.source}")
        elif known.created != item.created_column:
            self._set_item_aside(item, "its id belongs to a completion of another time")
        else:
            self._rows.add(item, known)
            self._replaced[item.completion_id] = known.created_date
            self.counts.rows_changed += 1
            self.counts.rows_returned += known.is_deleted

    def _is_back(self, known: Held) -> bool:
        """Whether it was found deleted: what is written anew is not."""
        return known.is_deleted and known.source == self._source

    def _set_item_aside(self, item: Item, reason: str) -> None:
        self._set_aside(item.entry, reason, ERASED if item.completion_id in self._purged else self._policy)

    def _set_aside(self, entry: Entry, reason: str, policy: Policy | None = None) -> None:
        """Once, and never again what was purged."""
        digest = (policy or self._policy).body_hash(entry)
        text = DROPPED if policy is ERASED else entry.body
        if not {digest, ERASED.body_hash(entry)} & self._quarantined:
            self._quarantined.add(digest)
            self._rows.set_aside(digest, text, reason)
            self.counts.rows_quarantined += 1


def _why_nameless(entry: Entry) -> str:
    return "it is nested too deeply to be read" if entry.is_too_deep else "it has no usable id"


def _erased(item: Item) -> Item:
    return replace(item, row_hash=ERASED.row_hash(item.entry.members or {}))


def _kept_first(items: list[Item], known: Mapping[str, Held]) -> list[Item]:
    """The items, those that the warehouse holds as they are before others of the same id.

    The order within a second is unstable: whichever came first would else replace the other.
    """
    if not known:
        return items
    return sorted(items, key=lambda item: not _is_held(item, known.get(item.completion_id)))


def _is_held(item: Item, known: Held | None) -> bool:
    return known is not None and known.row_hash == item.row_hash
