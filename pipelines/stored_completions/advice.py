"""What the runs of a source say about how it is synced: too seldom, or with too short a look-back."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from stored_completions.run_report import TO_THE_END
from stored_completions.wording import counted

Run = dict[str, Any]

RENEW_AFTER = timedelta(days=25)
_LATELY = timedelta(days=7)
_EDGE = 0.8
_OFTEN = 2


def of_source(runs: Iterable[Run], source: str) -> list[Run]:
    return [run for run in runs if run["source"] == source]


def of_kind(runs: Iterable[Run], source: str, filter_: str | None) -> list[Run]:
    """The runs of one source and filter; None: those that asked for everything."""
    return [run for run in of_source(runs, source) if run.get("filter") == filter_]


def complete(runs: Iterable[Run], source: str) -> list[Run]:
    """The runs of a source that read to the end: of everything, if any such run asked for everything."""
    ended = [run for run in of_source(runs, source) if run["outcome"] in TO_THE_END]
    return of_kind(ended, source, None) or ended


def retention(last: datetime | None, now: datetime, whose: str = "") -> str | None:
    """A warning, when the last successful sync (`whose`: ` of source x`) is so long ago that rows may be gone."""
    if last is None or now - last < RENEW_AFTER:
        return None
    return (
        f"The last successful sync{whose} was {(now - last).days} days ago. Completions are said to be kept for 30 days: "
        f"older ones may be gone."
    )


def look_back(runs: Iterable[Run], now: datetime, whose: str = "") -> str | None:
    """A suggestion, when rows keep arriving in the last fifth of the look-back, or beyond it.

    How late a row is is known from below: so far behind the newest one that an earlier sync had seen.
    """
    since = (now - _LATELY).isoformat()
    late = [run for run in runs if _is_at_edge(run) and str(run["started_at"]) >= since]
    beyond = [run for run in late if run["latest_seconds"] > run["lookback_seconds"]]
    if len(late) < _OFTEN and not beyond:
        return None
    latest = max(run["latest_seconds"] for run in late)
    window = max(run["lookback_seconds"] for run in late)
    return (
        f"In {len(late)} of the syncs{whose} of the last 7 days completions arrived near the end of the look-back or "
        f"behind it (up to {_minutes(latest)} late, of {_minutes(window)}): later ones are missed. Raise it, for example "
        f"with --lookback {_wider(latest, window)}."
    )


def warnings(runs: Sequence[Run], sources: Iterable[str], now: datetime) -> list[str]:
    """Everything that is worth a warning, source by source."""
    names = list(sources)
    said = []
    for source in names:
        whose = f" of source {source}" if len(names) > 1 else ""
        ended = [_time(run["finished_at"]) for run in complete(runs, source)]
        own = of_source(runs, source)
        said += [retention(max(ended, default=None), now, whose), look_back(own, now, whose)]
    return [sentence for sentence in said if sentence]


def _is_at_edge(run: Run) -> bool:
    latest, window = run.get("latest_seconds"), run.get("lookback_seconds")
    return latest is not None and window is not None and latest >= max(1, _EDGE * window)


def _wider(latest: int, window: int) -> str:
    """Twice the window, or as much as the latest row needed and a half more, in whole hours; at most a week."""
    hours = -(-max(2 * window, 3 * latest // 2) // 3600)
    return f"{min(hours, 168)}h"


def _minutes(seconds: int) -> str:
    return (
        counted(round(seconds / 60), "minute") if seconds < 7200 else counted(round(seconds / 3600), "hour")
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
