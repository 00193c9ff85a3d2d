"""The main job: drain the walk round by round into the working file, then publish it.

Each round is committed together with its cursor, so a sync that dies goes on near where it stood.
While every page shows only what the warehouse already has, the warehouse is open for reading only;
dlt is not even imported before there is something to write.
"""

import contextlib
import os
import shutil
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from stored_completions import journal, models, store, warehouse
from stored_completions.client import Client
from stored_completions.config import Settings
from stored_completions.cursor import Cursor
from stored_completions.errors import Stopped, StoredCompletionsError, UsageError, WarehouseError
from stored_completions.progress import Quiet, Watcher
from stored_completions.reader import cursor_key, pages
from stored_completions.rounds import Counts, Round
from stored_completions.store import Store
from stored_completions.walk import Walk
from stored_completions.warehouse import Files

_RENEW_AFTER_DAYS = 25
_DLT = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "LOAD__DELETE_COMPLETED_JOBS": "true",
    "LOAD__TRUNCATE_STAGING_DATASET": "true",
    "LOAD__WORKERS": "1",
    "NORMALIZE__WORKERS": "1",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "false",
}


@dataclass
class Report:
    """What a sync did: the row of `sync_runs`, and what a person or a machine asks next."""

    run_id: str
    source: str
    started_at: datetime
    warehouse: str
    is_new_warehouse: bool
    finished_at: datetime | None = None
    from_id: str | None = None
    to_id: str | None = None
    requests: int = 0
    retries: int = 0
    waited_seconds: float = 0.0
    outcome: str = "running"
    detail: str | None = None
    published: bool = False
    newest_created_at: datetime | None = None
    possibly_incomplete_seconds: list[int] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def row(self) -> dict[str, Any]:
        """The columns of `sync_runs`."""
        return {**asdict(self), **asdict(self.counts)}

    def sentences(self) -> list[str]:
        """What a person wants to know of it."""
        counts = self.counts
        asked = _counted(self.requests, "request")
        if self.outcome == "nothing_new":
            said = [
                f"Nothing new: {counts.rows_seen:,} completions looked at again in {asked}, nothing written."
            ]
        else:
            late = f", {counts.rows_late:,} of them late" if counts.rows_late else ""
            said = [
                f"{_counted(counts.rows_new, 'new completion')}{late}, {counts.rows_changed:,} changed, "
                f"{counts.rows_seen:,} looked at in {asked}."
            ]
        if counts.rows_quarantined:
            said.append(
                f"{_counted(counts.rows_quarantined, 'object')} could not be loaded: see chat.quarantine."
            )
        said += [self.detail] if self.detail else []
        said.append(f"{self.warehouse}{' (new)' if self.is_new_warehouse else ''}{_behind(self)}")
        return said

    def as_json(self) -> dict[str, Any]:
        flat = {name: value for name, value in self.row().items() if name != "counts"}
        return {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in flat.items()
        }


class Stop:
    """A wish to stop, by SIGTERM or Ctrl-C: the page is finished, the round loaded, the copy published."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.signal: int | None = None

    def __call__(self, number: int, _frame: object) -> None:
        if self.signal is not None:
            signal.signal(number, signal.SIG_DFL)
        self.signal = number
        self._event.set()

    @property
    def is_wanted(self) -> bool:
        return self._event.is_set()

    def sleep(self, seconds: float) -> None:
        """Waits, unless stopping is wanted: then raises Stopped."""
        if self._event.wait(seconds):
            raise self.error()

    def error(self) -> Stopped:
        if self.signal == signal.SIGINT:
            return Stopped(
                "Stopped by Ctrl-C. What was read is loaded; the next sync goes on from there.", 130
            )
        return Stopped("Stopped by SIGTERM. What was read is loaded; the next sync goes on from there.", 1)


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """Turns SIGTERM and Ctrl-C into a wish to stop while the block runs; a second one ends at once."""
    stop = Stop()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def sync(
    settings: Settings,
    path: Path,
    *,
    max_pages: int | None = None,
    stop: Stop | None = None,
    watcher: Watcher | None = None,
) -> Report:
    """Syncs one source into the warehouse at `path`.

    Raises Busy, UsageError, AccessError, ServiceError, WarehouseError or Stopped; whatever was read
    before is loaded and published, and a repeat is safe.
    """
    files = Files(path.absolute())
    with warehouse.locked(files):
        return _Sync(settings, files, max_pages, stop or Stop(), watcher or Quiet()).run()


class _Sync:
    def __init__(
        self, settings: Settings, files: Files, max_pages: int | None, stop: Stop, watcher: Watcher
    ) -> None:
        self._settings = settings
        self._files = files
        self._max_pages = max_pages
        self._stop = stop
        self._watcher = watcher
        self._now = datetime.now(UTC)
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._pipeline: Any = None
        self._loader: ThreadPoolExecutor | None = None
        self._ended_at: Cursor | None = None
        self._report = Report(
            run_id=uuid.uuid4().hex,
            source=settings.source,
            started_at=self._now,
            warehouse=str(files.published),
            is_new_warehouse=not files.published.exists(),
        )

    def run(self) -> Report:
        sentence = warehouse.prepare(self._files)
        if sentence:
            self._watcher.say(sentence)
        self._open()
        try:
            return self._run()
        finally:
            self._close()

    def _run(self) -> Report:
        self._check_binding()
        self._warn_if_old()
        with Client(
            self._settings.endpoint,
            self._settings.patience,
            sleep=self._stop.sleep,
            on_retry=self._watcher.say,
        ) as client:
            walk = Walk(self._cursor(), self._settings.pace, int(self._now.timestamp()))
            self._report.from_id = walk.from_id
            failure = self._drain(client, walk)
            traffic = client.traffic
        self._report.requests, self._report.retries = traffic.requests, traffic.retries
        self._report.waited_seconds = round(traffic.waited_seconds, 3)
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
                self._watcher.page(
                    self._report.counts.pages + self._round.counts.pages,
                    self._report.counts.rows_seen + self._round.counts.rows_seen,
                    walk.cursor.newest,
                )
                if self._round.is_full:
                    self._commit()
                if self._stop.is_wanted:
                    raise self._stop.error()
        except StoredCompletionsError as error:
            failure = error
        cannot_begin = failure is not None and self._report.counts.pages + self._round.counts.pages == 0
        if not cannot_begin:
            self._commit(is_first=self._store.is_empty)
        return failure

    def _new_round(self) -> Round:
        return Round(self._settings.source, time.time_ns() // 1000, self._store.quarantined())

    def _commit(self, *, is_first: bool = False) -> None:
        """Loads the round with its cursor; one that changes nothing is only counted."""
        if self._round.has_changes or is_first or self._pipeline is not None:
            self._write()
            self._load(self._round)
        self._report.counts.add(self._round.counts)
        self._ended_at = self._round.cursor or self._ended_at
        self._round = self._new_round()

    def _load(self, round_: Round) -> None:
        from stored_completions.source import loaded_round

        assert self._loader is not None
        assert self._connection is not None
        source = loaded_round(self._key, round_)
        try:
            self._loader.submit(self._pipeline.run, source, loader_file_format="parquet").result()
        except Exception as error:
            raise WarehouseError(_why_unloaded(error, self._files)) from error
        self._store = Store(self._connection)
        if not self._report.counts.pages:
            store.close_dead_runs(self._connection)
            store.note_runs(self._connection, [self._report.row()])

    def _finish(self, walk: Walk, failure: StoredCompletionsError | None) -> None:
        """Notes the run where it belongs, and publishes what changed."""
        report = self._report
        report.finished_at = datetime.now(UTC)
        report.possibly_incomplete_seconds = walk.incomplete
        cursor = walk.cursor
        report.to_id = cursor.position.id if cursor.position else None
        report.newest_created_at = (
            None if cursor.newest is None else datetime.fromtimestamp(cursor.newest, UTC)
        )
        changed = self._pipeline is not None
        report.outcome = _outcome(failure, changed)
        report.detail = _detail(failure, walk)
        notes = journal.read(self._files)
        if changed:
            self._enter_runs(notes, walked=walk.request is None)
        else:
            notes.runs.append(report.as_json())
            if self._ended_at is not None:
                notes.basis, notes.cursors = self._state.basis, {self._key: self._ended_at.as_json()}
        if self._must_publish(changed):
            self._publish()
        notes.last = report.as_json()
        journal.write(self._files, notes)

    def _enter_runs(self, notes: journal.Notes, *, walked: bool) -> None:
        assert self._connection is not None
        runs = [*map(_timed, notes.runs), self._report.row()]
        notes.runs, notes.basis, notes.cursors = [], None, {}
        at = self._report.finished_at or self._now
        store.bind(self._connection, self._settings.source, self._settings.endpoint, at, walked=walked)
        store.note_runs(self._connection, runs)
        store.prune(self._connection)

    def _must_publish(self, changed: bool) -> bool:
        """Whether the copy that analysts open is behind, and old enough to be replaced."""
        if not changed and not self._files.unpublished.exists():
            return False
        last = warehouse.published_at(self._connection) if self._connection else None
        interval = self._settings.publish_min_interval
        return last is None or (datetime.now(UTC) - last).total_seconds() >= interval

    def _publish(self) -> None:
        self._write()
        assert self._connection is not None
        models.create_views(self._connection)
        models.comment_tables(self._connection)
        warehouse.publish(self._files, self._connection)
        self._report.published = True

    def _open(self) -> None:
        """Opens the working file for reading; after a crash, for writing, to mend it first."""
        self._connection = None
        if self._files.working.exists():
            self._connection = warehouse.connect(self._files.working, read_only=not self._files.was_cut())
            if self._files.was_cut():
                store.recover(self._connection)
                shutil.rmtree(self._files.dlt)
        self._store = Store(self._connection)
        self._state = self._store.state()

    def _write(self) -> None:
        """Opens the working file for writing, with dlt, once."""
        if self._pipeline is not None:
            return
        if self._connection is not None:
            self._connection.close()
        warehouse.mark_unpublished(self._files)
        shutil.rmtree(self._files.dlt, ignore_errors=True)
        self._files.dlt.mkdir()
        self._connection = warehouse.connect(self._files.working, read_only=False)
        store.create_own_tables(self._connection)
        self._store = Store(self._connection)
        self._pipeline = _pipeline(self._connection, self._files.dlt)
        self._loader = ThreadPoolExecutor(1, "load")

    def _close(self) -> None:
        if self._loader is not None:
            self._loader.shutdown()
        if self._connection is not None:
            self._connection.close()
        if self._report.finished_at is not None:
            shutil.rmtree(self._files.dlt, ignore_errors=True)

    @property
    def _key(self) -> str:
        return cursor_key(self._settings.endpoint.place, self._settings.query, self._settings.source)

    def _cursor(self) -> Cursor:
        """Where the last walk ended: as the warehouse says, or a later run that found nothing new there."""
        notes = journal.read(self._files)
        later = notes.cursors if notes.basis == self._state.basis else {}
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
        if last and (self._now - last).days >= _RENEW_AFTER_DAYS:
            self._watcher.say(
                f"The last successful sync was {(self._now - last).days} days ago. Completions are said to be kept "
                f"for 30 days: older ones may be gone."
            )


def _pipeline(connection: duckdb.DuckDBPyConnection, folder: Path) -> Any:
    for name, value in _DLT.items():
        os.environ.setdefault(name, value)
    import dlt

    return dlt.pipeline(
        store.PIPELINE,
        pipelines_dir=str(folder),
        destination=dlt.destinations.duckdb(credentials=connection),
        dataset_name="chat",
    )


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _behind(report: Report) -> str:
    if report.published or report.outcome == "nothing_new":
        return ""
    return ": not published yet, publish_min_interval has not passed"


def _outcome(failure: StoredCompletionsError | None, changed: bool) -> str:
    if failure is None:
        return "done" if changed else "nothing_new"
    return "stopped" if isinstance(failure, Stopped) else "failed"


def _detail(failure: StoredCompletionsError | None, walk: Walk) -> str | None:
    if failure is not None:
        return str(failure)
    if walk.incomplete:
        seconds = ", ".join(
            f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}" for second in walk.incomplete
        )
        return f"The server would not list these seconds whole, rows of them may be missing: {seconds} UTC."
    return None


def _timed(run: dict[str, Any]) -> dict[str, Any]:
    """A run noted as JSON, its times as times again."""
    times = {
        name: datetime.fromisoformat(run[name]) for name in ("started_at", "finished_at") if run.get(name)
    }
    return run | times


def _place(base_url: str, project: str | None) -> str:
    return f"{base_url}, project {project}" if project else base_url


def _why_unloaded(error: BaseException, files: Files) -> str:
    """A sentence for a load that failed; the working file keeps every round before it."""
    cause = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
    text = str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__
    return (
        f"A round could not be loaded into {files.working}: {text}. The rounds before it are kept; free space or "
        f"mend the cause and sync again."
    )
