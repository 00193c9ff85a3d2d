-- How much of the cost is exact, and how much only an upper bound?
-- about: marts.completion_costs
select
    completion_costs.price_basis,
    completion_costs.usage_basis,
    count(*) as completions,
    round(sum(completion_costs.cost_usd), 4) as cost_usd
from marts.completion_costs
where completion_costs.cost_usd is not null
group by
    completion_costs.price_basis,
    completion_costs.usage_basis
order by cost_usd desc
