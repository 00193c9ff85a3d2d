-- The parts of a cost add up to it exactly, and a completion has either a cost or a reason why not.
-- A part that is lost, or a cost that is missing without a word, makes every total wrong and nobody sees it.
-- grain: completion_id, price_no
-- columns:
--   completion_id    the completion
--   price_no         the row of chat.model_prices that was used
--   cost_usd         its cost
--   parts_usd        what its parts add up to
--   unpriced_reason  why it has no cost
with costs as (
    select
        completion_costs.completion_id,
        completion_costs.price_no,
        completion_costs.cost_usd,
        completion_costs.input_usd
        + completion_costs.cached_input_usd
        + completion_costs.cache_write_usd
        + completion_costs.audio_input_usd
        + completion_costs.output_usd
        + completion_costs.reasoning_usd
        + completion_costs.audio_output_usd
        + completion_costs.request_usd as parts_usd,
        completion_costs.price_basis,
        completion_costs.usage_basis,
        completion_costs.unpriced_reason
    from marts.completion_costs
)
select
    costs.completion_id,
    costs.price_no,
    costs.cost_usd,
    costs.parts_usd,
    costs.unpriced_reason
from costs
where costs.cost_usd is distinct from costs.parts_usd
    or (costs.cost_usd is null) = (costs.unpriced_reason is null)
    or (costs.cost_usd is null) <> (costs.price_basis is null)
    or (costs.cost_usd is null) <> (costs.usage_basis is null)
