-- What does a million tokens of each model cost at the standard tier on a given day?
-- about: marts.listed_prices
select
    listed_prices.model,
    listed_prices.input * 1000000 as input_usd,
    listed_prices.cached_input * 1000000 as cached_input_usd,
    listed_prices.output * 1000000 as output_usd
from marts.listed_prices
where listed_prices.tier = 'standard'
and listed_prices.more_than_tokens = -1
and listed_prices.first_date <= date '2026-11-01'
and listed_prices.end_date > date '2026-11-01'
order by listed_prices.model
