"""Days as people say them: `7d`, `last-month`, `2026-01`; and the period two such words make.

Every word names a span of whole days in the report's time zone. `--since` takes the first day of its
word, `--until` the last one of its word, and both days are in: `--since 2026-01 --until 2026-01` is
January. `7d` are the 7 days that end with today; as `--until` it is the day 7 days ago, so that
`--since 14d --until 7d` and `--since 7d` lie side by side. Weeks begin on Monday.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from stored_completions.errors import UsageError

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """The days from `first` to `last`, both included; None is open."""

    first: date | None = None
    last: date | None = None

    @property
    def days(self) -> int | None:
        return None if self.first is None or self.last is None else (self.last - self.first).days + 1

    @property
    def previous(self) -> "Period | None":
        """The period of equal length that ends the day before; None for one without beginning or end, or
        whose previous one would begin before the calendar."""
        if self.first is None or self.days is None or (self.first - date.min).days < self.days:
            return None
        return Period(self.first - self.days * DAY, self.first - DAY)

    def __str__(self) -> str:
        if self.first is None:
            return "all days" if self.last is None else f"all days to {self.last}"
        return f"from {self.first}" if self.last is None else f"{self.first} to {self.last}"


def period(since: str | None, until: str | None, today: date) -> Period:
    """The period of two words; without `until` one with a beginning ends today. UsageError for one that begins
    after today or after its end."""
    first = span("--since", since, today)[0] if since else None
    if first and first > today:
        raise UsageError(f"--since is {since!r}, which is in the future: no completion is that new.")
    last = _until(until, today) if until else today if first else None
    if first and last and first > last:
        begin = "" if since == str(first) else f", which begins on {first},"
        end = "" if until == str(last) else f", {last}"
        raise UsageError(f"--since {since}{begin} is after the end of --until {until}{end}.")
    return Period(first, last)


def span(flag: str, word: str, today: date) -> tuple[date, date]:
    """First and last day of what a word names."""
    text = word.strip().lower()
    if text in _WORDS:
        return _WORDS[text](today)
    try:
        return _ago(text, today) or _calendar(text)
    except (ValueError, OverflowError):
        raise UsageError(f"{flag} is {word!r}, which is no date: write {ACCEPTED}.") from None


def month(day: date) -> tuple[date, date]:
    """First and last day of the month that a day is in."""
    first = day.replace(day=1)
    return first, (first + 31 * DAY).replace(day=1) - DAY


def _until(word: str, today: date) -> date:
    number = _number_of_days(word.strip().lower())
    if number is None:
        return span("--until", word, today)[1]
    return span("--until", f"{number + 1}d", today)[0]


def _ago(text: str, today: date) -> tuple[date, date] | None:
    number = _number_of_days(text)
    return None if number is None else (today - (number - 1) * DAY, today)


def _number_of_days(text: str) -> int | None:
    match = re.fullmatch(r"([1-9]\d{0,6})([dw])", text)
    return int(match[1]) * (7 if match[2] == "w" else 1) if match else None


def _calendar(text: str) -> tuple[date, date]:
    parts = re.fullmatch(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", text)
    if parts is None:
        raise ValueError
    if parts[3]:
        day = date.fromisoformat(text)
        return day, day
    return month(date(int(parts[1]), int(parts[2]), 1)) if parts[2] else _year(int(parts[1]))


def _week(day: date) -> tuple[date, date]:
    monday = day - day.weekday() * DAY
    return monday, monday + 6 * DAY


def _year(year: int) -> tuple[date, date]:
    return date(year, 1, 1), date(year, 12, 31)


_WORDS: dict[str, Callable[[date], tuple[date, date]]] = {
    "today": lambda today: (today, today),
    "yesterday": lambda today: (today - DAY, today - DAY),
    "this-week": _week,
    "last-week": lambda today: _week(today - 7 * DAY),
    "this-month": month,
    "last-month": lambda today: month(today.replace(day=1) - DAY),
    "this-year": lambda today: _year(today.year),
    "last-year": lambda today: _year(today.year - 1),
}
ACCEPTED = f"a day (2026-01-31), a month (2026-01), a year (2026), 7d, 2w, {', '.join(_WORDS)}"
