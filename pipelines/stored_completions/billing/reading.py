"""Some days of a report over HTTP: its pages one after the other, and whether it is grouped as asked.

Array parameters are sent repeated (`group_by=model&group_by=batch`). A server that ignores a grouping
answers all the same, with sums over what was to be kept apart: that is an error here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from stored_completions.billing.pages import Page, Result, read_page
from stored_completions.billing.reports import Report, Row
from stored_completions.client import Client
from stored_completions.errors import NoProgress, ServiceError

_ONE = timedelta(days=1)


@dataclass(frozen=True)
class Days:
    """UTC days from `first` to `last`, both included."""

    first: date
    last: date

    def slices(self, most: int) -> Iterator["Days"]:
        """The days in order, at most so many together."""
        first = self.first
        while first <= self.last:
            last = min(self.last, first + (most - 1) * _ONE)
            yield Days(first, last)
            first = last + _ONE


def read(
    client: Client, report: Report, source: str, days: Days, on_page: Callable[[int], None]
) -> list[Row]:
    """The rows of these days; `on_page` hears how many results each page had.

    NoProgress when pages repeat, ServiceError when the report is not grouped as asked.
    """
    found: dict[date, list[Result]] = {}
    page: str | None = None
    seen: set[str | None] = set()
    while page is None or page not in seen:
        seen.add(page)
        answer = client.organization(read_page, report.path, _query(report, days, page)).value
        _add(found, answer, days)
        on_page(sum(map(len, answer.days.values())))
        if answer.next is None:
            for day, results in found.items():
                _check_groups(report, day, results)
            return [row for day in sorted(found) for row in report.rows(source, day, found[day])]
        page = answer.next
    raise NoProgress(
        f"The pages of the organization's {report.path} repeat: the bill cannot be read to its end."
    )


def _query(report: Report, days: Days, page: str | None) -> dict[str, str | tuple[str, ...] | None]:
    return {
        "start_time": str(_second(days.first)),
        "end_time": str(_second(days.last + _ONE)),
        "bucket_width": "1d",
        "group_by": report.groups,
        "limit": str(min(report.most_days, (days.last - days.first).days + 1)),
        "page": page,
    }


def _second(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _add(found: dict[date, list[Result]], page: Page, days: Days) -> None:
    """Adds a page; what an earlier one had of a day already, word for word, counts once."""
    for day, results in page.days.items():
        if days.first <= day <= days.last:
            known = found.setdefault(day, [])
            earlier = list(known)
            known.extend(result for result in results if result not in earlier)


def _check_groups(report: Report, day: date, results: list[Result]) -> None:
    """An ignored grouping leaves its field null in every result of a day; one of nothing but zeros says nothing."""
    results = [result for result in results if report.says_something(result)]
    for name in report.always:
        if results and all(result.get(name) is None for result in results):
            raise ServiceError(
                f"The organization's {report.path} of {day} are not grouped by {name} although that was asked for: "
                f"a proxy may have dropped a repeated group_by. Nothing of these days was stored."
            )
