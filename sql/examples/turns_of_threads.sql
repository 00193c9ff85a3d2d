-- How do requests grow from turn to turn, and how much of them was sent before?
-- about: marts.turns
select
    turns.turn_index,
    count(*) as turns,
    round(avg(turns.message_count), 1) as messages,
    round(avg(turns.prompt_tokens)) as prompt_tokens,
    round(avg(turns.resent_tokens)) as resent_tokens
from marts.turns
group by turns.turn_index
order by turns.turn_index
