-- Completions, tokens and cost per UTC day, source, model and service tier, by what the cost rests on.
-- A table and no view: each sync renews the days it touched, so that reports need not price every completion again.
-- A sum leaves out the completions that did not say; it is NULL where none did. Deleted completions are in.
-- grain: created_date, source, model, service_tier, price_tier, price_basis, usage_basis, unpriced_reason
-- columns:
--   created_date                 UTC day the completions were created; NULL where the API sent no usable time
--   source                       name of the configured source that loaded them
--   model                        the model that answered
--   service_tier                 the tier that served them
--   price_tier                   standard, batch, flex or priority: whose prices apply; NULL: a word not known here
--   price_basis                  listed, override or tier_backdated, see marts.completion_costs; NULL without a cost
--   usage_basis                  full, no_details or no_details_unbounded; NULL without a cost
--   unpriced_reason              why they have no cost; NULL with one
--   completions                  number of completions
--   prompt_tokens                input tokens, cached ones included
--   completion_tokens            output tokens, reasoning included
--   total_tokens                 the API's totals, as sent
--   cached_tokens                input tokens read from the prompt cache
--   cache_write_tokens           input tokens written to the prompt cache
--   prompt_audio_tokens          audio tokens in the input
--   reasoning_tokens             output tokens spent on reasoning
--   completion_audio_tokens      audio tokens in the output
--   completions_without_usage    completions without any counter: in no sum
--   completions_without_details  completions with totals only: in no sum from cached_tokens on
--   prompt_tokens_of_known       prompt_tokens of the completions that say how many of them were cached
--   cached_tokens_of_known       cached_tokens of the same: divided by the former, the cached share
--   cost_usd                     what they cost; NULL where unpriced_reason says why not
--   estimated_cost_usd           the same with the cached share that the organization's bill shows, where it does
--   estimated_part_usd           the part of cost_usd that this share brings down; 0 where no bill says so
--   largest_cost_usd             what the costliest of them cost: where to look for the costliest of all
--   multiplier                   what the source's costs of that day are multiplied with, see chat.price_multipliers
--   silent_completions           completions that say neither input nor output tokens
--   completion_id                one of them
with counters as (
    select
        completion_costs.completion_id,
        completion_costs.created_date,
        completion_costs.source,
        completion_costs.model,
        completion_costs.service_tier,
        completion_costs.price_tier,
        completion_costs.price_basis,
        completion_costs.usage_basis,
        completion_costs.unpriced_reason,
        completion_costs.cost_usd,
        completion_costs.estimated_cost_usd,
        completion_costs.estimated_usage_basis,
        completion_costs.prompt_tokens,
        completion_costs.completion_tokens,
        completion_costs.total_tokens,
        completion_costs.cached_tokens,
        completion_costs.cache_write_tokens,
        completion_costs.prompt_audio_tokens,
        completion_costs.reasoning_tokens,
        completion_costs.completion_audio_tokens,
        completion_costs.has_details,
        completion_costs.multiplier,
        coalesce(completion_costs.prompt_tokens, completion_costs.completion_tokens, completion_costs.total_tokens)
        is not null as has_totals,
        completion_costs.cached_tokens <= completion_costs.prompt_tokens as says_cached
    from marts.completion_costs
)
select
    counters.created_date,
    counters.source,
    counters.model,
    counters.service_tier,
    counters.price_tier,
    counters.price_basis,
    counters.usage_basis,
    counters.unpriced_reason,
    count(*) as completions,
    sum(counters.prompt_tokens) as prompt_tokens,
    sum(counters.completion_tokens) as completion_tokens,
    sum(counters.total_tokens) as total_tokens,
    sum(counters.cached_tokens) as cached_tokens,
    sum(counters.cache_write_tokens) as cache_write_tokens,
    sum(counters.prompt_audio_tokens) as prompt_audio_tokens,
    sum(counters.reasoning_tokens) as reasoning_tokens,
    sum(counters.completion_audio_tokens) as completion_audio_tokens,
    count(case when not counters.has_totals and not counters.has_details then 1 end) as completions_without_usage,
    count(case when counters.has_totals and not counters.has_details then 1 end) as completions_without_details,
    sum(case when counters.says_cached then counters.prompt_tokens end) as prompt_tokens_of_known,
    sum(case when counters.says_cached then counters.cached_tokens end) as cached_tokens_of_known,
    sum(counters.cost_usd) as cost_usd,
    sum(counters.estimated_cost_usd) as estimated_cost_usd,
    sum(
        case
            when counters.estimated_usage_basis = 'cached_share_from_bill' then counters.cost_usd
            when counters.cost_usd is not null then 0
        end
    ) as estimated_part_usd,
    max(counters.cost_usd) as largest_cost_usd,
    counters.multiplier,
    count(case when coalesce(counters.prompt_tokens, counters.completion_tokens) is null then 1 end) as silent_completions,
    min(counters.completion_id) as completion_id
from counters
group by
    counters.created_date,
    counters.source,
    counters.model,
    counters.service_tier,
    counters.price_tier,
    counters.price_basis,
    counters.usage_basis,
    counters.unpriced_reason,
    counters.multiplier
