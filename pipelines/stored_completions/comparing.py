"""The warehouse beside the API's own list: what is missing here, and what is here and should not be.

Only what the sync claims is judged: completions of one source and filter, created in the time that it
calls covered and settled. Nothing is written; the ids that were listed stand in a temporary table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import duckdb

from stored_completions.absence import Absence, Scope, absent, asked, controls, is_believed, measure
from stored_completions.client import Client
from stored_completions.config import Settings
from stored_completions.content.policy import is_comparable
from stored_completions.course import Course
from stored_completions.cursor import Cursor
from stored_completions.deletions import doubt
from stored_completions.errors import WarehouseError
from stored_completions.items import Item
from stored_completions.progress import Watcher
from stored_completions.reader import Filter, Taken, pages
from stored_completions.stop import Stop
from stored_completions.store import Held, Store

_MOST_NAMED = 1_000
_SEEN = "temp.listed_ids"
_MEANINGS = {
    "missing": "listed by the API, but not here",
    "edited": "listed with other values than here",
    "deleted": "here, but gone at the API (404), and not marked so",
    "returned": "marked as deleted here, but listed",
    "unexpected": "here and not listed, although they answer to their id",
}


@dataclass
class Named:
    """How many completions differ in one way, and the ids of the first of them."""

    count: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            self.count += 1
            if len(self.ids) < _MOST_NAMED:
                self.ids.append(id_)


@dataclass
class Comparison:
    """What came of it; `not_due` completions are listed that the sync does not claim to have yet.

    `doubt` says why the list cannot be held against the warehouse's completions.
    """

    source: str
    covered_from: datetime | None
    settled_at: datetime
    listed: int = 0
    not_due: int = 0
    expired: int = 0
    unsure: int = 0
    missing: Named = field(default_factory=Named)
    edited: Named = field(default_factory=Named)
    deleted: Named = field(default_factory=Named)
    returned: Named = field(default_factory=Named)
    unexpected: Named = field(default_factory=Named)
    doubt: str | None = None

    @property
    def is_sound(self) -> bool:
        return self.doubt is None and not any(named.count for _, _, named in self.differences())

    def differences(self) -> list[tuple[str, str, Named]]:
        """Each way to differ: its name, what it means, and which completions do."""
        return [(name, meaning, getattr(self, name)) for name, meaning in _MEANINGS.items()]

    def as_json(self) -> dict[str, Any]:
        times = {"covered_from": self.covered_from, "settled_at": self.settled_at}
        return {
            **asdict(self),
            **{name: at.isoformat() if at else None for name, at in times.items()},
            "is_sound": self.is_sound,
        }


def compare(
    connection: duckdb.DuckDBPyConnection,
    client: Client,
    settings: Settings,
    cursor: Cursor,
    watcher: Watcher,
    stop: Stop,
) -> Comparison:
    """Lists everything and compares it with the warehouse as `cursor` left it; what stops the list is raised."""
    settled = cursor.settled.short, cursor.settled.long
    if None in settled:
        raise WarehouseError(
            f"No sync of source {settings.source!r} with this filter has come to its end, so there is nothing to hold "
            f"against the API: run `stored-completions sync` first."
        )
    return _Comparing(connection, client, settings, cursor, watcher, stop).run()


class _Comparing:
    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        client: Client,
        settings: Settings,
        cursor: Cursor,
        watcher: Watcher,
        stop: Stop,
    ) -> None:
        self._connection = connection
        self._client = client
        self._settings = settings
        self._watcher = watcher
        self._stop = stop
        self._store = Store(connection)
        self._since = cursor.covered_from
        self._until = min(at for at in (cursor.settled.short, cursor.settled.long) if at is not None)
        self._began_at = datetime.now(UTC)
        since = None if self._since is None else datetime.fromtimestamp(self._since, UTC)
        self._found = Comparison(settings.source, since, datetime.fromtimestamp(self._until, UTC))

    def run(self) -> Comparison:
        self._connection.execute(
            "create or replace temp table listed_ids (key varchar, completion_id varchar)"
        )
        course = Course(Cursor(), self._settings.pace, int(self._began_at.timestamp()), newest_first=False)
        number = 0
        for number, taken in enumerate(self._pages(course), 1):
            self._take(taken)
            self._watcher.page(number, self._found.listed, taken.cursor.newest)
            self._check_stop()
        self._judge_absent(course.incomplete)
        return self._found

    def _pages(self, course: Course) -> Iterable[Taken]:
        settings = self._settings
        return pages(self._client, course, settings.query, hashed=settings.content.hashed)

    def _take(self, taken: Taken) -> None:
        ids = [item.completion_id for item in taken.items]
        self._connection.execute(f"insert into {_SEEN} select 'listed', unnest(?::varchar[])", [ids])
        self._found.listed += len(ids)
        known = self._store.known({item.completion_id: item.created_column for item in taken.items})
        purged = self._store.purged(ids)
        for item in taken.items:
            if self._is_claimed(item):
                self._judge(item, known.get(item.completion_id), item.completion_id in purged)
            else:
                self._found.not_due += item.completion_id not in known

    def _is_claimed(self, item: Item) -> bool:
        created = item.created_column
        return created is not None and (self._since or created) <= created <= self._until

    def _judge(self, item: Item, held: Held | None, is_purged: bool) -> None:
        ids = (item.completion_id,)
        if held is None:
            self._found.missing.add(ids)
        elif held.source != self._settings.source:
            return
        elif held.is_deleted:
            self._found.returned.add(ids)
        elif not is_purged and is_comparable(held.row_hash, item.row_hash) and held.row_hash != item.row_hash:
            self._found.edited.add(ids)

    def _judge_absent(self, unsure: Sequence[int]) -> None:
        """Asks for what is here and was not listed, unless the list itself is in doubt."""
        scope = Scope(
            seen=_SEEN,
            key="listed",
            source=self._settings.source,
            query=self._settings.query,
            began_at=self._began_at,
            since=self._found.covered_from,
            until=self._found.settled_at,
            unsure=unsure,
        )
        absence = measure(self._connection, scope)
        self._found.expired, self._found.unsure = absence.expired, absence.unsure
        self._found.doubt = self._doubt(absence)
        if self._found.doubt is None and absence.absent:
            self._ask(scope)

    def _doubt(self, absence: Absence) -> str | None:
        is_complete = not absence.absent and not absence.expired
        return None if is_complete else doubt(absence, Filter(), self._settings.deletion_limit)

    def _ask(self, scope: Scope) -> None:
        if not is_believed(self._client, controls(self._connection, scope)):
            self._found.doubt = "the API answers 404 also for completions that it has just listed"
            return
        ids = absent(self._connection, scope)
        for gone, still_there in asked(self._client, ids):
            self._found.deleted.add(gone)
            self._found.unexpected.add(still_there)
            self._watcher.asked(self._found.deleted.count + self._found.unexpected.count, len(ids))
            self._check_stop()

    def _check_stop(self) -> None:
        if self._stop.is_wanted:
            raise self._stop.error()
