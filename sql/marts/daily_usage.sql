-- Completions and tokens per UTC day, source, model and service tier.
-- A sum leaves out the completions that did not say; it is NULL where none did. Deleted completions are in.
-- grain: created_date, source, model, service_tier
-- columns:
--   created_date                 UTC day the completions were created; NULL where the API sent no usable time
--   source                       name of the configured source that loaded them
--   model                        the model that answered
--   service_tier                 the tier that served them
--   completions                  number of completions
--   prompt_tokens                input tokens, cached ones included
--   completion_tokens            output tokens, reasoning included
--   total_tokens                 the API's totals, as sent
--   cached_tokens                input tokens read from the prompt cache
--   cache_write_tokens           input tokens written to the prompt cache
--   prompt_audio_tokens          audio tokens in the input
--   prompt_text_tokens           text tokens in the input
--   prompt_image_tokens          image tokens in the input
--   reasoning_tokens             output tokens spent on reasoning
--   completion_audio_tokens      audio tokens in the output
--   completion_text_tokens       text tokens in the output
--   accepted_prediction_tokens   predicted tokens that were used, part of completion_tokens
--   rejected_prediction_tokens   predicted tokens that were not used, part of completion_tokens
--   completions_without_usage    completions without any counter: in no sum
--   completions_without_details  completions with totals only: in no sum from cached_tokens on
--   cached_share                 cached_tokens as a part of prompt_tokens, 0 to 1, over the completions that
--                                say: both were sent and cached_tokens is not the larger, as on some servers
with completions as (
    select * from chat.completions
),
usage as (
    select * from chat.usage
),
counters as (
    select
        completions.created_date,
        completions.source,
        completions.model,
        completions.service_tier,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.prompt_audio_tokens,
        usage.prompt_text_tokens,
        usage.prompt_image_tokens,
        usage.reasoning_tokens,
        usage.completion_audio_tokens,
        usage.completion_text_tokens,
        usage.accepted_prediction_tokens,
        usage.rejected_prediction_tokens,
        coalesce(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) is not null as has_totals,
        coalesce(
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.prompt_audio_tokens,
            usage.prompt_text_tokens,
            usage.prompt_image_tokens,
            usage.reasoning_tokens,
            usage.completion_audio_tokens,
            usage.completion_text_tokens,
            usage.accepted_prediction_tokens,
            usage.rejected_prediction_tokens
        ) is not null as has_details,
        usage.cached_tokens <= usage.prompt_tokens as says_cached
    from completions
    left join usage on usage.completion_id = completions.completion_id
)
select
    counters.created_date,
    counters.source,
    counters.model,
    counters.service_tier,
    count(*) as completions,
    sum(counters.prompt_tokens) as prompt_tokens,
    sum(counters.completion_tokens) as completion_tokens,
    sum(counters.total_tokens) as total_tokens,
    sum(counters.cached_tokens) as cached_tokens,
    sum(counters.cache_write_tokens) as cache_write_tokens,
    sum(counters.prompt_audio_tokens) as prompt_audio_tokens,
    sum(counters.prompt_text_tokens) as prompt_text_tokens,
    sum(counters.prompt_image_tokens) as prompt_image_tokens,
    sum(counters.reasoning_tokens) as reasoning_tokens,
    sum(counters.completion_audio_tokens) as completion_audio_tokens,
    sum(counters.completion_text_tokens) as completion_text_tokens,
    sum(counters.accepted_prediction_tokens) as accepted_prediction_tokens,
    sum(counters.rejected_prediction_tokens) as rejected_prediction_tokens,
    count(case when not counters.has_totals and not counters.has_details then 1 end) as completions_without_usage,
    count(case when counters.has_totals and not counters.has_details then 1 end) as completions_without_details,
    cast(sum(case when counters.says_cached then counters.cached_tokens end) as double precision)
    / nullif(sum(case when counters.says_cached then counters.prompt_tokens end), 0) as cached_share
from counters
group by
    counters.created_date,
    counters.source,
    counters.model,
    counters.service_tier
