"""The organization's endpoints: usage and costs in daily buckets, grouped as asked, to admin keys only."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from . import answers
from .answers import Answer, RequestError
from .bill import Bill, Cost, Usage
from .rules import Rules

_DAY = timedelta(days=1)
_DEFAULT_LIMIT = 7
_ADMIN = "sk-admin"

Parameters = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class _Report:
    """One endpoint: what it counts, what it can be grouped by, and how many days a page may have."""

    object: str
    groups: tuple[str, ...]
    most_days: int
    entries: Callable[[Bill], Sequence[Usage | Cost]]
    summed: Callable[[Sequence[Any]], dict[str, Any]]


def is_asked(path: str) -> bool:
    return path.removeprefix("/v1/organization/") in _REPORTS


def answer(path: str, parameters: Parameters, key: str, bill: Bill, rules: Rules, now: float) -> Answer:
    """A page of a report; RequestError for a request that the API turns down."""
    report = _REPORTS[path.removeprefix("/v1/organization/")]
    if rules.admin_key not in (None, key) or not key.startswith(_ADMIN):
        raise RequestError(answers.scope_missing("api.usage.read"))
    asked = _Asked.read(parameters, report, rules)
    days = list(_days(asked.first, asked.end))
    start = days.index(asked.page) if asked.page in days else 0
    shown, more = days[start : start + asked.limit], days[start + asked.limit :]
    visible = [entry for entry in report.entries(bill) if entry.visible_at <= now]
    buckets = [
        {
            "object": "bucket",
            "start_time": _second(day),
            "end_time": _second(day + _DAY),
            "results": _results(report, asked.groups, [entry for entry in visible if entry.day == day]),
        }
        for day in shown
    ]
    following = f"page_{more[0].isoformat()}" if more else None
    return answers.ok({"object": "page", "data": buckets, "has_more": bool(more), "next_page": following})


@dataclass(frozen=True)
class _Asked:
    first: date
    end: date
    limit: int
    groups: tuple[str, ...]
    page: date | None

    @classmethod
    def read(cls, parameters: Parameters, report: _Report, rules: Rules) -> "_Asked":
        one = {name: values[-1] for name, values in parameters.items()}
        groups = tuple(parameters.get("group_by", ()))
        for name in groups:
            if name not in report.groups:
                raise RequestError(answers.value_unknown("group_by", name, report.groups))
        if "start_time" not in one:
            raise RequestError(answers.parameter_missing("start_time"))
        limit = _whole(one, "limit", _DEFAULT_LIMIT)
        if limit > report.most_days:
            raise RequestError(answers.limit_too_large(limit, report.most_days))
        if one.get("bucket_width", "1d") != "1d":
            raise RequestError(answers.value_unknown("bucket_width", one["bucket_width"], ("1d",)))
        first = _date(_whole(one, "start_time", 0))
        end = _date(_whole(one, "end_time", _second(first + limit * _DAY)))
        page = date.fromisoformat(one["page"].removeprefix("page_")) if "page" in one else None
        return cls(first, end, limit, groups[-1:] if rules.grouping == "last" else groups, page)


def _results(report: _Report, groups: Sequence[str], entries: Iterable[Any]) -> list[dict[str, Any]]:
    """One result for each combination that occurs; what is not grouped by is null."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for entry in entries:
        found.setdefault(tuple(entry.group[name] for name in groups), []).append(entry)
    return [
        {
            "object": report.object,
            **report.summed(several),
            **dict.fromkeys(report.groups),
            **dict(zip(groups, key, strict=True)),
        }
        for key, several in found.items()
    ]


def _counters(entries: Sequence[Usage]) -> dict[str, Any]:
    return {name: sum(entry.counters[name] for entry in entries) for name in entries[0].counters}


def _amount(entries: Sequence[Cost]) -> dict[str, Any]:
    """As Decimal128 writes it: text of many digits, and nothing as 0E-6176."""
    total = sum((entry.amount for entry in entries), Decimal(0))
    value = f"{total:.30f}" if total else "0E-6176"
    return {
        "amount": {"value": value, "currency": "usd"},
        "quantity": sum(entry.quantity for entry in entries),
        "quantity_unit": entries[0].unit,
    }


def _days(first: date, end: date) -> Iterable[date]:
    while first < end:
        yield first
        first += _DAY


def _date(second: int) -> date:
    return datetime.fromtimestamp(second, UTC).date()


def _second(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _whole(one: Mapping[str, str], name: str, default: int) -> int:
    text = one.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise RequestError(answers.wrong_type(name, "an integer", text))
    return int(text)


_REPORTS: dict[str, _Report] = {
    "usage/completions": _Report(
        "organization.usage.completions.result",
        ("project_id", "api_key_id", "model", "batch", "service_tier"),
        31,
        lambda bill: bill.usage,
        _counters,
    ),
    "costs": _Report(
        "organization.costs.result",
        ("project_id", "line_item", "api_key_id"),
        180,
        lambda bill: bill.costs,
        _amount,
    ),
}
