"""A month's budget: what is spent, where it is heading, and whether that is within what was allowed.

The projection is a run rate: what is spent so far, times the length of the month over the part of it
that has passed. It takes no account of weekdays, so it is off while a month is young, and there is
none before a whole day has passed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import duckdb

from stored_completions.errors import UsageError
from stored_completions.money import dollars, percent
from stored_completions.reports import asking as reports
from stored_completions.reports.asking import NONE, Answer, Question, Row
from stored_completions.reports.catalog import COSTS, Column
from stored_completions.reports.dimensions import Dimension
from stored_completions.reports.periods import DAY, Period, month
from stored_completions.reports.sql import UTC
from stored_completions.reports.sums import BASES, EXACT, Values, ratio

METHOD = "run rate"
UNMET = ("over", "unknown")
"""The statuses that an exit code of 3 stands for."""

_SECOND = timedelta(seconds=1)
_PLACES = Decimal("1e-12")
_COLUMNS = (
    Column("status", "text"),
    Column("budget_usd", "money", quiet=True),
    Column("spent_usd", "money"),
    Column("spent_share", "share", 1, quiet=True),
    Column("projected_usd", "money", quiet=True, beside="spent_usd"),
    Column("projected_share", "share", 3, quiet=True, beside="spent_share"),
    *COSTS.columns[COSTS.columns.index(Column("exact_usd", "money", 5, quiet=True)) :],
)


@dataclass(frozen=True)
class Budget:
    """`whole` is for everything of a month, `parts` for single values of `by`; `on` says whether what is
    spent or what is projected must not exceed it, and `warn` at which share of it a warning is due."""

    whole: Decimal | None
    parts: Mapping[str, Decimal] = field(default_factory=dict)
    by: Dimension | None = None
    warn: Decimal = Decimal("0.8")
    on: str = "spent"
    timezone: str = UTC


@dataclass(frozen=True)
class Progress:
    """How far a month had come when the warehouse was last brought up to date; times are local ones."""

    first: date
    last: date
    as_of: datetime
    is_covered: bool = True
    """Whether the warehouse can tell that a month without completions had none."""

    @property
    def length(self) -> timedelta:
        return (self.last - self.first + DAY) // _SECOND * _SECOND

    @property
    def elapsed(self) -> timedelta:
        begin = datetime(self.first.year, self.first.month, 1)
        return min(max(self.as_of - begin, timedelta()), self.length)

    def projected(self, spent: Decimal | None) -> Decimal | None:
        """What the month comes to at the rate so far; None before a day of it has passed."""
        if spent is None or self.elapsed < DAY:
            return None
        if self.elapsed == self.length:
            return spent
        scaled = EXACT.multiply(spent, Decimal(self.length // _SECOND))
        return EXACT.divide(scaled, Decimal(self.elapsed // _SECOND)).quantize(_PLACES, context=EXACT)


def amounts(words: Iterable[str]) -> tuple[Decimal | None, dict[str, Decimal]]:
    """The budget of everything, and those of single values, from `500` and `search=200`."""
    whole: Decimal | None = None
    parts: dict[str, Decimal] = {}
    for word in words:
        name, equals, amount = word.rpartition("=")
        value = _amount(word, amount)
        if not equals:
            if whole is not None:
                raise UsageError("--monthly takes one amount for everything; others need a name: search=200.")
            whole = value
        else:
            parts[name] = value
    return whole, parts


def share(number: float) -> Decimal:
    """A share of the command line as the decimal that was written."""
    return Decimal(str(number))


def ask(
    connection: duckdb.DuckDBPyConnection,
    budget: Budget,
    day: date,
    now: datetime,
    synced: datetime | None = None,
) -> Answer:
    """The month that `day` is in against its budget, with a row for each value of `by`; `synced` is a
    sync that ended well and of which the warehouse does not know, since it found nothing new."""
    if budget.parts and budget.by is None:
        raise UsageError(
            "--monthly NAME=AMOUNT needs --by, which says what the name is of, e.g. metadata:team."
        )
    first, last = month(day)
    by = (budget.by,) if budget.by else (_WHOLE,)
    costs = reports.ask(
        connection, COSTS, Question(by, Period(first, last), budget.timezone, is_compared=False)
    )
    progress = _progress(connection, day, now, budget.timezone, synced)
    if costs.rows:
        progress = replace(progress, is_covered=True)
    spent: dict[str | None, Values] = {row.values[costs.by[0]]: row.values for row in costs.rows if budget.by}
    limits = {None if name == NONE else name: limit for name, limit in budget.parts.items()}
    idle = [name for name in limits if name not in spent]
    missing = _never_heard_of(connection, by, idle)
    unspent = {name: _NOTHING if progress.is_covered and name not in missing else _UNKNOWN for name in idle}
    rows = [
        Row("group", {costs.by[0]: name} | _values(budget, limits.get(name), values, progress))
        for name, values in (spent | unspent).items()
    ]
    whole = costs.total.values if costs.rows else _NOTHING if progress.is_covered else _UNKNOWN
    total = Row("total", {costs.by[0]: None} | _values(budget, budget.whole, whole, progress))
    return Answer(
        report="budget",
        title=f"Budget of {first:%Y-%m}",
        question=costs.question,
        by=costs.by,
        columns=(Column(costs.by[0], "label"), *_COLUMNS),
        rows=rows,
        total=total,
        basis=costs.basis,
        unpriced=costs.unpriced,
        notes=[*_notes(budget, progress, total, missing), *costs.notes],
        is_empty=False,
        details=_details(budget, progress, [*rows, total], missing),
    )


def _never_heard_of(
    connection: duckdb.DuckDBPyConnection, by: tuple[Dimension, ...], names: Sequence[str | None]
) -> list[str | None]:
    """Those of the names that no completion of any month has: surely misspelt, where others are only idle."""
    if not names:
        return []
    ever = reports.ask(connection, COSTS, Question(by, is_compared=False))
    known = {row.values[ever.by[0]] for row in ever.rows}
    return [name for name in names if name not in known]


def is_met(answer: Answer) -> bool:
    return answer.details["status"] not in UNMET


def line(answer: Answer) -> str:
    """The whole budget as one line, for a log or a message."""
    total, details = answer.total.values, answer.details
    spent, limit, projected = total["spent_usd"], total["budget_usd"], total["projected_usd"]
    of = f" of {dollars(limit)} ({percent(total['spent_share'])})" if limit is not None else ""
    parts = [
        f"budget {details['status']}: {'—' if spent is None else dollars(spent)}{of} spent in {details['month']} "
        f"({answer.question.timezone})",
        f"{dollars(projected)} projected by {METHOD}" if projected not in (None, spent) else "",
        *(
            f"{row.values[answer.by[0]] or NONE} is {row.values['status']}"
            for row in answer.rows
            if row.values["status"] in ("warn", *UNMET)
            and (row.values[answer.by[0]] or NONE) not in details["without_completions"]
        ),
        f"no completions of {', '.join(details['without_completions'])} in {details['month']}"
        if details["without_completions"]
        else "",
        "" if details["covered"] else f"the warehouse holds no completions of {details['month']}",
        *(f"{percent(ratio(total[name], spent))} {word}" for name, word in _WORDS.items() if total[name]),
        f"{total['unpriced_completions']:,} completions unpriced" if total["unpriced_completions"] else "",
    ]
    return "; ".join(part for part in parts if part)


_NOTHING: Values = {"cost_usd": Decimal(0)}
_UNKNOWN: Values = {"cost_usd": None}
_WHOLE = Dimension("whole", "scope", "'everything'", is_daily=True)
_WORDS = {
    "upper_bound_usd": "an upper bound",
    "unbounded_usd": "without a bound",
    "backdated_usd": "backdated",
    "override_usd": "overridden",
}


def _amount(word: str, text: str) -> Decimal:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or value <= 0:
        raise UsageError(f"--monthly is {word!r}: write an amount of US dollars above 0, or NAME=AMOUNT.")
    return value


def _progress(
    connection: duckdb.DuckDBPyConnection, day: date, now: datetime, timezone: str, synced: datetime | None
) -> Progress:
    """Spending is known up to the last sync, else to now. A month is covered where a sync came in or
    after it, and the data begins no later than it ends."""
    as_of, last_synced, begins = connection.execute(
        """
        select
            timezone($zone, least($now, greatest(max(last_synced_at), $synced))),
            timezone($zone, greatest(max(last_synced_at), $synced))::date,
            (select timezone($zone, min(created_at))::date from chat.completions)
        from marts.freshness
        """,
        {"zone": timezone, "now": now, "synced": synced},
    ).fetchall()[0]
    first, last = month(day)
    is_covered = last_synced is not None and last_synced >= first and begins is not None and begins <= last
    return Progress(first, last, as_of, is_covered)


def _values(budget: Budget, limit: Decimal | None, sums: Values, progress: Progress) -> Values:
    spent = sums["cost_usd"]
    projected = progress.projected(spent)
    return {
        "status": _status(budget, limit, spent, projected),
        "budget_usd": limit,
        "spent_usd": spent,
        "spent_share": ratio(spent, limit),
        "projected_usd": projected,
        "projected_share": ratio(projected, limit),
        **{name: sums.get(name) for name in (*BASES, "unpriced_completions")},
    }


def _status(
    budget: Budget, limit: Decimal | None, spent: Decimal | None, projected: Decimal | None
) -> str | None:
    if limit is None:
        return None
    if spent is None:
        return "unknown"
    expected = spent if projected is None else max(spent, projected)
    judged = expected if budget.on == "projected" else spent
    if judged > limit:
        return "over"
    return "warn" if judged >= budget.warn * limit or expected > limit else "ok"


def _details(
    budget: Budget, progress: Progress, rows: Iterable[Row], missing: Iterable[str | None]
) -> dict[str, Any]:
    statuses = {row.values["status"] for row in rows}
    return {
        "month": f"{progress.first:%Y-%m}",
        "as_of": progress.as_of.isoformat(timespec="seconds"),
        "covered": progress.is_covered,
        "without_completions": [name or NONE for name in missing],
        "method": METHOD,
        "on": budget.on,
        "warn": float(budget.warn),
        "status": next(status for status in (*UNMET, "warn", "ok") if status in statuses or status == "ok"),
    }


def _notes(budget: Budget, progress: Progress, total: Row, missing: Iterable[str | None]) -> list[str]:
    days = progress.elapsed / DAY
    length = progress.length // DAY
    said = []
    if progress.elapsed < DAY:
        said.append("Less than a day of the month has passed: too early to project it.")
    elif days < length:
        said.append(
            f"Projected by {METHOD}: what was spent in {days:.1f} of {length} days, for all of them; weekdays and "
            f"growth are not taken into account."
        )
    if not progress.is_covered:
        said.append(
            f"The warehouse holds no completions of {progress.first:%Y-%m}, so nobody can say that the budget is kept."
        )
    elif total.values["spent_usd"] is None:
        said.append("No completion of the month has a cost, so nobody can say that the budget is kept.")
    if budget.by:
        said += [f"No completion of the month has {budget.by.column} {name or NONE!r}." for name in missing]
    return said
