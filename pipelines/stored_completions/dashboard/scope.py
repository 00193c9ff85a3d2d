"""What a page is about: days in a time zone, and how far down its lists go."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from stored_completions.reports.periods import Period

DAY = timedelta(days=1)
NO_TIME = timedelta()


@dataclass(frozen=True)
class Scope:
    """The days the page is about, in which time zone, and how far down its lists go."""

    period: Period
    timezone: str = "UTC"
    top: int = 10
    metadata_keys: tuple[str, ...] = ()
    is_compared: bool = True

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def previous(self) -> Period | None:
        return self.period.previous if self.is_compared else None

    @property
    def asked(self) -> Period:
        """The period and the one it is compared with."""
        previous = self.previous
        return Period(previous.first, self.period.last) if previous else self.period

    def day_of(self, table: str) -> str:
        if self.timezone == "UTC":
            return f"{table}.created_date"
        return f"cast(timezone($zone, {table}.created_at) as date)"

    def within(self, table: str, period: Period) -> str:
        """A condition on created_date, which prunes, and outside UTC one on created_at, which decides."""
        if self.timezone == "UTC":
            return days_within(table, period)
        return " and ".join([days_within(table, period, DAY), *self._moments(table, period)])

    def edges(self, table: str) -> list[str]:
        """Conditions on created_date for the UTC days that may be in the period only in part."""
        first, last = self.period.first, self.period.last
        return [
            *([f"{table}.created_date <= date '{first}'"] if first else []),
            *([f"{table}.created_date >= date '{last}'"] if last else []),
        ]

    def _moments(self, table: str, period: Period) -> list[str]:
        clauses = []
        if period.first:
            clauses.append(f"{table}.created_at >= timestamptz '{self._midnight(period.first)}'")
        if period.last:
            clauses.append(f"{table}.created_at < timestamptz '{self._midnight(period.last + DAY)}'")
        return clauses

    def _midnight(self, day: date) -> str:
        return datetime.combine(day, time(), self.zone).isoformat()

    def parameters(self, sql: str, **more: Any) -> dict[str, Any]:
        """Of what is known, what the statement names."""
        known = {
            "zone": self.timezone,
            "first": self.period.first,
            "keys": list(self.metadata_keys),
            "top": self.top,
            **more,
        }
        return {name: value for name, value in known.items() if f"${name}" in sql}


def days_within(table: str, period: Period, slack: timedelta = NO_TIME) -> str:
    """A condition on created_date: the days of a period, and so many before and after it."""
    clauses = [f"{table}.created_date is not null"]
    if period.first:
        clauses.append(f"{table}.created_date >= date '{period.first - slack}'")
    if period.last:
        clauses.append(f"{table}.created_date <= date '{period.last + slack}'")
    return " and ".join(clauses)
