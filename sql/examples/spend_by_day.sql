-- What was spent on each of the last seven days that have completions?
-- about: marts.daily_usage
select
    daily_usage.created_date,
    sum(daily_usage.completions) as completions,
    round(sum(daily_usage.cost_usd), 4) as cost_usd,
    sum(daily_usage.unpriced_completions) as not_in_it
from marts.daily_usage
group by daily_usage.created_date
order by daily_usage.created_date desc
limit 7
