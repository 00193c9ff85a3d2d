"""What a sync did: the row of `sync_runs`, and what a person or a machine asks next."""

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from stored_completions.billing.bill import Bill
from stored_completions.client import Traffic
from stored_completions.course import Course
from stored_completions.cursor import Cursor
from stored_completions.deletions import Relisted
from stored_completions.endpoint import Endpoint
from stored_completions.errors import Stopped, StoredCompletionsError
from stored_completions.messages.rounds import MessageCounts
from stored_completions.rounds import Counts
from stored_completions.wording import counted

TO_THE_END = ("done", "nothing_new")
"""The outcomes of a run that read to the end of the list."""
_NONE_LISTED = (
    "The API listed no completion at all: it keeps only those made with store=True, and a filter, a key of another "
    "project or zero data retention look the same."
)
_NONE_LISTED_ANY_MORE = (
    "The API lists nothing any more where it did before: all was deleted or has expired, or the key is of another "
    "project. What was synced is kept."
)
_OURS = ("counts", "messages", "failure", "has_loaded")


@dataclass
class Report:
    """One run of one source; `has_loaded` says whether it wrote completions, `published` whether analysts see
    it, `is_behind` whether they are still to see it, `failure` what kept it from its end."""

    run_id: str
    source: str
    started_at: datetime
    warehouse: str
    is_new_warehouse: bool
    is_full: bool = False
    filter: str | None = None
    lookback_seconds: int | None = None
    finished_at: datetime | None = None
    from_id: str | None = None
    to_id: str | None = None
    requests: int = 0
    retries: int = 0
    waited_seconds: float = 0.0
    outcome: str = "running"
    detail: str | None = None
    published: bool = False
    is_behind: bool = False
    newest_created_at: datetime | None = None
    covered_from: datetime | None = None
    possibly_incomplete_seconds: list[int] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    messages: MessageCounts = field(default_factory=MessageCounts)
    billing: Bill | None = None
    relisted: Relisted | None = None
    failure: StoredCompletionsError | None = None
    has_loaded: bool = False

    @property
    def has_written(self) -> bool:
        """Whether it wrote anything at all: completions, messages or the bill."""
        has_bill = self.billing is not None and self.billing.has_written
        return self.has_loaded or self.messages.has_something or has_bill

    def count(self, traffic: Traffic) -> None:
        """Adds what a client has done."""
        self.requests += traffic.requests
        self.retries += traffic.retries
        self.waited_seconds = round(self.waited_seconds + traffic.waited_seconds, 3)

    def end(self, course: Course) -> None:
        """Notes how it ended."""
        cursor = course.cursor
        self.finished_at = datetime.now(UTC)
        self.possibly_incomplete_seconds = course.incomplete
        self.to_id = cursor.position.id if cursor.position else None
        self.newest_created_at = _time(cursor.newest)
        self.covered_from = _time(cursor.covered_from)
        self.outcome = _outcome(course, self.failure, self.has_loaded or self.messages.has_something)
        relisted = self.relisted.sentence(self.counts.rows_returned) if self.relisted else None
        again = (
            "A full re-list is under way: the next sync --full goes on there."
            if self._is_cut(course)
            else None
        )
        self.detail = " ".join(filter(None, (relisted, _detail(course, self.failure), again))) or None

    def _is_cut(self, course: Course) -> bool:
        """Whether it is a full re-list that has begun and not ended."""
        return self.is_full and self.has_loaded and (self.failure is not None or course.request is not None)

    def fail(self, error: StoredCompletionsError) -> None:
        """Notes that it came to no orderly end."""
        self.finished_at = datetime.now(UTC)
        self.outcome = "failed"
        self.failure = error
        self.detail = str(error)

    def row(self) -> dict[str, Any]:
        """The columns of `sync_runs`, and more."""
        row = {field.name: getattr(self, field.name) for field in fields(self)} | asdict(self.counts)
        row |= asdict(self.messages)
        row["latest_seconds"] = self.counts.latest_seconds or None
        row["relisted"] = self.relisted.as_json() if self.relisted else None
        return {name: value for name, value in row.items() if name not in _OURS}

    def as_json(self) -> dict[str, Any]:
        said = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in self.row().items()
        }
        return said | {"billing": self.billing.as_json() if self.billing else None}

    def sentences(self) -> list[str]:
        """What a person wants to know of it."""
        counts = self.counts
        asked = counted(self.requests, "request")
        if self.outcome == "nothing_new":
            written = "the copy was renewed" if self.published else "nothing written"
            seen = counted(counts.rows_seen, "completion")
            said = [f"Nothing new: {seen} looked at again in {asked}, {written}."]
        else:
            late = f", {counts.rows_late:,} of them late" if counts.rows_late else ""
            said = [
                f"{counted(counts.rows_new, 'new completion')}{late}, {counts.rows_changed:,} changed, "
                f"{counts.rows_seen:,} looked at in {asked}."
            ]
        if counts.rows_quarantined:
            said.append(
                f"{counted(counts.rows_quarantined, 'object')} could not be loaded: see chat.quarantine."
            )
        if counts.rows_shared:
            said.append(
                f"{counted(counts.rows_shared, 'completion')} were loaded by another source before and stay its own: "
                f"do both keys belong to one project?"
            )
        if not counts.rows_seen and self.outcome in TO_THE_END:
            said.append(_NONE_LISTED if self.newest_created_at is None else _NONE_LISTED_ANY_MORE)
        said += self.messages.sentences()
        said += [self.detail] if self.detail else []
        said += [self.billing.sentence()] if self.billing else []
        behind = ": not published yet, publish_min_interval has not passed" if self.is_behind else ""
        said.append(f"{self.warehouse}{' (new)' if self.is_new_warehouse else ''}{behind}")
        return said


@dataclass(frozen=True)
class Ended:
    """A run of one account that came to its end: where from, which cursor, and where that one stands now."""

    report: Report
    endpoint: Endpoint
    key: str
    cursor: Cursor | None


def run_from_json(run: dict[str, Any]) -> dict[str, Any]:
    """The row of a run that was noted as JSON, its times as times again."""
    times = {
        name: datetime.fromisoformat(run[name]) for name in ("started_at", "finished_at") if run.get(name)
    }
    return run | times


def _outcome(course: Course, failure: StoredCompletionsError | None, changed: bool) -> str:
    if failure is None and course.request is None:
        return "done" if changed else "nothing_new"
    return "stopped" if failure is None or isinstance(failure, Stopped) else "failed"


def _detail(course: Course, failure: StoredCompletionsError | None) -> str | None:
    said = []
    if failure is not None:
        said.append(str(failure))
    elif course.request is not None:
        said.append("--max-pages is reached, the list is not at its end: the next sync goes on from there.")
    if course.is_forward_only:
        said.append("The server does not list newest first: it is read from the oldest completion on.")
    if course.incomplete:
        seconds = ", ".join(
            f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}" for second in course.incomplete
        )
        said.append(
            f"The server would not list these seconds whole, rows of them may be missing: {seconds} UTC."
        )
    return " ".join(said) or None


def _time(second: int | None) -> datetime | None:
    return None if second is None else datetime.fromtimestamp(second, UTC)
