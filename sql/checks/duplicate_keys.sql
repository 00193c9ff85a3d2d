-- The key of every table names one row.
-- A load that ran twice, or two syncs at once, would double rows, and with them every sum.
-- grain: table_name, key
-- columns:
--   table_name  table of schema chat
--   key         the values of its key columns, slashes between
--   copies      rows that share them
select 'completions' as table_name, completions.completion_id as key, count(*) as copies
from chat.completions
group by completions.completion_id
having count(*) > 1
union all
select 'choices', choices.completion_id || '/' || cast(choices.choice_index as varchar), count(*)
from chat.choices
group by choices.completion_id, choices.choice_index
having count(*) > 1
union all
select
    'tool_calls',
    tool_calls.completion_id
    || '/' || cast(tool_calls.choice_index as varchar)
    || '/' || cast(tool_calls.tool_call_index as varchar),
    count(*)
from chat.tool_calls
group by tool_calls.completion_id, tool_calls.choice_index, tool_calls.tool_call_index
having count(*) > 1
union all
select
    'annotations',
    annotations.completion_id
    || '/' || cast(annotations.choice_index as varchar)
    || '/' || cast(annotations.annotation_index as varchar),
    count(*)
from chat.annotations
group by annotations.completion_id, annotations.choice_index, annotations.annotation_index
having count(*) > 1
union all
select
    'logprobs',
    logprobs.completion_id
    || '/' || cast(logprobs.choice_index as varchar)
    || '/' || logprobs.kind
    || '/' || cast(logprobs.token_index as varchar),
    count(*)
from chat.logprobs
group by logprobs.completion_id, logprobs.choice_index, logprobs.kind, logprobs.token_index
having count(*) > 1
union all
select
    'top_logprobs',
    top_logprobs.completion_id
    || '/' || cast(top_logprobs.choice_index as varchar)
    || '/' || top_logprobs.kind
    || '/' || cast(top_logprobs.token_index as varchar)
    || '/' || cast(top_logprobs.rank as varchar),
    count(*)
from chat.top_logprobs
group by
    top_logprobs.completion_id,
    top_logprobs.choice_index,
    top_logprobs.kind,
    top_logprobs.token_index,
    top_logprobs.rank
having count(*) > 1
union all
select 'usage', usage.completion_id, count(*)
from chat.usage
group by usage.completion_id
having count(*) > 1
union all
select 'metadata', metadata.completion_id || '/' || metadata.key, count(*)
from chat.metadata
group by metadata.completion_id, metadata.key
having count(*) > 1
union all
select 'quarantine', quarantine.sha256, count(*)
from chat.quarantine
group by quarantine.sha256
having count(*) > 1
union all
select 'sync_runs', sync_runs.run_id, count(*)
from chat.sync_runs
group by sync_runs.run_id
having count(*) > 1
union all
select 'sources', sources.source, count(*)
from chat.sources
group by sources.source
having count(*) > 1
union all
select
    'organization_usage',
    organization_usage.source
    || '/' || cast(organization_usage.usage_date as varchar)
    || '/' || organization_usage.group_id,
    count(*)
from chat.organization_usage
group by organization_usage.source, organization_usage.usage_date, organization_usage.group_id
having count(*) > 1
union all
select
    'organization_costs',
    organization_costs.source
    || '/' || cast(organization_costs.cost_date as varchar)
    || '/' || organization_costs.group_id,
    count(*)
from chat.organization_costs
group by organization_costs.source, organization_costs.cost_date, organization_costs.group_id
having count(*) > 1
union all
select 'organization_bills', organization_bills.source, count(*)
from chat.organization_bills
group by organization_bills.source
having count(*) > 1
union all
select 'messages', messages.completion_id || '/' || cast(messages.message_index as varchar), count(*)
from chat.messages
group by messages.completion_id, messages.message_index
having count(*) > 1
union all
select 'prompts', prompts.completion_id, count(*)
from chat.prompts
group by prompts.completion_id
having count(*) > 1
union all
select 'attachments', attachments.sha256, count(*)
from chat.attachments
group by attachments.sha256
having count(*) > 1
