-- Every completion has exactly one row in marts.completion_costs, so it is priced once.
-- Two prices in force on one day, or two multipliers, would bill it twice.
-- grain: completion_id
-- columns:
--   completion_id  the completion
--   cost_rows      its rows in marts.completion_costs, should be 1
with costs as (
    select
        completion_costs.completion_id,
        count(*) as cost_rows
    from marts.completion_costs
    group by completion_costs.completion_id
),
completions as (
    select distinct completions.completion_id
    from chat.completions
)
select
    completions.completion_id,
    coalesce(costs.cost_rows, 0) as cost_rows
from completions
left join costs on costs.completion_id = completions.completion_id
where coalesce(costs.cost_rows, 0) <> 1
