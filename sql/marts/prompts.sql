-- What was asked, each prompt once: all input messages of a request, the same words from the same roles in the same
-- order. Ids do not count, nor do tools or settings. Only completions whose input messages were read are in.
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
--   distinct_answers          different ones among those that say something
--   tool_calls                tool calls asked for in answer to it
--   invalid_tool_calls        of these, those whose arguments are not JSON
--   prompt_tokens             input tokens of all of them together, of those that say
--   completion_tokens         output tokens of all of them together, of those that say
--   cost_usd                  what they cost in US dollars, those without a cost left out
--   unpriced_completions      completions without a cost
--   first_seen_at             when the first of them was created
--   last_seen_at              when the last of them was created
with prompts as (
    select * from chat.prompts
),
completion_costs as (
    select * from marts.completion_costs
),
choices as (
    select
        prompts.prompt_hash,
        count(*) as answers,
        count(distinct choices.answer_hash) as distinct_answers
    from chat.choices
    inner join prompts on prompts.completion_id = choices.completion_id
    group by prompts.prompt_hash
),
tool_calls as (
    select
        prompts.prompt_hash,
        count(*) as tool_calls,
        count(case when not tool_calls.arguments_valid then 1 end) as invalid_tool_calls
    from chat.tool_calls
    inner join prompts on prompts.completion_id = tool_calls.completion_id
    group by prompts.prompt_hash
),
sums as (
    select
        prompts.prompt_hash,
        min(prompts.system_prompt_hash) as system_prompt_hash,
        min(prompts.message_count) as message_count,
        min(prompts.completion_id) as completion_id,
        count(*) as completions,
        count(distinct completion_costs.model) as models,
        sum(completion_costs.prompt_tokens) as prompt_tokens,
        sum(completion_costs.completion_tokens) as completion_tokens,
        sum(completion_costs.cost_usd) as cost_usd,
        count(*) - count(completion_costs.cost_usd) as unpriced_completions,
        min(completion_costs.created_at) as first_seen_at,
        max(completion_costs.created_at) as last_seen_at
    from prompts
    inner join completion_costs on completion_costs.completion_id = prompts.completion_id
    where prompts.prompt_hash is not null
    group by prompts.prompt_hash
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
