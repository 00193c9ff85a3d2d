-- How many tokens were stored under each tier, and how many of them have no price?
-- about: marts.stored_list_costs
select
    stored_list_costs.price_tier,
    sum(stored_list_costs.quantity) as tokens,
    sum(stored_list_costs.unpriced_quantity) as unpriced_tokens
from marts.stored_list_costs
where stored_list_costs.measure <> 'request'
group by stored_list_costs.price_tier
order by stored_list_costs.price_tier
