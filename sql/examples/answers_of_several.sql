-- Which completions were asked for several answers, and do these differ?
-- about: chat.choices
select
    choices.completion_id,
    count(*) as answers,
    count(distinct choices.content) as different_answers
from chat.choices
group by choices.completion_id
having count(*) > 1
order by answers desc, different_answers desc, choices.completion_id
limit 5
