-- Which models read most of their input from the prompt cache, where the API says so, and what share is that?
-- about: reports.daily_costs
select
    daily_costs.model,
    sum(daily_costs.cached_tokens_of_known) as cached_tokens,
    sum(daily_costs.cached_tokens_of_known) / sum(daily_costs.prompt_tokens_of_known) as cached_share
from reports.daily_costs
group by daily_costs.model
having sum(daily_costs.cached_tokens_of_known) > 0
order by cached_tokens desc, daily_costs.model
limit 5
