-- In how many requests do answers stand that are of no completion known here, and do several share such a history?
-- about: reports.turns
select
    turns.unknown_answers,
    count(*) as requests,
    count(distinct turns.unknown_histories[1]) as histories
from reports.turns
group by turns.unknown_answers
order by turns.unknown_answers
