"""What the sections read: the period's completions, added up once into temporary tables of this session.

    page_usage       is_current, bucket, source, model, service_tier, price_basis, usage_basis, unpriced_reason
    page_costliest   the costliest completions of the period, at most `top`
    page_metadata    metadata_key, metadata_value of the period, for the keys that are shown
    page_endings     finish_reason of the period's answers
    page_reach       one row: what the warehouse has beside and around the period

Costs are those of marts.completion_costs, digit by digit; days are those of the page's time zone.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from duckdb import DuckDBPyConnection

from stored_completions import rollup
from stored_completions.periods import Period

DAY = timedelta(days=1)
KEYS_SHOWN = 3

_SUMS = (
    "completions",
    "completions_without_details",
    "cost_usd",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "prompt_audio_tokens",
    "reasoning_tokens",
    "completion_audio_tokens",
)
_GROUP = "source, model, service_tier, price_basis, usage_basis, unpriced_reason"
_HAS_NO_DETAILS = "not costs.has_details"


@dataclass(frozen=True)
class Scope:
    """The days the page is about, in which time zone, and how far down its lists go."""

    period: Period
    timezone: str = "UTC"
    top: int = 10
    metadata_keys: tuple[str, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def asked(self) -> Period:
        """The period and the one it is compared with."""
        previous = self.period.previous
        return Period(previous.first, self.period.last) if previous else self.period

    def day_of(self, table: str) -> str:
        if self.timezone == "UTC":
            return f"{table}.created_date"
        return f"cast(timezone($zone, {table}.created_at) as date)"

    def within(self, table: str, period: Period) -> str:
        """A condition on created_date, which prunes, and outside UTC one on created_at, which decides."""
        slack = timedelta() if self.timezone == "UTC" else DAY
        clauses = [f"{table}.created_date is not null"]
        if period.first:
            clauses.append(f"{table}.created_date >= date '{period.first - slack}'")
        if period.last:
            clauses.append(f"{table}.created_date <= date '{period.last + slack}'")
        if slack:
            clauses += self._moments(table, period)
        return " and ".join(clauses)

    def _moments(self, table: str, period: Period) -> list[str]:
        clauses = []
        if period.first:
            clauses.append(f"{table}.created_at >= timestamptz '{self._midnight(period.first)}'")
        if period.last:
            clauses.append(f"{table}.created_at < timestamptz '{self._midnight(period.last + DAY)}'")
        return clauses

    def _midnight(self, day: date) -> str:
        return datetime.combine(day, time(), self.zone).isoformat()

    def parameters(self, sql: str) -> dict[str, Any]:
        """Of what is known, what the statement names."""
        known = {
            "zone": self.timezone,
            "first": self.period.first,
            "keys": list(self.metadata_keys),
            "top": self.top,
        }
        return {name: value for name, value in known.items() if f"${name}" in sql}


def gather(connection: DuckDBPyConnection, scope: Scope) -> None:
    """Makes the tables that sections read; the warehouse itself is not written to."""
    usage = _daily(scope) if scope.timezone == "UTC" and rollup.exists(connection) else _usage(scope)
    for sql in (usage, _costliest(scope), _metadata(scope), _endings(scope), _REACH):
        connection.execute(sql, scope.parameters(sql))


def _daily(scope: Scope) -> str:
    """From the days that each sync has added up: no completion is priced again."""
    sums = ", ".join(f"sum({name}) as {name}" for name in _SUMS)
    return f"""
create or replace temp table page_usage as
select {_is_current(scope, "created_date")} as is_current, created_date as day, {_GROUP}, {sums}
from reports.daily_costs
where {scope.within("daily_costs", scope.asked)}
group by all
"""


def _usage(scope: Scope) -> str:
    day = scope.day_of("costs")
    sums = ",\n    ".join(f"sum(costs.{name}) as {name}" for name in _SUMS[2:])
    return f"""
create or replace temp table page_usage as
select
    {_is_current(scope, day)} as is_current,
    {day} as day,
    {_GROUP},
    count(*) as completions,
    count(*) filter (
        coalesce(costs.prompt_tokens, costs.completion_tokens, costs.total_tokens) is not null and {_HAS_NO_DETAILS}
    ) as completions_without_details,
    {sums}
from marts.completion_costs as costs
where {scope.within("costs", scope.asked)}
group by all
"""


def _is_current(scope: Scope, day: str) -> str:
    return "true" if scope.period.first is None else f"{day} >= $first"


def _costliest(scope: Scope) -> str:
    return f"""
create or replace temp table page_costliest as
with costliest as (
    select costs.completion_id, costs.cost_usd, costs.usage_basis, costs.price_basis
    from marts.completion_costs as costs
    where costs.cost_usd is not null and {scope.within("costs", scope.period)}
    order by costs.cost_usd desc, costs.completion_id
    limit $top
)
select
    costliest.*,
    completions.created_at,
    completions.model,
    completions.service_tier,
    completions.metadata,
    usage.prompt_tokens,
    usage.completion_tokens
from costliest
join chat.completions on completions.completion_id = costliest.completion_id
left join chat.usage on usage.completion_id = costliest.completion_id
"""


def _metadata(scope: Scope) -> str:
    """Every key when none is asked for: the sections choose. A completion has a key at most once."""
    asked = "list_contains($keys, metadata.key)" if scope.metadata_keys else "true"
    return f"""
create or replace temp table page_metadata as
select
    metadata.key as metadata_key,
    metadata.value as metadata_value,
    count(*) as completions,
    sum(costs.cost_usd) as cost_usd,
    count(costs.unpriced_reason) as unpriced_completions
from chat.metadata
join marts.completion_costs as costs on costs.completion_id = metadata.completion_id
where {asked} and {scope.within("costs", scope.period)}
group by metadata.key, metadata.value
"""


def _endings(scope: Scope) -> str:
    completions = ""
    table = "choices"
    if scope.timezone != "UTC":
        completions = "join chat.completions on completions.completion_id = choices.completion_id"
        table = "completions"
    return f"""
create or replace temp table page_endings as
select choices.finish_reason, count(*) as choices
from chat.choices
{completions}
where {scope.within(table, scope.period)}
group by choices.finish_reason
"""


_REACH = """
create or replace temp table page_reach as
select
    (select min(completions.created_at) from chat.completions) as oldest_at,
    (select max(completions.created_at) from chat.completions) as newest_at,
    (select count(*) from chat.completions where completions.created_date is null) as undated_completions,
    (select min(freshness.last_synced_at) from marts.freshness) as last_synced_at
"""
