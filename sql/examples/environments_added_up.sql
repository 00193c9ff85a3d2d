-- What does each environment cost?
-- about: reports.daily_metadata_costs
select
    daily_metadata_costs.metadata_value as environment,
    sum(daily_metadata_costs.completions) as completions,
    round(sum(daily_metadata_costs.cost_usd), 4) as cost_usd
from reports.daily_metadata_costs
where daily_metadata_costs.metadata_key = 'environment'
group by daily_metadata_costs.metadata_value
order by cost_usd desc nulls last, environment
