-- Which prompts were sent again and again, what did they cost, and were they answered differently?
-- about: marts.prompts
select
    messages.content as last_message,
    prompts.completions,
    prompts.distinct_answers,
    prompts.invalid_tool_calls,
    prompts.cost_usd
from marts.prompts
inner join chat.messages
    on messages.completion_id = prompts.completion_id
    and messages.message_index = prompts.message_count - 1
where prompts.cost_usd is not null
order by prompts.completions desc, prompts.cost_usd desc, messages.content
limit 8
