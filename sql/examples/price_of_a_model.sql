-- What does gpt-4o cost at its standard tier, in US dollars per million tokens, and since when?
-- about: chat.model_prices
select
    model_prices.valid_from,
    model_prices.valid_to,
    round(1000000 * model_prices.input, 4) as input_usd,
    round(1000000 * model_prices.cached_input, 4) as cached_input_usd,
    round(1000000 * model_prices.output, 4) as output_usd,
    model_prices.price_basis
from chat.model_prices
where model_prices.price_model_id = 'gpt-4o'
    and model_prices.tier = 'standard'
order by model_prices.valid_from nulls first
