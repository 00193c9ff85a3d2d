-- Which models were asked with a temperature other than 1?
-- about: chat.completions
select
    completions.model,
    completions.temperature,
    count(*) as completions
from chat.completions
where completions.temperature <> 1
group by
    completions.model,
    completions.temperature
order by completions desc, completions.model, completions.temperature
limit 10
