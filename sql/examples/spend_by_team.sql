-- What did each team spend, and how much of it is only an upper bound?
-- about: marts.metadata_usage
select
    metadata_usage.metadata_value as team,
    sum(metadata_usage.completions) as completions,
    round(sum(metadata_usage.cost_usd), 4) as cost_usd,
    round(sum(metadata_usage.upper_bound_cost_usd), 4) as of_it_upper_bound,
    sum(metadata_usage.unpriced_completions) as not_in_it
from marts.metadata_usage
where metadata_usage.metadata_key = 'team'
group by metadata_usage.metadata_value
order by cost_usd desc nulls last, team
