-- Every stored completion with its token counters and how it ended: the table to start from.
-- A counter is NULL where the API did not send it, which is not 0. Deleted completions are in.
-- grain: completion_id
-- columns:
--   completion_id               the API's id; joins to every table of schema chat
--   source                      name of the configured source that loaded it
--   created_at                  when the request started
--   created_date                UTC day of created_at; NULL where the API sent no usable time
--   model                       the model that answered
--   service_tier                the tier that served it
--   request_id                  the x-request-id of the original request
--   input_user                  the user field of the original request
--   metadata                    the metadata object, JSON; chat.metadata has one row per pair
--   prompt_tokens               input tokens, cached ones included
--   completion_tokens           output tokens, reasoning included
--   total_tokens                the API's total, as sent
--   cached_tokens               input tokens read from the prompt cache
--   cache_write_tokens          input tokens written to the prompt cache
--   prompt_audio_tokens         audio tokens in the input
--   prompt_text_tokens          text tokens in the input
--   prompt_image_tokens         image tokens in the input
--   reasoning_tokens            output tokens spent on reasoning
--   completion_audio_tokens     audio tokens in the output
--   completion_text_tokens      text tokens in the output
--   accepted_prediction_tokens  predicted tokens that were used, part of completion_tokens
--   rejected_prediction_tokens  predicted tokens that were not used, part of completion_tokens
--   choice_count                answers it has, 0 if none
--   tool_call_count             tool calls in all of its answers, 0 if none; a legacy function_call counts
--   finish_reason               why the answer with choice_index 0 ended; NULL if there is no such answer
--   cost_usd                    what it cost in US dollars, an upper bound unless usage_basis is full; see
--                               marts.completion_costs, also for an estimate; NULL: not known
--   price_basis                 what the price rests on: listed, override or tier_backdated; NULL without a cost
--   usage_basis                 what the tokens rest on: full, no_details or no_details_unbounded; NULL without a cost
--   unpriced_reason             why there is no cost; NULL if there is one
--   deleted_at                  when a full re-list found it gone; NULL: still there
with completion_costs as (
    select * from marts.completion_costs
),
-- nearly every completion has choice 0 only: joined as it is, only the others are aggregated
first_choices as (
    select
        choices.completion_id,
        choices.created_date,
        choices.finish_reason,
        -- some servers send {"name": "", "arguments": ""} for "no call"
        case when choices.function_call_name <> '' or choices.function_call_arguments <> '' then 1 end as function_call
    from chat.choices
    where choices.choice_index = 0
),
other_choices as (
    select
        choices.completion_id,
        choices.created_date,
        count(*) as choice_count,
        count(case when choices.function_call_name <> '' or choices.function_call_arguments <> '' then 1 end) as function_calls
    from chat.choices
    where choices.choice_index <> 0
    group by
        choices.completion_id,
        choices.created_date
),
tool_calls as (
    select
        tool_calls.completion_id,
        tool_calls.created_date,
        count(*) as tool_call_count
    from chat.tool_calls
    group by
        tool_calls.completion_id,
        tool_calls.created_date
),
undated_choices as (
    select
        choices.completion_id,
        count(*) as choice_count,
        count(case when choices.function_call_name <> '' or choices.function_call_arguments <> '' then 1 end) as function_calls,
        min(case when choices.choice_index = 0 then choices.finish_reason end) as finish_reason
    from chat.choices
    where choices.created_date is null
    group by choices.completion_id
),
undated_tool_calls as (
    select
        tool_calls.completion_id,
        count(*) as tool_call_count
    from chat.tool_calls
    where tool_calls.created_date is null
    group by tool_calls.completion_id
)
-- joined by day too, so that a filter on created_date reaches every table, and apart where there is no day
select
    completion_costs.completion_id,
    completion_costs.source,
    completion_costs.created_at,
    completion_costs.created_date,
    completion_costs.model,
    completion_costs.service_tier,
    completion_costs.request_id,
    completion_costs.input_user,
    completion_costs.metadata,
    completion_costs.prompt_tokens,
    completion_costs.completion_tokens,
    completion_costs.total_tokens,
    completion_costs.cached_tokens,
    completion_costs.cache_write_tokens,
    completion_costs.prompt_audio_tokens,
    completion_costs.prompt_text_tokens,
    completion_costs.prompt_image_tokens,
    completion_costs.reasoning_tokens,
    completion_costs.completion_audio_tokens,
    completion_costs.completion_text_tokens,
    completion_costs.accepted_prediction_tokens,
    completion_costs.rejected_prediction_tokens,
    case when first_choices.completion_id is null then 0 else 1 end + coalesce(other_choices.choice_count, undated_choices.choice_count, 0) as choice_count,
    coalesce(first_choices.function_call, 0)
    + coalesce(other_choices.function_calls, undated_choices.function_calls, 0)
    + coalesce(tool_calls.tool_call_count, undated_tool_calls.tool_call_count, 0) as tool_call_count,
    coalesce(first_choices.finish_reason, undated_choices.finish_reason) as finish_reason,
    completion_costs.cost_usd,
    completion_costs.price_basis,
    completion_costs.usage_basis,
    completion_costs.unpriced_reason,
    completion_costs.deleted_at
from completion_costs
left join first_choices
    on first_choices.completion_id = completion_costs.completion_id
    and first_choices.created_date = completion_costs.created_date
left join other_choices
    on other_choices.completion_id = completion_costs.completion_id
    and other_choices.created_date = completion_costs.created_date
left join tool_calls
    on tool_calls.completion_id = completion_costs.completion_id
    and tool_calls.created_date = completion_costs.created_date
left join undated_choices
    on undated_choices.completion_id = completion_costs.completion_id
    and completion_costs.created_date is null
left join undated_tool_calls
    on undated_tool_calls.completion_id = completion_costs.completion_id
    and completion_costs.created_date is null
