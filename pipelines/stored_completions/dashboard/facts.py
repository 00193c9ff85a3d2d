"""What the sections read: the period's completions, added up once into temporary tables of this session.

    page_usage       is_current, day, source, model, service_tier, price_basis, usage_basis, unpriced_reason
    page_metadata    metadata_key, metadata_value of the period, of the keys asked for or of all
    page_endings     finish_reason of the period's answers
    page_tools       tool calls of the period by tool: calls, invalid, unfit, repeated
    page_confidence  tokens with logprobs of the period by model, and the sums that their means are made of
    page_reach       one row: what the warehouse has beside and around the period
    page_costliest   the costliest completions of the period, see `costliest`

Costs are those of marts.completion_costs, digit by digit; days are those of the page's time zone.
"""

from duckdb import DuckDBPyConnection

from stored_completions.dashboard import costliest
from stored_completions.dashboard.scope import DAY, Scope, days_within
from stored_completions.reports import rollup

KEYS_SHOWN = 3

_SUMS = (
    "completions",
    "completions_without_details",
    "cost_usd",
    "estimated_cost_usd",
    "estimated_part_usd",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "prompt_audio_tokens",
    "reasoning_tokens",
    "completion_audio_tokens",
)
_GROUP = "source, model, service_tier, price_basis, usage_basis, unpriced_reason"


def gather(connection: DuckDBPyConnection, scope: Scope) -> None:
    """Makes the tables that sections read; the warehouse itself is not written to."""
    has_rollups = rollup.exists(connection)
    for sql in (
        _daily(scope) if has_rollups and scope.timezone == "UTC" else _usage(scope),
        _metadata(scope, has_rollups),
        _endings(scope),
        _tools(scope),
        _confidence(scope),
        _REACH,
    ):
        connection.execute(sql, scope.parameters(sql))
    costliest.gather(connection, scope, has_rollups)


def _daily(scope: Scope) -> str:
    """From the days that each sync has added up: no completion is priced again."""
    sums = ", ".join(f"sum({name}) as {name}" for name in _SUMS)
    return f"""
create or replace temp table page_usage as
select {_is_current(scope, "created_date")} as is_current, created_date as day, {_GROUP}, {sums}
from reports.daily_costs
where {days_within("daily_costs", scope.asked)}
group by all
"""


def _usage(scope: Scope) -> str:
    day = scope.day_of("costs")
    sums = ",\n    ".join(f"{_summed(name)} as {name}" for name in _SUMS[2:])
    return f"""
create or replace temp table page_usage as
select
    {_is_current(scope, day)} as is_current,
    {day} as day,
    {_GROUP},
    count(*) as completions,
    count(*) filter (
        coalesce(costs.prompt_tokens, costs.completion_tokens, costs.total_tokens) is not null and not costs.has_details
    ) as completions_without_details,
    {sums}
from marts.completion_costs as costs
where {scope.within("costs", scope.asked)}
group by all
"""


def _summed(name: str) -> str:
    if name != "estimated_part_usd":
        return f"sum(costs.{name})"
    return "coalesce(sum(costs.cost_usd) filter (costs.estimated_usage_basis = 'cached_share_from_bill'), 0)"


def _is_current(scope: Scope, day: str) -> str:
    return "true" if scope.period.first is None else f"{day} >= $first"


def _metadata(scope: Scope, has_rollups: bool) -> str:
    """Every key when none is asked for: the sections choose. A completion has a key at most once.

    Whole days come from what each sync has added up; outside UTC the days at the edges are priced again.
    """
    parts = [_priced_pairs(scope, "true")]
    if has_rollups and scope.timezone == "UTC":
        parts = [_daily_pairs(scope, days_within("daily_metadata_costs", scope.period))]
    elif has_rollups:
        edge = " or ".join(scope.edges("costs")) or "false"
        parts = [
            _daily_pairs(scope, days_within("daily_metadata_costs", scope.period, -DAY)),
            _priced_pairs(scope, edge),
        ]
    return f"""
create or replace temp table page_metadata as
select
    metadata_key,
    metadata_value,
    sum(completions) as completions,
    sum(cost_usd) as cost_usd,
    sum(unpriced_completions) as unpriced_completions
from ({" union all ".join(parts)})
group by metadata_key, metadata_value
"""


def _daily_pairs(scope: Scope, days: str) -> str:
    return f"""
select metadata_key, metadata_value, completions, cost_usd, unpriced_completions
from reports.daily_metadata_costs
where {_asked_keys(scope, "metadata_key")} and {days}
"""


def _priced_pairs(scope: Scope, condition: str) -> str:
    return f"""
select
    metadata.key as metadata_key,
    metadata.value as metadata_value,
    count(*) as completions,
    sum(costs.cost_usd) as cost_usd,
    count(costs.unpriced_reason) as unpriced_completions
from chat.metadata
join marts.completion_costs as costs
    on costs.completion_id = metadata.completion_id and costs.created_date = metadata.created_date
where {_asked_keys(scope, "metadata.key")} and ({condition}) and {scope.within("costs", scope.period)}
group by metadata.key, metadata.value
"""


def _asked_keys(scope: Scope, column: str) -> str:
    return f"list_contains($keys, {column})" if scope.metadata_keys else "true"


def _endings(scope: Scope) -> str:
    completions = ""
    table = "choices"
    if scope.timezone != "UTC":
        completions = "join chat.completions using (completion_id, created_date)"
        table = "completions"
    return f"""
create or replace temp table page_endings as
select choices.finish_reason, count(*) as choices
from chat.choices
{completions}
where {scope.within(table, scope.period)}
group by choices.finish_reason
"""


def _tools(scope: Scope) -> str:
    return f"""
create or replace temp table page_tools as
with calls as (
    select
        calls.name,
        count(*) as calls,
        count(*) filter (not calls.arguments_valid) as invalid,
        count(*) filter (calls.arguments_valid and not calls.arguments_fit) as unfit,
        case when calls.arguments is null then 0 else count(*) - 1 end as repeated
    from marts.tool_calls_wide as calls
    where {scope.within("calls", scope.period)}
    group by calls.completion_id, calls.choice_index, calls.name, calls.arguments
)
select
    name,
    sum(calls)::bigint as calls,
    sum(invalid)::bigint as invalid,
    sum(unfit)::bigint as unfit,
    sum(repeated)::bigint as repeated
from calls
group by name
"""


def _confidence(scope: Scope) -> str:
    return f"""
create or replace temp table page_confidence as
select
    answers.model as name,
    count(*) as answers,
    sum(answers.tokens)::bigint as tokens,
    sum(answers.tokens_outside_top)::bigint as outside,
    sum(answers.mean_logprob * (answers.tokens - answers.tokens_outside_top)) as logprobs,
    sum(answers.tokens_with_alternatives)::bigint as weighed,
    sum(answers.mean_entropy * answers.tokens_with_alternatives) as entropies
from marts.choice_confidence as answers
where {scope.within("answers", scope.period)}
group by answers.model
"""


_REACH = """
create or replace temp table page_reach as
select
    (select min(completions.created_at) from chat.completions) as oldest_at,
    (select max(completions.created_at) from chat.completions) as newest_at,
    (select count(*) from chat.completions where completions.created_date is null) as undated_completions,
    (select min(freshness.last_synced_at) from marts.freshness) as last_synced_at
"""
