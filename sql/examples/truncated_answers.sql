-- Which models' answers run into the token limit most often?
-- about: marts.finish_reasons
select
    finish_reasons.model,
    sum(case when finish_reasons.finish_reason = 'length' then finish_reasons.choices else 0 end) as truncated,
    sum(finish_reasons.choices) as answers,
    round(
        sum(case when finish_reasons.finish_reason = 'length' then finish_reasons.choices else 0 end)
        / sum(finish_reasons.choices),
        4
    ) as share
from marts.finish_reasons
group by finish_reasons.model
order by share desc, finish_reasons.model
limit 5
