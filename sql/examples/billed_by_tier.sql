-- What does the billed usage of each tier cost by the list, step by step?
-- about: marts.billed_list_costs
select
    billed_list_costs.price_tier,
    round(sum(billed_list_costs.tier_usd), 4) as tier_usd,
    round(sum(billed_list_costs.billed_usd), 4) as billed_usd,
    round(sum(billed_list_costs.batch_usd), 4) as batch_usd,
    round(sum(billed_list_costs.list_usd), 4) as list_usd
from marts.billed_list_costs
group by billed_list_costs.price_tier
order by billed_list_costs.price_tier
