-- How many messages do requests have?
-- about: chat.prompts
select
    prompts.message_count,
    count(*) as completions,
    count(prompts.system_prompt_hash) as with_instructions,
    count(distinct prompts.system_prompt_hash) as different_instructions
from chat.prompts
group by prompts.message_count
order by prompts.message_count
limit 10
