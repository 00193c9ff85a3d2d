-- How tools are called, per UTC day, model and tool, and what the completions cost that asked for them.
-- A completion that calls several tools counts, with its whole cost, at each of them: do not add costs up over tools.
-- Legacy function_calls and custom tools are in. Deleted completions are in.
-- engine: duckdb
-- grain: created_date, model, tool_name
-- columns:
--   created_date          UTC day the completions were created; NULL where the API sent no usable time
--   model                 the model that asked
--   tool_name             the tool's name; NULL where the API sent none
--   calls                 number of calls
--   completions           completions with at least one of them
--   invalid_arguments     calls whose arguments are not JSON, cut off ones for example; custom tools take any text
--   unfit_arguments       calls whose arguments are JSON but do not fit the schema given in tools
--   judged_arguments      calls that were held against a schema, or are not JSON: what the two before are out of
--   repeated_calls        calls of the tool with the very same text of arguments as one before them in the same answer, so three
--                         alike count two; dropped ones cannot be told
--   cost_usd              what those completions cost in US dollars, in so far as it is known; NULL where none of it is
--   unpriced_completions  of the completions, those whose cost is not known: not in cost_usd
with calls as (
    select * from marts.tool_calls_wide
),
completion_costs as (
    select * from marts.completion_costs
),
alike as (
    select
        calls.completion_id,
        calls.created_date,
        calls.model,
        calls.name,
        count(*) as calls,
        count(case when not calls.arguments_valid then 1 end) as invalid_arguments,
        count(case when calls.arguments_valid and not calls.arguments_fit then 1 end) as unfit_arguments,
        count(case when calls.arguments_fit is not null then 1 end) as judged_arguments,
        case when calls.arguments is null or calls.arguments = '"[dropped]"' then 0 else count(*) - 1 end as repeated_calls
    from calls
    group by
        calls.completion_id,
        calls.choice_index,
        calls.created_date,
        calls.model,
        calls.name,
        calls.arguments
),
asking as (
    select
        alike.completion_id,
        alike.created_date,
        alike.model,
        alike.name,
        sum(alike.calls) as calls,
        sum(alike.invalid_arguments) as invalid_arguments,
        sum(alike.unfit_arguments) as unfit_arguments,
        sum(alike.judged_arguments) as judged_arguments,
        sum(alike.repeated_calls) as repeated_calls
    from alike
    group by
        alike.completion_id,
        alike.created_date,
        alike.model,
        alike.name
)
select
    asking.created_date,
    asking.model,
    asking.name as tool_name,
    cast(sum(asking.calls) as bigint) as calls,
    count(*) as completions,
    cast(sum(asking.invalid_arguments) as bigint) as invalid_arguments,
    cast(sum(asking.unfit_arguments) as bigint) as unfit_arguments,
    cast(sum(asking.judged_arguments) as bigint) as judged_arguments,
    cast(sum(asking.repeated_calls) as bigint) as repeated_calls,
    sum(completion_costs.cost_usd) as cost_usd,
    -- one without a day has no cost, and is not joined
    count(case when completion_costs.cost_usd is null then 1 end) as unpriced_completions
from asking
left join completion_costs
    on completion_costs.completion_id = asking.completion_id
    and completion_costs.created_date = asking.created_date
group by
    asking.created_date,
    asking.model,
    asking.name
