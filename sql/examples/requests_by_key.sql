-- How many requests did each API key of each project make?
-- about: chat.organization_usage
select
    organization_usage.project_id,
    organization_usage.api_key_id,
    sum(organization_usage.num_model_requests) as requests,
    sum(organization_usage.input_tokens) as input_tokens
from chat.organization_usage
group by organization_usage.project_id, organization_usage.api_key_id
order by organization_usage.project_id, organization_usage.api_key_id
