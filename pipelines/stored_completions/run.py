"""The run of one account: its walk drained round by round, then its messages and its bill, if they are wanted."""

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from stored_completions import advice
from stored_completions.billing.syncing import BillSync
from stored_completions.client import Client
from stored_completions.config import Settings
from stored_completions.course import Course
from stored_completions.cursor import Cursor
from stored_completions.endpoint import Endpoint
from stored_completions.errors import StoredCompletionsError, UsageError, WarehouseError
from stored_completions.full import FullRelist
from stored_completions.messages.syncing import MessageSync
from stored_completions.progress import Watcher
from stored_completions.rate_budget import RateBudget
from stored_completions.reader import Taken, cursor_key, pages
from stored_completions.rounds import Bounds, Round
from stored_completions.run_report import TO_THE_END, Ended, Report
from stored_completions.session import Session
from stored_completions.stop import Stop
from stored_completions.store import Held


class Run:
    """It works on the session's file in its turn, and waits for the server outside of it."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        max_pages: int | None,
        stop: Stop,
        watcher: Watcher,
        bounds: Bounds,
    ) -> None:
        self._session = session
        self._settings = settings
        self._max_pages = max_pages
        self._stop = stop
        self._watcher = watcher
        self._bounds = bounds
        self._now = datetime.now(UTC)
        self._ended_at: Cursor | None = None
        self._waited = 0.0
        self._relist: FullRelist | None = None
        self.has_begun = False
        self.report = Report(
            run_id=uuid.uuid4().hex,
            source=settings.source,
            started_at=self._now,
            warehouse=str(session.files.published),
            is_new_warehouse=not session.files.published.exists(),
            filter=self._key if settings.query.is_narrow else None,
            lookback_seconds=settings.pace.long,
        )

    @property
    def ended(self) -> Ended:
        has_moved = self._relist is None or self._relist.has_moved_cursor
        return Ended(self.report, self._settings.endpoint, self._key if has_moved else "", self._ended_at)

    def list_everything(self, *, is_confirmed: bool) -> None:
        """Makes it a full re-list; `is_confirmed` allows deletions to be marked whatever the list is like."""
        self.report.is_full = True
        self._relist = FullRelist(
            self._session, self._settings, self._key, self.report, is_confirmed=is_confirmed
        )

    def run(self) -> None:
        """Reads and loads to the end; what stopped it is the report's failure.

        Raises WarehouseError and DuckDB's own, after which no run of the session goes on.
        """
        try:
            with self._session.turn:
                self._session.store.check_binding(
                    self._session.files.published, self._settings.source, self._settings.endpoint
                )
                self._warn_if_old()
            self._walk()
            self._read_bill()
        except UsageError as error:
            self.report.failure = error
        except Exception as error:
            self._session.broken_by = error
            raise

    def _walk(self) -> None:
        self.has_begun = True
        with self._client(self._settings.endpoint) as client:
            with self._session.turn:
                course = self._course()
            self.report.from_id = course.from_id
            try:
                self.report.failure = self._drain(client, course) or self._read_messages(client)
            finally:
                self.report.count(client.traffic)
        self.report.end(course)

    def _course(self) -> Course:
        own = self._settings
        now = int(self._now.timestamp())
        if self._relist:
            return Course(self._relist.begin(), own.pace, now, newest_first=False)
        return Course(
            self._session.cursor(self._key),
            own.pace,
            now,
            since=own.since,
            chains=own.chains,
            may_probe=own.query.model is None,
        )

    def _read_messages(self, client: Client) -> StoredCompletionsError | None:
        """Reads input messages, if that is wanted."""
        if self._settings.messages is None:
            return None
        reading = MessageSync(
            self._settings.messages,
            self.report.source,
            self._settings.query,
            self._session,
            self._stop,
            self._watcher,
            self._bounds,
        )
        self.report.messages = reading.counts
        return reading.run(client)

    def _read_bill(self) -> None:
        """Reads the organization's bill, if that is wanted and nothing went wrong before."""
        billing = self._settings.billing
        if billing is None or self.report.failure is not None:
            return
        reading = BillSync(billing, self.report.source, self._session, self._now, self._stop, self._watcher)
        self.report.billing = reading.bill
        with self._client(billing.endpoint) as client:
            try:
                self.report.failure = reading.run(client)
            finally:
                self.report.count(client.traffic)

    def _client(self, endpoint: Endpoint) -> Client:
        return Client(
            endpoint,
            self._settings.patience,
            sleep=self._stop.sleep,
            on_retry=self._watcher.say,
            budget=RateBudget(self._settings.requests_per_second),
        )

    def _drain(self, client: Client, course: Course) -> StoredCompletionsError | None:
        """Reads and loads round by round to the end; what stopped it, once all that was read is loaded."""
        failure: StoredCompletionsError | None = None
        ready_at = time.monotonic()
        try:
            for taken in pages(
                client,
                course,
                self._settings.query,
                self._max_pages,
                hashed=self._settings.content.hashed,
            ):
                self._waited += time.monotonic() - ready_at
                with self._session.turn:
                    self._take(taken, course)
                del taken
                ready_at = time.monotonic()
        except WarehouseError:
            raise
        except StoredCompletionsError as error:
            failure = error
        with self._session.turn:
            if self._so_far()[0]:
                self._commit(course)
        if self._relist and failure is None and course.request is None:
            try:
                self._relist.end(client, course.cursor, self._stop, self._watcher)
            except WarehouseError:
                raise
            except StoredCompletionsError as error:
                failure = error
        return failure

    def _take(self, taken: Taken, course: Course) -> None:
        if self._session.broken_by is not None:
            raise self._session.broken_by
        if taken.repeats and self._round().cursor is not None:
            self._commit(course)
        round_ = self._round()
        purged = self._session.store.purged(item.completion_id for item in taken.items)
        round_.add(self._relist.judged(taken) if self._relist else taken, self._known, purged)
        self._watcher.page(*self._so_far(), taken.cursor.newest)
        if round_.has_changes and course.request is not None:
            self._session.warm_up()
        must_show = self._session.interim.is_due
        is_slow = self._waited >= self._bounds.patience and course.request is not None
        may_begin = is_slow and round_.has_changes and self._session.store.is_empty
        if round_.is_full or must_show or may_begin:
            self._commit(course)
        if is_slow:
            self._session.get_ready()
        if must_show:
            self._session.show(self.ended)
        if self._stop.is_wanted and course.request is not None:
            raise self._stop.error()

    def _round(self) -> Round:
        """The round under way, of which the other accounts know what it is about to load."""
        rounds = self._session.rounds
        if self._key not in rounds:
            now = time.time_ns() // 1000
            rounds[self._key] = Round(
                self.report.source, now, self._session.quarantined, self._bounds, self._settings.content
            )
        return rounds[self._key]

    def _known(self, created: Mapping[str, int | None]) -> dict[str, Held]:
        """What the warehouse holds of these ids, or is about to hold."""
        found = self._session.store.known(created)
        for key, other in self._session.rounds.items():
            if key != self._key:
                found |= other.held(created)
        return found

    def _so_far(self) -> tuple[int, int]:
        """Pages and rows of this run."""
        done, now = self.report.counts, self._round().counts
        return done.pages + now.pages, done.rows_seen + now.rows_seen

    def _commit(self, course: Course) -> None:
        """Loads the round with its cursor; one that changes nothing is only counted, if nothing did before."""
        round_ = self._round()
        must_move_on = self.report.has_loaded and round_.cursor is not None
        if self._relist is not None:
            self._relist.commit(round_, course.incomplete)
        elif round_.has_changes or self._session.store.is_empty or must_move_on:
            self._session.load(self._key, round_, self.report)
        del self._session.rounds[self._key]
        self.report.counts.add(round_.counts)
        self._ended_at = round_.cursor or self._ended_at

    @property
    def _key(self) -> str:
        return cursor_key(self._settings.endpoint.place, self._settings.query, self._settings.source)

    def _warn_if_old(self) -> None:
        source, query = self.report.source, self.report.filter
        last = self._session.store.last_success(source, query)
        noted = [
            datetime.fromisoformat(run["finished_at"])
            for run in advice.of_kind(self._session.notes.runs, source, query)
            if run["outcome"] in TO_THE_END
        ]
        warning = advice.retention(max([*noted, *([last] if last else [])], default=None), self._now)
        if warning:
            self._watcher.say(warning)
