-- How often do models refuse, where it is known, and how often are answers cut off?
-- about: marts.answer_rates
select
    answer_rates.model,
    sum(answer_rates.choices) as answers,
    sum(answer_rates.truncated) as cut_off,
    sum(answer_rates.refusal_known) as refusal_known,
    sum(answer_rates.refusals) as refusals
from marts.answer_rates
group by answer_rates.model
order by answers desc, answer_rates.model
limit 5
