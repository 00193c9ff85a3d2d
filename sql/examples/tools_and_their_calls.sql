-- Which tools are called most, and how often with arguments that no tool can use?
-- about: marts.tool_usage
select
    tool_usage.tool_name,
    sum(tool_usage.calls) as calls,
    sum(tool_usage.invalid_arguments) as not_json,
    sum(tool_usage.unfit_arguments) as not_fitting,
    sum(tool_usage.repeated_calls) as repeated,
    round(sum(tool_usage.cost_usd), 4) as cost_usd
from marts.tool_usage
group by tool_usage.tool_name
order by calls desc, tool_usage.tool_name
