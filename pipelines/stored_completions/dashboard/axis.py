"""The time axis: days of a short period, weeks or months of a longer one."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from stored_completions.dashboard import shown

DAY = timedelta(days=1)
DAYS_AT_MOST = 62
WEEKS_AT_MOST = 400  # days

Unit = Literal["day", "week", "month"]
_HEADINGS = {"day": "Day", "week": "Week from", "month": "Month"}


@dataclass(frozen=True)
class Axis:
    """`steps` are the first days of each day, week (Monday) or month from the first day to the last."""

    unit: Unit
    steps: list[date]

    @property
    def heading(self) -> str:
        return _HEADINGS[self.unit]

    def step_of(self, day: date) -> date:
        return step_of(self.unit, day)

    def label(self, step: date) -> str:
        return shown.month(step) if self.unit == "month" else shown.day(step)

    def short_label(self, step: date) -> str:
        return shown.month(step) if self.unit == "month" else shown.short_day(step)


def axis(first: date, last: date) -> Axis:
    """Every step of the days from first to last, both included, none left out."""
    days = (last - first).days + 1
    unit: Unit = "day" if days <= DAYS_AT_MOST else "week" if days <= WEEKS_AT_MOST else "month"
    steps = dict.fromkeys(step_of(unit, first + at * DAY) for at in range(days))
    return Axis(unit, list(steps))


def step_of(unit: Unit, day: date) -> date:
    if unit == "week":
        return day - day.weekday() * DAY
    return day.replace(day=1) if unit == "month" else day
