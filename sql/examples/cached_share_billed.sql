-- Which part of each model's input came from the prompt cache in a given week, stored or not?
-- about: marts.cached_shares
select
    cached_shares.model,
    sum(cached_shares.input_tokens) as input_tokens,
    round(sum(cached_shares.input_cached_tokens) / sum(cached_shares.input_tokens), 3) as cached_share
from marts.cached_shares
where cached_shares.price_tier = 'standard'
and cached_shares.usage_date between date '2026-11-09' and date '2026-11-15'
group by cached_shares.model
order by cached_shares.model
