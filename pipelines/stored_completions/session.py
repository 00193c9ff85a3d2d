"""One sitting at a warehouse: its working file, open for reading until there is something to write.

Several accounts can be synced in one sitting. Here stands what they share: the files and the notes
beside them, what the warehouse holds, the loading of rounds, and one publish at the end. Whoever uses
it holds the warehouse's lock, and `turn` while it works on the file.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import duckdb

from stored_completions import coverage, definitions, forced, journal, opening, store, warehouse
from stored_completions.content import record as policies
from stored_completions.content.policy import KEPT, Policy
from stored_completions.cursor import Cursor
from stored_completions.destinations.shipping import Shipping
from stored_completions.dlt_setup import warm_up
from stored_completions.errors import StoredCompletionsError
from stored_completions.interim import Interim
from stored_completions.loading import Loading
from stored_completions.messages import keys
from stored_completions.messages.hashes import Hashes
from stored_completions.prices.overrides import NONE, Overrides
from stored_completions.progress import Watcher
from stored_completions.publishing import mark_unpublished, prepare, publish
from stored_completions.reports import rollup
from stored_completions.rounds import Round
from stored_completions.run_report import TO_THE_END, Ended, Report, run_from_json
from stored_completions.store import Store
from stored_completions.warehouse import Files
from stored_completions.wording import counted


class Session:
    """`store` is what the working file holds now, `notes` what stands beside it.

    `rounds` are those under way, by the cursor they move; `broken_by` is why no run can go on; `interim`
    is when what they have so far is to be shown.
    """

    def __init__(
        self,
        files: Files,
        watcher: Watcher,
        *,
        prices: Overrides = NONE,
        views: Path | None = None,
        publish_min_interval: int = 0,
        policy: Policy = KEPT,
        change_policy: bool = False,
        content_key: str | None = None,
        interim: Interim | None = None,
        shipping: Shipping | None = None,
    ) -> None:
        """`shipping` is to the destination that is kept equal to the warehouse, None where there is no other;
        `publish_min_interval` in seconds; `change_policy` lets `policy` keep more than the recorded one;
        without a `content_key` the warehouse makes a key of its own for hashes."""
        self.files = files
        self.turn = Lock()
        self.notes = journal.read(files)
        self.store = Store(None)
        self.rounds: dict[str, Round] = {}
        self.broken_by: Exception | None = None
        self.interim = interim or Interim()
        self._watcher = watcher
        self._prices = prices
        self._views = views
        self._publish_min_interval = publish_min_interval
        self.policy = policy
        self._change_policy = change_policy
        self._content_key = content_key
        self._shipping = shipping
        self._hashes: Hashes | None = None
        self._reading: duckdb.DuckDBPyConnection | None = None
        self._loading: Loading | None = None
        self._warming: Thread | None = None
        self._has_published = False
        self._is_ready = False

    def open(self, *, reads_all: bool = False) -> None:
        """Brings the working file to where it should stand, and opens it for reading.

        `reads_all` has every block of both files read first.
        """
        prepared = prepare(self.files, reads_all=reads_all)
        if prepared.sentence:
            self._watcher.say(prepared.sentence)
        if prepared.is_another:
            self.notes = journal.Notes()
        if self.files.was_cut():
            opening.recover(self.files)
        if self._shipping is not None and self._shipping.follow():
            self.notes = journal.Notes()
        if self.files.working.exists():
            self._reading = opening.opened(self.files)
        self.store = Store(self._reading)
        self._is_ready = not self.store.is_empty
        self._check_policy()
        self._state = self.store.state()
        self.quarantined = self.store.quarantined()

    def close(self) -> None:
        if self._loading is not None:
            self._loading.close()
        if self._reading is not None:
            self._reading.close()

    def cursor(self, key: str) -> Cursor:
        """Where the walk `key` ended: as the warehouse says, or a later run that found nothing new there."""
        later = self.notes.cursors_at(self._state.basis)
        return Cursor.from_json(later.get(key) or self._state.cursors.get(key, {}))

    def load(self, key: str, round_: Round, report: Report) -> None:
        """Loads a round and its cursor."""
        loading = self.write()
        round_.hashes = self.hashes()
        loading.load(key, round_)
        self.store = Store(loading.connection)
        self.mark(report)

    def mark(self, report: Report) -> None:
        """Leaves a mark in sync_runs, if there is none yet, of a run that writes."""
        if not report.has_loaded:
            store.note_runs(self.write().connection, [report.row()])
            report.has_loaded = True

    def write(self) -> Loading:
        """The working file, open for writing."""
        if self._loading is None:
            if self._reading is not None:
                self._reading.close()
                self._reading = None
            self._loading = Loading(self.files)
            self.store = Store(self._loading.connection)
            policies.record(self._loading.connection, self.policy, datetime.now(UTC))
        mark_unpublished(self.files)
        return self._loading

    def warm_up(self) -> None:
        """Gets ready to write while the server is waited for."""
        if self._loading is None and self._warming is None:
            self._warming = warm_up()

    def get_ready(self) -> None:
        """Makes prices and views of a new warehouse, which has been loaded into, while the server is waited for."""
        if not self._is_ready and not self.store.is_empty:
            definitions.refresh_ours(self.write().connection, self._prices, self._views)
            self._is_ready = True

    def hashes(self) -> Hashes:
        """What hashes messages and answers, with the key of this warehouse."""
        if self._hashes is None:
            key = keys.hash_key(
                self.write().connection, self._content_key, datetime.now(UTC), self._watcher.say
            )
            self._hashes = Hashes(key)
        return self._hashes

    def publish_meanwhile(self) -> None:
        """Lets analysts see what is loaded already, where the rest takes long."""
        if self._must_publish():
            self._publish()

    def show(self, run: Ended) -> None:
        """Publishes what a run has loaded so far, if it has."""
        if run.report.has_loaded:
            store.bind(self.write().connection, run.report.source, run.endpoint, run.report.started_at)
            self.publish_meanwhile()
        self.interim.done()

    def finish(self, ended: Sequence[Ended]) -> None:
        """Notes the runs where they belong, and publishes what changed."""
        if not self.store.is_empty and policies.is_new(self.store.connection, self.policy):
            self.write()
        if any(run.report.has_written for run in ended):
            self._enter(ended)
        else:
            self.notes.runs += [run.report.as_json() for run in ended]
            self._keep_cursors(ended, self._state.basis)
        if self._must_publish():
            self._publish()
        elif self._must_ship() and (unshipped := self._ship(self.write().connection)):
            raise unshipped
        for run in ended:
            run.report.published = self._has_published
            run.report.is_behind = self.files.unpublished.exists()
            self.notes.last = run.report.as_json()
        journal.write(self.files, self.notes)

    def note_failure(self, reports: Sequence[Report]) -> None:
        """Notes runs that came to no orderly end, where that can be written."""
        self.notes.last = reports[-1].as_json()
        with contextlib.suppress(OSError):
            journal.write(self.files, self.notes)

    def _enter(self, ended: Sequence[Ended]) -> None:
        """Writes these runs and those noted before into sync_runs; what is noted of other cursors stays true."""
        connection = self.write().connection
        for run in ended:
            if run.report.has_loaded or run.report.outcome in TO_THE_END:
                store.bind(connection, run.report.source, run.endpoint, run.report.started_at)
        runs = [*map(run_from_json, self.notes.runs), *(run.report.row() for run in ended)]
        store.note_runs(connection, runs)
        store.prune(connection, self.write().last)
        self.notes.runs = []
        self._keep_cursors(ended, self.store.state().basis)

    def _keep_cursors(self, ended: Sequence[Ended], basis: str | None) -> None:
        """Notes the cursors that are later than the warehouse's, which has those of the runs that loaded."""
        cursors = dict(self.notes.cursors_at(self._state.basis))
        for run in ended:
            if run.report.has_loaded:
                cursors.pop(run.key, None)
            elif run.cursor is not None:
                cursors[run.key] = run.cursor.as_json()
        self.notes.basis, self.notes.cursors = basis, cursors

    def _must_publish(self) -> bool:
        """Whether the copy that analysts open is behind, or was written to, and old enough to be replaced."""
        is_behind = self.files.unpublished.exists() or self._is_outdated() or self._must_ship()
        if not is_behind and not forced.was_written(self.files):
            return False
        last = warehouse.published_at(self.store.connection) if self.store.connection else None
        return last is None or (datetime.now(UTC) - last).total_seconds() >= self._publish_min_interval

    def _is_outdated(self) -> bool:
        """Whether the warehouse holds completions, but older prices or views than this program, or says less of them."""
        connection = self.store.connection
        return (
            connection is not None
            and not self.store.is_empty
            and (
                definitions.are_outdated(connection, self._prices, self._views)
                or coverage.is_behind(connection, self._cursors())
            )
        )

    def _cursors(self) -> dict[str, Any]:
        """Every cursor where it stands now."""
        state = self.store.state()
        return state.cursors | self.notes.cursors_at(state.basis)

    def _publish(self) -> None:
        loading = self.write()
        connection = loading.connection
        for sentence in definitions.refresh(connection, self._prices, self._views):
            self._watcher.say(sentence)
        coverage.refresh(connection, self._cursors())
        rollup.refresh(connection)
        unshipped = self._ship(connection)
        with loading.writing():
            publish(self.files, connection)
        self._has_published = True
        if unshipped is not None:
            raise unshipped

    def _must_ship(self) -> bool:
        """Whether something is here that the destination does not have."""
        connection = self.store.connection
        return (
            self._shipping is not None
            and connection is not None
            and not self.store.is_empty
            and self._shipping.is_behind(connection)
        )

    def _ship(self, connection: duckdb.DuckDBPyConnection) -> StoredCompletionsError | None:
        """Brings the destination what changed; what kept it from that is to be raised once analysts here have theirs."""
        if self._shipping is None:
            return None
        try:
            shipped = self._shipping.ship(connection)
        except StoredCompletionsError as error:
            return error
        if shipped.completions:
            self._watcher.say(
                f"{counted(shipped.completions, 'completion')} shipped to {self._shipping.place}."
            )
        return None

    def _check_policy(self) -> None:
        """Raises UsageError unless the sync may store what it is told to; says it when that is new."""
        if not self._change_policy:
            policies.check(self._reading, self.policy)
            keys.check(self._reading, self._content_key)
        if not self.store.is_empty and policies.is_new(self._reading, self.policy):
            self._watcher.say(
                f"The content policy is {policies.described(self.policy.said())} from now on. What was read before "
                f"stays as it was stored: `stored-completions purge` erases it."
            )
