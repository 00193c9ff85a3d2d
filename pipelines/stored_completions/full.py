"""`sync --full`: the whole list again, and what it says about edits and deletions.

The walk goes from the beginning to the end with a cursor of its own, which `relisting` keeps beside
the ids that it was shown; the ordinary cursor stays where it is until a list that ended is ahead of it.
A completion that a list does not show is asked for by its id, and marked as deleted where that answers
404, unless the list itself is in doubt.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from stored_completions import relisting, store
from stored_completions.absence import Absence, Scope, absent, asked, controls, is_believed, measure
from stored_completions.client import Client
from stored_completions.config import Settings
from stored_completions.cursor import Cursor
from stored_completions.deletions import Relisted, doubt
from stored_completions.progress import Watcher
from stored_completions.reader import Taken
from stored_completions.relisting import Relisting
from stored_completions.rounds import Round
from stored_completions.run_report import Report
from stored_completions.session import Session
from stored_completions.stop import Stop
from stored_completions.warehouse import transaction

_UNBELIEVED = "the API answers 404 also for completions that it has just listed, so its 404 says nothing"


class FullRelist:
    """The full re-list of one account, begun or gone on with. Its caller holds `session.turn` for `begin` and
    `commit`; `end` takes it itself, and leaves it while it waits for the server."""

    def __init__(
        self, session: Session, settings: Settings, key: str, report: Report, *, is_confirmed: bool
    ) -> None:
        self._session = session
        self._settings = settings
        self._key = key
        self._report = report
        self._is_confirmed = is_confirmed
        self._state = Relisting(key, settings.source, report.started_at)
        self._ordinary = Cursor()
        self.has_moved_cursor = False

    def begin(self) -> Cursor:
        """Where to go on; the beginning, if no re-list of this account and filter is under way."""
        self._ordinary = self._session.cursor(self._key)
        self._state = relisting.under_way(self._session.store.connection, self._key) or self._state
        return self._state.cursor

    def judged(self, taken: Taken) -> Taken:
        """The page, its rows as late as they are to an ordinary sync: what that one should have seen before."""
        newest, since = self._ordinary.newest, self._ordinary.covered_from or 0
        late = {
            item.completion_id: newest - item.created
            for item in taken.items
            if newest is not None and item.created is not None and since <= item.created < newest
        }
        return replace(taken, late=late)

    def commit(self, round_: Round, incomplete: Sequence[int]) -> None:
        """Loads what the round has found, then notes what it has seen and where the walk stands."""
        cursor, round_.cursor = round_.cursor, None
        if round_.has_changes or self._session.store.is_empty:
            self._session.load(self._key, round_, self._report)
        self._session.mark(self._report)
        unsure = dict.fromkeys((*self._state.incomplete, *incomplete))
        self._state = replace(self._state, cursor=cursor or self._state.cursor, incomplete=tuple(unsure))
        relisting.note(self._session.write().connection, self._state, round_.ids, datetime.now(UTC))

    def end(self, client: Client, cursor: Cursor, stop: Stop, watcher: Watcher) -> None:
        """Judges what was not listed, and ends the re-list; what stops it leaves it to be gone on with."""
        with self._session.turn:
            connection = self._session.write().connection
            self._session.mark(self._report)
            found = measure(connection, self._scope)
            self._report.relisted = Relisted(listed=found.listed, unsure=found.unsure, expired=found.expired)
            ids = self._absent(found)
            listed = controls(connection, self._scope) if ids else []
        if ids and not is_believed(client, listed):
            self._report.relisted.doubt, ids = _UNBELIEVED, []
        self._ask(client, ids, stop, watcher)
        with self._session.turn:
            connection = self._session.write().connection
            store.bind(connection, self._settings.source, self._settings.endpoint, self._report.started_at)
            relisting.end(connection, self._state, self._listed_from(found))
            self._move_cursor(cursor)

    def _absent(self, found: Absence) -> list[str]:
        """The completions to ask for: none, if the list is in doubt and nobody has confirmed it."""
        relisted = self._report.relisted
        assert relisted is not None
        connection = self._session.write().connection
        if not self._is_confirmed and (found.absent or found.expired):
            relisted.doubt = doubt(found, self._settings.query, self._settings.deletion_limit)
        return [] if relisted.doubt else absent(connection, self._scope)

    def _ask(self, client: Client, ids: Sequence[str], stop: Stop, watcher: Watcher) -> None:
        relisted = self._report.relisted
        assert relisted is not None
        for gone, still_there in asked(client, ids):
            with self._session.turn:
                self._mark(gone, still_there)
            relisted.deleted += len(gone)
            relisted.still_there += len(still_there)
            watcher.asked(relisted.deleted + relisted.still_there, len(ids))
            if stop.is_wanted:
                raise stop.error()

    def _mark(self, gone: Sequence[str], still_there: Sequence[str]) -> None:
        connection, now = self._session.write().connection, datetime.now(UTC)
        with transaction(connection):
            connection.execute(
                "update chat.completions set deleted_at = ? where completion_id in (select unnest(?::varchar[]))",
                [now, list(gone)],
            )
            relisting.see(connection, self._state, still_there, now)

    def _listed_from(self, found: Absence) -> datetime | None:
        """Only a list of everything that is in no doubt tells how far back the API's memory goes."""
        relisted = self._report.relisted
        is_sure = relisted is not None and relisted.doubt is None and not self._settings.query.is_narrow
        return found.listed_from if is_sure else None

    def _move_cursor(self, cursor: Cursor) -> None:
        """An ordinary sync goes on from this list, if none that ended meanwhile stands further."""
        if not cursor.settled.is_behind(self._ordinary.settled):
            round_ = Round(self._settings.source, time.time_ns() // 1000, self._session.quarantined)
            round_.cursor = cursor
            self._session.load(self._key, round_, self._report)
            self.has_moved_cursor = True

    @property
    def _scope(self) -> Scope:
        return Scope(
            seen=relisting.SEEN,
            key=self._key,
            source=self._settings.source,
            query=self._settings.query,
            began_at=self._state.started_at,
            unsure=() if self._is_confirmed else self._state.incomplete,
        )
