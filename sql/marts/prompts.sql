-- What was asked, each prompt once: all input messages of a request, the same words from the same roles in the same
-- order. Ids do not count, nor do tools or settings. Only completions whose input messages were read are in;
-- chat.prompts has a row for each of them.
-- engine: duckdb
-- grain: prompt_hash
-- columns:
--   prompt_hash               keyed hash of the messages; chat.prompts has it for each completion
--   system_prompt_hash        that of its system and developer messages; NULL: there are none
--   message_count             input messages
--   completion_id             one of the completions it was sent for: chat.messages has its words
--   completions               completions it was sent for
--   models                    different models that answered
--   answers                   answers to it, several for one completion included
--   distinct_answers          different ones, by text, refusal and calls; answers that say nothing left out
--   tool_calls                tool calls asked for in answer to it, the deprecated function_call left out
--   invalid_tool_calls        of these, those whose arguments are not JSON
--   prompt_tokens             input tokens of all of them together, of those that say
--   completion_tokens         output tokens of all of them together, of those that say
--   cost_usd                  what they cost in US dollars, those without a cost left out
--   unpriced_completions      completions without a cost
--   first_seen_at             when the first of them was created
--   last_seen_at              when the last of them was created
with prompts as not materialized (
    select * from chat.prompts
    where prompts.prompt_hash is not null
),
turns as not materialized (
    select * from marts.turns
),
-- joined by day too, so that a filter reaches every table, and apart where there is no day
asked as (
    select
        prompts.prompt_hash,
        prompts.system_prompt_hash,
        turns.*
    from prompts
    inner join turns
        on turns.completion_id = prompts.completion_id
        and turns.created_date = prompts.created_date
    union all
    select
        prompts.prompt_hash,
        prompts.system_prompt_hash,
        turns.*
    from prompts
    inner join turns on turns.completion_id = prompts.completion_id
    where prompts.created_date is null
        and turns.created_date is null
),
answered as (
    select
        prompts.prompt_hash,
        choices.answer_hash
    from prompts
    inner join chat.choices
        on choices.completion_id = prompts.completion_id
        and choices.created_date = prompts.created_date
    union all
    select
        prompts.prompt_hash,
        choices.answer_hash
    from prompts
    inner join chat.choices on choices.completion_id = prompts.completion_id
    where prompts.created_date is null
        and choices.created_date is null
),
called as (
    select
        prompts.prompt_hash,
        tool_calls.arguments_valid
    from prompts
    inner join chat.tool_calls
        on tool_calls.completion_id = prompts.completion_id
        and tool_calls.created_date = prompts.created_date
    union all
    select
        prompts.prompt_hash,
        tool_calls.arguments_valid
    from prompts
    inner join chat.tool_calls on tool_calls.completion_id = prompts.completion_id
    where prompts.created_date is null
        and tool_calls.created_date is null
),
choices as (
    select
        answered.prompt_hash,
        count(*) as answers,
        count(distinct answered.answer_hash) as distinct_answers
    from answered
    group by answered.prompt_hash
),
tool_calls as (
    select
        called.prompt_hash,
        count(*) as tool_calls,
        count(case when not called.arguments_valid then 1 end) as invalid_tool_calls
    from called
    group by called.prompt_hash
),
sums as (
    select
        asked.prompt_hash,
        min(asked.system_prompt_hash) as system_prompt_hash,
        min(asked.message_count) as message_count,
        min(asked.completion_id) as completion_id,
        count(*) as completions,
        count(distinct asked.model) as models,
        sum(asked.prompt_tokens) as prompt_tokens,
        sum(asked.completion_tokens) as completion_tokens,
        sum(asked.cost_usd) as cost_usd,
        count(*) - count(asked.cost_usd) as unpriced_completions,
        min(asked.created_at) as first_seen_at,
        max(asked.created_at) as last_seen_at
    from asked
    group by asked.prompt_hash
)
select
    sums.prompt_hash,
    sums.system_prompt_hash,
    sums.message_count,
    sums.completion_id,
    sums.completions,
    sums.models,
    coalesce(choices.answers, 0) as answers,
    coalesce(choices.distinct_answers, 0) as distinct_answers,
    coalesce(tool_calls.tool_calls, 0) as tool_calls,
    coalesce(tool_calls.invalid_tool_calls, 0) as invalid_tool_calls,
    sums.prompt_tokens,
    sums.completion_tokens,
    sums.cost_usd,
    sums.unpriced_completions,
    sums.first_seen_at,
    sums.last_seen_at
from sums
left join choices on choices.prompt_hash = sums.prompt_hash
left join tool_calls on tool_calls.prompt_hash = sums.prompt_hash
