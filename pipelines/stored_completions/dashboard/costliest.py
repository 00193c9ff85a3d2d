"""The costliest completions, found without pricing all of them.

reports.daily_costs says of each group (a UTC day's completions of a model, tier and basis) what the
costliest of it cost. Take the `top` groups where that is the most: each has a completion that costs
at least as much as the least of them, so no completion of any other group comes before these.
"""

from typing import Any

from duckdb import DuckDBPyConnection

from stored_completions.dashboard.scope import DAY, Scope, days_within
from stored_completions.reports.periods import Period

_GROUPS = """
select daily_costs.created_date, daily_costs.model, daily_costs.largest_cost_usd
from reports.daily_costs
where daily_costs.largest_cost_usd is not null and {days}
order by
    daily_costs.largest_cost_usd desc, daily_costs.created_date, daily_costs.source, daily_costs.model,
    daily_costs.service_tier, daily_costs.price_basis, daily_costs.usage_basis
"""


def gather(connection: DuckDBPyConnection, scope: Scope, has_rollups: bool) -> None:
    """Makes the table page_costliest: the costliest completions of the period, at most `top`."""
    where, more = _likely(connection, scope) if has_rollups else ("true", {})
    sql = _costliest(scope, where)
    connection.execute(sql, scope.parameters(sql, **more))


def _likely(connection: DuckDBPyConnection, scope: Scope) -> tuple[str, dict[str, Any]]:
    """A condition that all of them meet and few others do, and its parameters."""
    groups = _groups(connection, scope)
    if not groups:
        return "false", {}
    days = ", ".join(f"date '{day}'" for day in sorted({day for day, _, _ in groups}))
    models = sorted({model for _, model, _ in groups})
    return f"costs.created_date in ({days}) and list_contains($models, costs.model)", {"models": models}


def _groups(connection: DuckDBPyConnection, scope: Scope) -> list[tuple[Any, ...]]:
    """Outside UTC, days at the edges of the period are only partly in it: their groups set no bar."""
    if scope.timezone == "UTC":
        days = days_within("daily_costs", scope.period)
        return connection.execute(f"{_GROUPS.format(days=days)} limit {scope.top}").fetchall()
    days = days_within("daily_costs", scope.period, DAY)
    found = connection.execute(_GROUPS.format(days=days)).fetchall()
    inner = [group for group in found if _is_inside(group[0], scope.period)][: scope.top]
    if len(inner) < scope.top:
        return found
    edges = [group for group in found if not _is_inside(group[0], scope.period) and group[2] > inner[-1][2]]
    return inner + edges


def _is_inside(day: Any, period: Period) -> bool:
    """Whether a UTC day is in the period as a whole, whatever the time zone."""
    return not (period.first and day <= period.first) and not (period.last and day >= period.last)


def _costliest(scope: Scope, where: str) -> str:
    return f"""
create or replace temp table page_costliest as
select
    costs.completion_id,
    costs.created_at,
    costs.model,
    costs.service_tier,
    costs.metadata,
    costs.prompt_tokens,
    costs.completion_tokens,
    costs.cost_usd,
    costs.price_basis,
    costs.usage_basis
from marts.completion_costs as costs
where costs.cost_usd is not null and {where} and {scope.within("costs", scope.period)}
order by costs.cost_usd desc, costs.completion_id
limit $top
"""
