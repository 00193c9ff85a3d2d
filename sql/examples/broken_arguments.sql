-- Which tool calls have arguments that are not JSON?
-- about: chat.tool_calls
select
    tool_calls.name,
    tool_calls.arguments,
    count(*) as calls
from chat.tool_calls
where not tool_calls.arguments_valid
group by
    tool_calls.name,
    tool_calls.arguments
order by calls desc, tool_calls.name, tool_calls.arguments
limit 8
