-- Which lines of the bill name no model, and what do they come to?
-- about: chat.organization_costs
select
    organization_costs.line_item,
    organization_costs.kind,
    round(sum(organization_costs.amount_usd), 4) as billed_usd
from chat.organization_costs
where organization_costs.billed_model is null
group by organization_costs.line_item, organization_costs.kind
order by organization_costs.line_item
