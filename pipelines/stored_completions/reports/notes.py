"""What a figure rests on and what it leaves out, as numbers and as sentences."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import duckdb

from stored_completions.money import dollars, percent
from stored_completions.reports.catalog import Definition
from stored_completions.reports.periods import Period
from stored_completions.reports.reconcile_notes import coverage, share
from stored_completions.reports.sums import EXACT, Sums, Values, ratio
from stored_completions.wording import counted

MOST_UNPRICED = 5

_WHAT = {"calls": "tool calls", "weighed answers": "answers with logprobs"}

COVERAGE_UNKNOWN = (
    "Coverage unknown: requests that were not stored are in no figure here. `sync --billing` reads the organization's "
    "bill, and `report reconcile` says how much of it this is."
)

_BASES = {
    "upper_bound_usd": "an upper bound: only totals were stored, so cached input counts at the full rate",
    "unbounded_usd": "not even an upper bound: only totals were stored, and the model bills some tokens dearer",
    "backdated_usd": "backdated: the tier's price from before it was listed, at its ratio to standard",
    "override_usd": "at prices that an override sets (see `stored-completions prices explain`)",
}


def basis(records: Sequence[Sums]) -> list[Values]:
    """Completions and cost by what the cost rests on, the largest first."""
    return _counted(
        records, ("price_basis", "usage_basis"), lambda record: record.get("cost_usd") is not None
    )


def unpriced(records: Sequence[Sums]) -> list[Values]:
    """Completions without a cost by model and reason, the most first."""
    found = _counted(
        records, ("model", "unpriced_reason"), lambda record: record["unpriced_reason"] is not None
    )
    return [{name: value for name, value in each.items() if name != "cost_usd"} for each in found]


def notes(
    connection: duckdb.DuckDBPyConnection,
    definition: Definition,
    period: Period,
    records: Sequence[Sums],
    total: Sums,
    of_previous: Sequence[str],
) -> list[str]:
    """The sentences that belong to a report, most important first; `of_previous` are those about the period before."""
    if not records:
        return [_nothing(connection, definition, period)]
    said = (
        cost_notes(total, unpriced(records))
        if "cost_usd" in definition.facts.sums and not definition.only_unpriced
        else []
    )
    is_about_cost = bool(said)
    return [
        *said,
        *_token_notes(total),
        *of_previous,
        *_undated_notes(connection, period),
        *([_coverage_note(connection, period)] if is_about_cost else []),
    ]


def cost_notes(total: Sums, left_out: Sequence[Sums]) -> list[str]:
    """What the cost in `total` rests on, and the completions it leaves out."""
    return [*_basis_notes(total), *_unpriced_notes(total, left_out)]


def _basis_notes(total: Sums) -> list[str]:
    cost = total.get("cost_usd")
    if not cost:
        return []
    if total["exact_usd"] == cost:
        return [f"All of {dollars(cost)} is exact: counted in full, at listed prices."]
    parts = [
        f"Of {dollars(cost)}, {_part(total['exact_usd'], cost)} is exact: counted in full, at listed prices."
    ]
    parts += [f"{_part(total[name], cost)} is {what}." for name, what in _BASES.items() if total[name]]
    if sum((total[name] for name in ("exact_usd", *_BASES)), Decimal(0)) > cost:
        parts.append("These parts overlap.")
    return [" ".join(parts), *_estimate_notes(total, cost)]


def _estimate_notes(total: Sums, cost: Decimal) -> list[str]:
    """What the organization's bill brings an upper bound down to, where one was read."""
    part = total.get("estimated_part_usd")
    if not part:
        return []
    estimated = total["estimated_cost_usd"]
    brought_down = EXACT.add(EXACT.subtract(part, cost), estimated)
    return [
        f"With the cached share of the organization's bill, by day, model and tier, it is an estimated "
        f"{dollars(estimated, cost)}: {dollars(part, cost)} of the upper bound comes down to {dollars(brought_down, cost)}."
    ]


def _part(amount: Decimal, whole: Decimal) -> str:
    return f"{dollars(amount, whole)} ({percent(ratio(amount, whole))})"


def _unpriced_notes(total: Sums, left_out: Sequence[Sums]) -> list[str]:
    missing = total.get("unpriced_completions")
    if not missing:
        return []
    named = [
        f"{each['completions']:,} × {each['model'] or '(none)'} ({each['unpriced_reason']})"
        for each in left_out[:MOST_UNPRICED]
    ]
    more = len(left_out) - MOST_UNPRICED
    kinds = "kind" if more == 1 else "kinds"
    rest = f" and {more} more {kinds}, see `report unpriced`" if more > 0 else ""
    have = "has" if missing == 1 else "have"
    return [
        f"Left out of every sum (*): {missing:,} of {counted(total['completions'], 'completion')} {have} no cost: "
        f"{', '.join(named)}{rest}."
    ]


def _token_notes(total: Sums) -> list[str]:
    said = []
    if missing := total.get("completions_without_usage"):
        said.append(
            f"{missing:,} of {total['completions']:,} completions came without counters: they are in no sum."
        )
    if missing := total.get("completions_without_details"):
        said.append(
            f"{missing:,} came with totals only: cached, reasoning and audio tokens leave them out, and cached_share "
            f"is of those that say."
        )
    return said


def gone(definition: Definition, groups: Sequence[Sums]) -> list[str]:
    """The groups that only the previous period has."""
    if not groups:
        return []
    known = [sums[definition.main] for sums in groups if sums.get(definition.main) is not None]
    amount = sum(known, Decimal(0)) if definition.main == "cost_usd" else sum(known)
    shown = dollars(amount) if isinstance(amount, Decimal) else f"{amount:,}"
    are = "group" if len(groups) == 1 else "groups"
    return [
        f"The previous period also had {len(groups):,} {are} that this one has not, with {shown} together."
    ]


def _undated_notes(connection: duckdb.DuckDBPyConnection, period: Period) -> list[str]:
    if period == Period():
        return []
    count = connection.execute("select count(*) from chat.completions where created_at is null").fetchall()[
        0
    ][0]
    are = "is" if count == 1 else "are"
    return [f"{counted(count, 'completion')} without a usable time {are} in no period."] if count else []


def _coverage_note(connection: duckdb.DuckDBPyConnection, period: Period) -> str:
    """How much of what was billed this is; the bill's days are UTC, whatever the report's are."""
    known = coverage(connection, period)
    if known is None:
        return COVERAGE_UNKNOWN
    stored, billed = known
    if not billed:
        return "Coverage unknown: the bill names no requests on these days, see `report reconcile`."
    return f"{share(stored, billed)} on these UTC days: what was not stored is in no figure here, see `report reconcile`."


def _nothing(connection: duckdb.DuckDBPyConnection, definition: Definition, period: Period) -> str:
    count, first, last = connection.execute(
        "select count(*), min(created_date), max(created_date) from chat.completions"
    ).fetchall()[0]
    if not count:
        return "The warehouse has no completions yet: `stored-completions sync` brings them."
    what = _WHAT.get(definition.facts.of, definition.facts.of)
    if definition.only_unpriced:
        return f"Every completion has a cost ({period})."
    return f"No {what} in this period ({period}): the warehouse has {counted(count, 'completion')} from {first} to {last}."


def _counted(records: Iterable[Sums], names: tuple[str, ...], fits: Any) -> list[Values]:
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    costs: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for record in records:
        if fits(record):
            key = tuple(record[name] for name in names)
            counts[key] += record["completions"]
            costs[key] = EXACT.add(costs[key], record.get("cost_usd") or Decimal(0))
    ordered = sorted(counts, key=lambda key: (-costs[key], -counts[key], [str(value) for value in key]))
    return [
        dict(zip(names, key, strict=True)) | {"completions": counts[key], "cost_usd": costs[key]}
        for key in ordered
    ]
