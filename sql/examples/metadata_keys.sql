-- Which metadata keys are in use, and on how many completions?
-- about: chat.metadata
select
    metadata.key,
    count(*) as completions,
    count(distinct metadata.value) as different_values
from chat.metadata
group by metadata.key
order by completions desc, metadata.key
