-- Every row belongs to a row above it: choices, usage and metadata to their completion, the rest to its choice.
-- A child without its parent vanishes from each view that joins the two, and no total shows it.
-- grain: child_table, completion_id, choice_index, child_key
-- columns:
--   child_table    table of schema chat that the row stands in
--   completion_id  the completion it names
--   choice_index   the choice it names; NULL for usage and metadata
--   child_key      what else its key has, slashes between; NULL if nothing
with choices as (
    select
        'choices' as child_table,
        choices.completion_id,
        choices.choice_index,
        cast(null as varchar) as child_key
    from chat.choices
    where not exists (
        select 1 from chat.completions
        where completions.completion_id = choices.completion_id
    )
),
usage as (
    select
        'usage' as child_table,
        usage.completion_id,
        cast(null as bigint) as choice_index,
        cast(null as varchar) as child_key
    from chat.usage
    where not exists (
        select 1 from chat.completions
        where completions.completion_id = usage.completion_id
    )
),
metadata as (
    select
        'metadata' as child_table,
        pairs.completion_id,
        cast(null as bigint) as choice_index,
        pairs.key as child_key
    from chat.metadata as pairs
    where not exists (
        select 1 from chat.completions
        where completions.completion_id = pairs.completion_id
    )
),
tool_calls as (
    select
        'tool_calls' as child_table,
        tool_calls.completion_id,
        tool_calls.choice_index,
        cast(tool_calls.tool_call_index as varchar) as child_key
    from chat.tool_calls
    where not exists (
        select 1 from chat.choices
        where choices.completion_id = tool_calls.completion_id
            and choices.choice_index = tool_calls.choice_index
    )
),
annotations as (
    select
        'annotations' as child_table,
        annotations.completion_id,
        annotations.choice_index,
        cast(annotations.annotation_index as varchar) as child_key
    from chat.annotations
    where not exists (
        select 1 from chat.choices
        where choices.completion_id = annotations.completion_id
            and choices.choice_index = annotations.choice_index
    )
),
logprobs as (
    select
        'logprobs' as child_table,
        logprobs.completion_id,
        logprobs.choice_index,
        logprobs.kind || '/' || cast(logprobs.token_index as varchar) as child_key
    from chat.logprobs
    where not exists (
        select 1 from chat.choices
        where choices.completion_id = logprobs.completion_id
            and choices.choice_index = logprobs.choice_index
    )
),
top_logprobs as (
    select
        'top_logprobs' as child_table,
        top_logprobs.completion_id,
        top_logprobs.choice_index,
        top_logprobs.kind || '/' || cast(top_logprobs.token_index as varchar)
            || '/' || cast(top_logprobs.rank as varchar) as child_key
    from chat.top_logprobs
    where not exists (
        select 1 from chat.choices
        where choices.completion_id = top_logprobs.completion_id
            and choices.choice_index = top_logprobs.choice_index
    )
)
select * from choices
union all
select * from usage
union all
select * from metadata
union all
select * from tool_calls
union all
select * from annotations
union all
select * from logprobs
union all
select * from top_logprobs
