-- What did each model cost in the newest calendar month, from the sums that reports use?
-- about: reports.daily_costs
select
    daily_costs.model,
    sum(daily_costs.completions) as completions,
    round(sum(daily_costs.cost_usd), 4) as cost_usd
from reports.daily_costs
where daily_costs.created_date >= (select date_trunc('month', max(daily_costs.created_date)) from reports.daily_costs)
group by daily_costs.model
order by cost_usd desc nulls last, daily_costs.model
limit 5
