"""The main job: drain the walk round by round into the working file, then publish it.

Each round is committed together with its cursor, so a sync that dies goes on near where it stood.
While every page shows only what the warehouse already has, the warehouse is open for reading only;
dlt is not even imported before there is something to write.
"""

import contextlib
import shutil
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from stored_completions import definitions, journal, schema, store, undo, warehouse
from stored_completions.client import Client
from stored_completions.config import Settings
from stored_completions.cursor import Cursor
from stored_completions.errors import StoredCompletionsError, UsageError, WarehouseError
from stored_completions.loading import Loading
from stored_completions.prices import overrides as price_overrides
from stored_completions.progress import Quiet, Watcher
from stored_completions.publishing import prepare, publish
from stored_completions.rate_budget import RateBudget
from stored_completions.reader import cursor_key, pages
from stored_completions.reports import rollup
from stored_completions.rounds import Bounds, Round
from stored_completions.run_report import TO_THE_END, Report, run_from_json
from stored_completions.stop import Stop, stopping
from stored_completions.store import Store
from stored_completions.walk import Walk
from stored_completions.warehouse import Files

__all__ = ["Bounds", "Report", "Stop", "stopping", "sync"]

_RENEW_AFTER_DAYS = 25


def sync(
    settings: Settings,
    path: Path,
    *,
    max_pages: int | None = None,
    stop: Stop | None = None,
    watcher: Watcher | None = None,
    bounds: Bounds | None = None,
) -> Report:
    """Syncs one source into the warehouse at `path`, in rounds of `bounds`.

    Raises Busy, UsageError, AccessError, ServiceError, WarehouseError or Stopped; whatever was read
    before is loaded and published, and a repeat is safe.
    """
    files = Files(path.absolute())
    with warehouse.locked(files):
        run = _Sync(settings, files, max_pages, stop or Stop(), watcher or Quiet(), bounds or Bounds())
        try:
            return run.run()
        except WarehouseError as error:
            run.note_failure(error)
            raise
        except (OSError, duckdb.Error) as error:
            failure = WarehouseError(
                f"Cannot write to {files.folder}: {warehouse.first_line(error)} What was synced before is kept; "
                f"free space or mend the cause, and sync again."
            )
            run.note_failure(failure)
            raise failure from error


class _Sync:
    """One run. The working file is open for reading, until there is something to write."""

    def __init__(
        self,
        settings: Settings,
        files: Files,
        max_pages: int | None,
        stop: Stop,
        watcher: Watcher,
        bounds: Bounds,
    ) -> None:
        self._settings = settings
        self._prices = price_overrides.read(settings.prices) if settings.prices else price_overrides.NONE
        self._files = files
        self._max_pages = max_pages
        self._stop = stop
        self._watcher = watcher
        self._bounds = bounds
        self._now = datetime.now(UTC)
        self._reading: duckdb.DuckDBPyConnection | None = None
        self._loading: Loading | None = None
        self._has_loaded = False
        self._ended_at: Cursor | None = None
        self._notes = journal.read(files)
        self._report = Report(
            run_id=uuid.uuid4().hex,
            source=settings.source,
            started_at=self._now,
            warehouse=str(files.published),
            is_new_warehouse=not files.published.exists(),
        )

    def run(self) -> Report:
        prepared = prepare(self._files)
        if prepared.sentence:
            self._watcher.say(prepared.sentence)
        if prepared.is_another:
            self._notes = journal.Notes()
        try:
            self._open()
            self._check_binding()
            self._warn_if_old()
            return self._run()
        finally:
            self._close()

    def note_failure(self, error: WarehouseError) -> None:
        """Notes a run that could not even write, where that can be written."""
        self._report.fail(error)
        self._notes.last = self._report.as_json()
        with contextlib.suppress(OSError):
            journal.write(self._files, self._notes)

    def _run(self) -> Report:
        with Client(
            self._settings.endpoint,
            self._settings.patience,
            sleep=self._stop.sleep,
            on_retry=self._watcher.say,
            budget=RateBudget(),
        ) as client:
            walk = Walk(self._cursor(), self._settings.pace, int(self._now.timestamp()))
            self._report.from_id = walk.from_id
            try:
                failure = self._drain(client, walk)
            finally:
                self._report.requests, self._report.retries = client.traffic.requests, client.traffic.retries
                self._report.waited_seconds = round(client.traffic.waited_seconds, 3)
        self._finish(walk, failure)
        if failure:
            raise failure
        return self._report

    def _drain(self, client: Client, walk: Walk) -> StoredCompletionsError | None:
        """Reads and loads round by round to the end; what stopped it, once all that was read is loaded."""
        failure: StoredCompletionsError | None = None
        self._round = self._new_round()
        try:
            for taken in pages(client, walk, self._settings.query, self._max_pages):
                self._round.add(taken, self._store.known)
                self._watcher.page(*self._so_far(), walk.cursor.newest)
                if self._round.is_full:
                    self._commit()
                if self._stop.is_wanted and walk.request is not None:
                    raise self._stop.error()
        except WarehouseError:
            raise
        except StoredCompletionsError as error:
            failure = error
        if self._so_far()[0]:
            self._commit()
        return failure

    def _so_far(self) -> tuple[int, int]:
        """Pages and rows of this run."""
        done, now = self._report.counts, self._round.counts
        return done.pages + now.pages, done.rows_seen + now.rows_seen

    def _new_round(self) -> Round:
        return Round(self._settings.source, time.time_ns() // 1000, self._store.quarantined(), self._bounds)

    def _commit(self) -> None:
        """Loads the round with its cursor; one that changes nothing is only counted, if nothing did before."""
        must_move_on = self._has_loaded and self._round.cursor is not None
        if self._round.has_changes or self._store.is_empty or must_move_on:
            self._load(self._round)
        self._report.counts.add(self._round.counts)
        self._ended_at = self._round.cursor or self._ended_at
        self._round = self._new_round()

    def _load(self, round_: Round) -> None:
        loading = self._write()
        loading.load(self._key, round_)
        self._store = Store(loading.connection)
        if not self._has_loaded:
            store.note_runs(loading.connection, [self._report.row()])
            self._has_loaded = True

    def _finish(self, walk: Walk, failure: StoredCompletionsError | None) -> None:
        """Notes the run where it belongs, and publishes what changed."""
        self._report.end(walk, failure, changed=self._has_loaded)
        if self._has_loaded:
            self._enter_runs(self._write())
        else:
            self._note_run()
        if self._must_publish():
            self._publish()
        self._report.is_behind = self._files.unpublished.exists()
        self._notes.last = self._report.as_json()
        journal.write(self._files, self._notes)

    def _enter_runs(self, loading: Loading) -> None:
        """Writes this run and those noted before into sync_runs; what is noted of other cursors stays true."""
        runs = [*map(run_from_json, self._notes.runs), self._report.row()]
        store.bind(loading.connection, self._settings.source, self._settings.endpoint, self._now)
        store.note_runs(loading.connection, runs)
        store.prune(loading.connection)
        cursors = self._notes.cursors_at(self._state.basis)
        self._notes.runs = []
        self._notes.basis = self._store.state().basis
        self._notes.cursors = {key: cursor for key, cursor in cursors.items() if key != self._key}

    def _note_run(self) -> None:
        self._notes.runs.append(self._report.as_json())
        if self._ended_at is not None:
            cursors = self._notes.cursors_at(self._state.basis)
            self._notes.basis = self._state.basis
            self._notes.cursors = cursors | {self._key: self._ended_at.as_json()}

    def _must_publish(self) -> bool:
        """Whether the copy that analysts open is behind, and old enough to be replaced."""
        if not self._files.unpublished.exists() and not self._is_outdated():
            return False
        last = warehouse.published_at(self._store.connection) if self._store.connection else None
        interval = self._settings.publish_min_interval
        return last is None or (datetime.now(UTC) - last).total_seconds() >= interval

    def _is_outdated(self) -> bool:
        """Whether the warehouse holds completions, but prices or views that this program has newer ones of."""
        connection = self._store.connection
        return (
            connection is not None
            and not self._store.is_empty
            and definitions.are_outdated(connection, self._prices)
        )

    def _publish(self) -> None:
        connection = self._write().connection
        definitions.refresh(connection, self._prices)
        rollup.refresh(connection)
        publish(self._files, connection)
        self._report.published = True

    def _open(self) -> None:
        """Opens the working file for reading; for writing after a crash, to mend it first, and when an older
        version made it."""
        if self._files.was_cut():
            self._recover()
        if self._files.working.exists():
            self._reading = warehouse.connect(self._files.working, read_only=True)
        self._store = Store(self._reading)
        if self._reading is not None and schema.is_behind(self._reading):
            self._write()
        self._state = self._store.state()

    def _recover(self) -> None:
        if self._files.working.exists():
            connection = warehouse.connect(self._files.working, read_only=False)
            try:
                undo.recover(connection)
            finally:
                connection.close()
        shutil.rmtree(self._files.dlt)

    def _write(self) -> Loading:
        """The working file, open for writing."""
        if self._loading is None:
            if self._reading is not None:
                self._reading.close()
                self._reading = None
            self._loading = Loading(self._files)
            self._store = Store(self._loading.connection)
        return self._loading

    def _close(self) -> None:
        if self._loading is not None:
            self._loading.close()
        if self._reading is not None:
            self._reading.close()

    @property
    def _key(self) -> str:
        return cursor_key(self._settings.endpoint.place, self._settings.query, self._settings.source)

    def _cursor(self) -> Cursor:
        """Where the last walk ended: as the warehouse says, or a later run that found nothing new there."""
        later = self._notes.cursors_at(self._state.basis)
        return Cursor.from_json(later.get(self._key) or self._state.cursors.get(self._key, {}))

    def _check_binding(self) -> None:
        bound = self._store.binding(self._settings.source)
        endpoint = self._settings.endpoint
        here = (endpoint.place, endpoint.project)
        if bound is None or bound == here:
            return
        raise UsageError(
            f"Source {self._settings.source!r} of {self._files.published} was synced from {_place(*bound)}, not from "
            f"{_place(*here)}: mixing two accounts under one name would make its figures wrong. Name another source "
            f"with --source, or another file with --warehouse."
        )

    def _warn_if_old(self) -> None:
        last = self._store.last_success(self._settings.source)
        noted = [run["finished_at"] for run in self._notes.runs if run["outcome"] in TO_THE_END]
        times = [*map(datetime.fromisoformat, noted), *([last] if last else [])]
        days = (self._now - max(times, default=self._now)).days
        if days >= _RENEW_AFTER_DAYS:
            self._watcher.say(
                f"The last successful sync was {days} days ago. Completions are said to be kept for 30 days: older "
                f"ones may be gone."
            )


def _place(base_url: str, project: str | None) -> str:
    return f"{base_url}, project {project}" if project else base_url
