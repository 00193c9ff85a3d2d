-- created_date is the UTC day of created_at, and every child carries its completion's.
-- Children are filtered by day without their completion: another day would put their tokens into another bill.
-- grain: table_name, completion_id
-- columns:
--   table_name       table of schema chat
--   completion_id    the completion
--   wrong_date       the smallest created_date found there, NULL if none is set
--   completion_date  the one that belongs there: the UTC day of the completion's created_at
--   wrong_rows       rows of that completion with a wrong created_date
with completions as (
    select
        completions.completion_id,
        completions.created_date,
        cast(completions.created_at at time zone 'UTC' as date) as completion_date
    from chat.completions
),
dated as (
    select 'completions' as table_name, completions.completion_id, completions.created_date from completions
    union all
    select 'choices', choices.completion_id, choices.created_date from chat.choices
    union all
    select 'tool_calls', tool_calls.completion_id, tool_calls.created_date from chat.tool_calls
    union all
    select 'annotations', annotations.completion_id, annotations.created_date from chat.annotations
    union all
    select 'logprobs', logprobs.completion_id, logprobs.created_date from chat.logprobs
    union all
    select 'top_logprobs', top_logprobs.completion_id, top_logprobs.created_date from chat.top_logprobs
    union all
    select 'usage', usage.completion_id, usage.created_date from chat.usage
    union all
    select 'metadata', metadata.completion_id, metadata.created_date from chat.metadata
    union all
    select 'messages', messages.completion_id, messages.created_date from chat.messages
    union all
    select 'prompts', prompts.completion_id, prompts.created_date from chat.prompts
)
select
    dated.table_name,
    dated.completion_id,
    min(dated.created_date) as wrong_date,
    completions.completion_date,
    count(*) as wrong_rows
from dated
inner join completions on completions.completion_id = dated.completion_id
where dated.created_date is distinct from completions.completion_date
group by
    dated.table_name,
    dated.completion_id,
    completions.completion_date
