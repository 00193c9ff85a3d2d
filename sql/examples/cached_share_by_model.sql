-- Which models read most of their input from the prompt cache, where the API says so?
-- about: marts.daily_usage
select
    daily_usage.model,
    sum(daily_usage.cached_tokens) as cached_tokens,
    sum(daily_usage.completions) - sum(daily_usage.completions_without_details) as completions_that_say
from marts.daily_usage
group by daily_usage.model
having sum(daily_usage.cached_tokens) > 0
order by cached_tokens desc, daily_usage.model
limit 5
