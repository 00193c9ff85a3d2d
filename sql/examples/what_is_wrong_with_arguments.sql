-- What is wrong with the arguments of tool calls, and how often?
-- about: marts.tool_calls_wide
select
    tool_calls_wide.type,
    tool_calls_wide.arguments_problem,
    count(*) as calls
from marts.tool_calls_wide
group by
    tool_calls_wide.type,
    tool_calls_wide.arguments_problem
order by calls desc, tool_calls_wide.type, tool_calls_wide.arguments_problem
