-- What share of each model's input could prompt caching have served within threads, and what would that have saved?
-- about: marts.threads
select
    threads.model,
    count(*) as threads,
    sum(threads.turns) as turns,
    round(sum(threads.resent_tokens) / sum(threads.prompt_tokens), 3) as resent_share,
    round(sum(threads.cacheable_tokens) / sum(threads.prompt_tokens), 3) as cacheable_share,
    sum(threads.possible_saving_usd) as possible_saving_usd
from marts.threads
group by threads.model
order by possible_saving_usd desc nulls last, threads.model
limit 10
