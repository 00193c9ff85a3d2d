-- What the cost figures leave out: completions without a cost, by model, service tier and reason.
-- Empty is good. A price of one's own goes into the price file; the next sync applies it to the past too.
-- grain: model, service_tier, unpriced_reason
-- columns:
--   model              the model that answered
--   service_tier       the tier that served them
--   unpriced_reason    no_usage, unknown_model, no_token_price, no_created_date, inconsistent_usage, no_price_for_tier
--                      or no_audio_price, see marts.completion_costs
--   completions        completions without a cost for that reason
--   prompt_tokens      their input tokens; NULL where none said
--   completion_tokens  their output tokens; NULL where none said
--   first_date         UTC day of the earliest of them; NULL where the API sent no usable time
--   last_date          UTC day of the latest of them
--   completion_id      one of them
select
    daily_costs.model,
    daily_costs.service_tier,
    daily_costs.unpriced_reason,
    cast(sum(daily_costs.completions) as bigint) as completions,
    sum(daily_costs.prompt_tokens) as prompt_tokens,
    sum(daily_costs.completion_tokens) as completion_tokens,
    min(daily_costs.created_date) as first_date,
    max(daily_costs.created_date) as last_date,
    min(daily_costs.completion_id) as completion_id
from reports.daily_costs
where daily_costs.unpriced_reason is not null
group by
    daily_costs.model,
    daily_costs.service_tier,
    daily_costs.unpriced_reason
