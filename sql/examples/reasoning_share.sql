-- What part of the output cost is spent on reasoning, where the API says so?
-- about: marts.completion_costs
select
    completion_costs.model,
    round(sum(completion_costs.reasoning_usd), 4) as reasoning_usd,
    round(sum(completion_costs.output_usd + completion_costs.reasoning_usd), 4) as all_output_usd,
    round(sum(completion_costs.reasoning_usd) / sum(completion_costs.output_usd + completion_costs.reasoning_usd), 3)
        as share
from marts.completion_costs
where completion_costs.reasoning_tokens > 0
    and completion_costs.cost_usd is not null
group by completion_costs.model
order by reasoning_usd desc, completion_costs.model
