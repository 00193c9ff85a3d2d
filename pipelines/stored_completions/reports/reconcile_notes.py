"""What stands beside a reconciliation: coverage, the price level, what was not compared and why."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import duckdb

from stored_completions.money import dollars, percent
from stored_completions.reports.periods import Period
from stored_completions.reports.sums import EXACT, Sums, Values, merged, ratio

UNKNOWN = "(not said)"
NO_BILL = (
    "Coverage unknown: no bill was read. `stored-completions sync --billing` reads it with an admin key "
    "(OPENAI_ADMIN_KEY), which an owner of the organization makes."
)
BY_COMPARISON = {
    "no_model": "lines that name no model",
    "no_usage": "other APIs",
    "no_cost_yet": "used, not charged yet",
    "not_billed": "stored, in no bill yet",
    "not_read": "days of which no bill was read",
    "more_stored": "more stored than billed",
}

_MOST = 3


def notes(connection: duckdb.DuckDBPyConnection, records: Sequence[Values], period: Period) -> list[str]:
    """The sentences, most important first."""
    if not _rows(connection, "from chat.organization_bills"):
        return [NO_BILL]
    if not records:
        return [f"The bill has nothing in this period ({period})."]
    return [
        *_coverage(records),
        *_left_out(records),
        *_lines(connection, period),
        *_levels(connection, period),
        *_projects(connection),
        *_unsettled(connection, period),
        *_without_bill(connection),
    ]


def details(connection: duckdb.DuckDBPyConnection, records: Sequence[Values], total: Sums) -> dict[str, Any]:
    """For machines: coverage, and what was not compared, by reason."""
    left_out = [each for each in records if each["comparison"] != "compared"]
    reasons = sorted({each["comparison"] for each in left_out})
    return {
        "coverage": ratio(total.get("stored_completions"), total.get("billed_requests")),
        "difference_usd": _text(
            sum((each["compared_usd"] - each["stored_usd"] for each in records), Decimal(0))
            if records
            else None
        ),
        "not_compared": [
            {
                "comparison": reason,
                "billed_usd": _text(
                    sum(each["billed_usd"] for each in left_out if each["comparison"] == reason)
                ),
            }
            for reason in reasons
        ],
        "lines_not_understood": [
            {"line_item": line, "billed_usd": _text(amount)}
            for line, amount in _not_understood(connection, Period())
        ],
    }


def _coverage(records: Sequence[Values]) -> list[str]:
    total = merged(
        [{name: each[name] for name in ("billed_requests", "stored_completions")} for each in records]
    )
    billed, stored = total["billed_requests"], total["stored_completions"]
    if not billed:
        return [f"Coverage unknown: the bill names no requests, {stored:,} completions are stored."]
    return [f"{share(stored, billed)}."]


def coverage(connection: duckdb.DuckDBPyConnection, period: Period) -> tuple[int, int] | None:
    """Completions stored and requests billed on the UTC days of a period; None where no bill was read."""
    try:
        if not _rows(connection, "from chat.organization_bills limit 1"):
            return None
        stored, billed = _rows(connection, _COVERAGE, [period.first, period.last])[0]
    except duckdb.CatalogException:
        return None
    return int(stored), int(billed)


def share(stored: int, billed: int) -> str:
    return (
        f"{stored:,} completions are stored of {billed:,} requests billed ({percent(ratio(stored, billed))})"
    )


_COVERAGE = """
select coalesce(sum(stored_completions), 0), coalesce(sum(billed_requests), 0) from marts.reconciliation
where usage_date >= coalesce(cast(? as date), usage_date) and usage_date <= coalesce(cast(? as date), usage_date)
"""


def _left_out(records: Sequence[Values]) -> list[str]:
    """Completions that are in no comparison; what was billed beside them is a step of its own."""
    stored = [each for each in records if each["comparison"] != "compared" and each["stored_completions"]]
    parts = [
        f"{each['stored_completions']:,} ({BY_COMPARISON[each['comparison']]})" for each in _by_reason(stored)
    ]
    return [f"Completions that are in no comparison: {', '.join(parts)}."] if parts else []


def _by_reason(records: Sequence[Values]) -> list[Values]:
    reasons = dict.fromkeys(each["comparison"] for each in records)
    return [
        {
            "comparison": reason,
            "stored_completions": sum(
                each["stored_completions"] for each in records if each["comparison"] == reason
            ),
        }
        for reason in reasons
    ]


def _lines(connection: duckdb.DuckDBPyConnection, period: Period) -> list[str]:
    found = _not_understood(connection, period)
    named = ", ".join(f"{line or '(none)'} ({dollars(amount)})" for line, amount in found[:_MOST] if amount)
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    said = [f"Lines of the bill that are not understood: {named}{more}."] if named else []
    foreign = _rows(
        connection,
        "select count(*) from chat.organization_costs where amount_usd is null and amount is not null",
    )[0][0]
    return [*said, *([f"{foreign:,} lines are not in US dollars: they are in no sum."] if foreign else [])]


def _not_understood(
    connection: duckdb.DuckDBPyConnection, period: Period
) -> list[tuple[str | None, Decimal]]:
    return _rows(
        connection,
        "select line_item, coalesce(sum(amount_usd), 0) from chat.organization_costs where kind is null"
        " and cost_date >= coalesce(cast(? as date), cost_date) and cost_date <= coalesce(cast(? as date), cost_date)"
        " group by line_item order by sum(amount_usd) desc nulls last, line_item",
        [period.first, period.last],
    )


def _levels(connection: duckdb.DuckDBPyConnection, period: Period) -> list[str]:
    found = _rows(
        connection,
        "select model, median(price_level) as level from marts.reconciliation where price_level is not null"
        " and usage_date >= coalesce(cast(? as date), usage_date) and usage_date <= coalesce(cast(? as date), usage_date)"
        " group by model having abs(level - 1) > 0.0005 order by abs(level - 1) desc, model",
        [period.first, period.last],
    )
    named = ", ".join(f"{model} {percent(level)}" for model, level in found[:_MOST])
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return (
        [f"Of the list's price the bill charges: {named}{more}; of every other model all of it."]
        if found
        else []
    )


def _projects(connection: duckdb.DuckDBPyConnection) -> list[str]:
    unknown = _rows(
        connection, "select source from chat.organization_bills where project_id is null order by source"
    )
    named = ", ".join(source for (source,) in unknown)
    return (
        [
            f"In which project the completions of {named} are is not said, so they stand beside the requests of all "
            f'projects: set billing_project = "proj_..." (or OPENAI_PROJECT_ID) and read the bill again.'
        ]
        if unknown
        else []
    )


def _unsettled(connection: duckdb.DuckDBPyConnection, period: Period) -> list[str]:
    (last,) = _rows(connection, "select max(last_date) from chat.organization_bills")[0]
    if last is None or (period.last is not None and (last - period.last).days >= _MOST):
        return []
    return [f"The bill was read up to {last}; its last three days may still change."]


def _without_bill(connection: duckdb.DuckDBPyConnection) -> list[str]:
    without = _rows(
        connection,
        "select source from chat.sources where source not in (select source from chat.organization_bills)"
        " order by source",
    )
    named = ", ".join(source for (source,) in without)
    return [f"Coverage unknown for {named}: no bill was read with that source."] if without else []


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    return connection.execute(sql, list(values)).fetchall()


def _text(amount: Any) -> str | None:
    return None if amount is None else f"{EXACT.normalize(Decimal(amount)):f}"
