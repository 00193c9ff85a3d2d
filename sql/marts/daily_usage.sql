-- Completions, tokens and cost per UTC day, source, model and service tier.
-- A sum leaves out the completions that did not say; it is NULL where none did. Deleted completions are in.
-- What cost_usd leaves out is counted in unpriced_completions, and listed by reason in marts.unpriced_models.
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
--   cost_usd                     what they cost in US dollars, in so far as it is known; NULL where none of it is
--   upper_bound_cost_usd         part of it that is only an upper bound (usage_basis no_details)
--   unbounded_cost_usd           part of it that is not even that (no_details_unbounded)
--   tier_backdated_cost_usd      part of it at tier prices from before they were listed (price_basis tier_backdated)
--   override_cost_usd            part of it at corrected prices (price_basis override)
--   unpriced_completions         completions whose cost is not known: in no sum of costs
--   completions_without_usage    completions without any counter: in no sum
--   completions_without_details  completions with totals only: in no sum from cached_tokens on
--   cached_share                 cached_tokens as a part of prompt_tokens, 0 to 1, over the completions that
--                                say: both were sent and cached_tokens is not the larger, as on some servers. Never
--                                average it: over days divide the sums of *_of_known of reports.daily_costs
with completion_costs as (
    select * from marts.completion_costs
),
counters as (
    select
        completion_costs.*,
        coalesce(completion_costs.prompt_tokens, completion_costs.completion_tokens, completion_costs.total_tokens)
        is not null as has_totals,
        completion_costs.cached_tokens <= completion_costs.prompt_tokens as says_cached
    from completion_costs
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
    sum(counters.cost_usd) as cost_usd,
    sum(case when counters.usage_basis = 'no_details' then counters.cost_usd when counters.cost_usd is not null then 0 end) as upper_bound_cost_usd,
    sum(case when counters.usage_basis = 'no_details_unbounded' then counters.cost_usd when counters.cost_usd is not null then 0 end) as unbounded_cost_usd,
    sum(case when counters.price_basis = 'tier_backdated' then counters.cost_usd when counters.cost_usd is not null then 0 end) as tier_backdated_cost_usd,
    sum(case when counters.price_basis = 'override' then counters.cost_usd when counters.cost_usd is not null then 0 end) as override_cost_usd,
    count(counters.unpriced_reason) as unpriced_completions,
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
