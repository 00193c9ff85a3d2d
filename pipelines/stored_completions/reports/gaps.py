"""Whether the period before can stand beside one: not where a sync read back to some time in it only."""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from stored_completions.reports.periods import Period


@dataclass(frozen=True)
class Gap:
    """The former period, and from when on, in local time, everything of these sources is there."""

    previous: Period
    sources: tuple[str, ...]
    begins: datetime

    def __str__(self) -> str:
        plural = "s" if len(self.sources) > 1 else ""
        return (
            f"No change against {self.previous} is shown: of source{plural} {', '.join(self.sources)} everything is "
            f"there only from {self.begins:%Y-%m-%d %H:%M} on. `sync --since` with an earlier date reads further back."
        )


def gap(
    connection: duckdb.DuckDBPyConnection, period: Period, previous: Period | None, timezone: str
) -> Gap | None:
    """What of `previous` was never read, of the sources that have completions in `period`."""
    if previous is None:
        return None
    days = {"zone": timezone, "previous": previous.first}
    try:
        found = connection.execute(_CUT_SHORT, days).fetchall()
    except duckdb.BinderException:  # published before covered_from was noted
        return None
    if not found:
        return None
    days |= {"first": period.first, "last": period.last}
    present = {row[0] for row in connection.execute(_PRESENT, days).fetchall()}
    begins = {source: begin for source, begin in found if source in present}
    return Gap(previous, tuple(begins), max(begins.values())) if begins else None


_CUT_SHORT = """
select source, timezone($zone, covered_from) from chat.sources
where timezone($zone, covered_from) > cast($previous as date)
order by source
"""
_PRESENT = """
select distinct source from chat.completions
where created_date >= $previous and cast(timezone($zone, created_at) as date) between $first and $last
"""
