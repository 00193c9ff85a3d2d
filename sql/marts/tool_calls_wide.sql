-- Every call that a model asked for, with what its completion was; the API's deprecated function_call included.
-- Deleted completions are in.
-- engine: duckdb
-- grain: completion_id, choice_index, tool_call_index
-- columns:
--   completion_id      the completion; joins to every table of schema chat
--   choice_index       the choice
--   tool_call_index    position in the choice's list of tool calls; NULL for a legacy function_call
--   source             name of the configured source that loaded it
--   created_at         when the request started
--   created_date       UTC day of created_at; NULL where the API sent no usable time
--   model              the model that asked for it
--   service_tier       the tier that served it
--   request_id         the x-request-id of the original request
--   input_user         the user field of the original request
--   metadata           the metadata object, JSON; chat.metadata has one row per pair
--   finish_reason      why the answer ended: tool_calls, or e.g. length, where arguments may be cut off
--   tool_call_id       the API's id of the call; repeats across choices; NULL for a legacy function_call
--   type               function, custom, or whatever the API sent; function_call for a legacy one
--   name               the tool's name
--   arguments          the arguments as text exactly as sent (a custom tool's input)
--   arguments_valid    whether they are strict JSON; NULL for custom tools
--   arguments_fit      whether they are JSON that fits the schema given in tools; NULL: no schema to judge by
--   arguments_problem  not_json, or the keyword of the schema that they break: required, type, enum, ...; NULL: none known
--   deleted_at         when a full re-list found the completion gone; NULL: still there
with choices as not materialized (
    select * from chat.choices
),
undated_choices as (
    select * from chat.choices
    where choices.created_date is null
),
completions as (
    select * from chat.completions
),
undated_completions as (
    select * from chat.completions
    where completions.created_date is null
),
calls as (
    select
        tool_calls.completion_id,
        tool_calls.choice_index,
        tool_calls.tool_call_index,
        tool_calls.created_date,
        tool_calls.tool_call_id,
        tool_calls.type,
        tool_calls.name,
        tool_calls.arguments,
        tool_calls.arguments_valid,
        tool_calls.arguments_fit,
        tool_calls.arguments_problem
    from chat.tool_calls
    union all
    select
        choices.completion_id,
        choices.choice_index,
        cast(null as bigint),
        choices.created_date,
        cast(null as varchar),
        'function_call',
        choices.function_call_name,
        choices.function_call_arguments,
        case when choices.function_call_arguments is not null then coalesce(choices.function_call_problem, '') <> 'not_json' end,
        choices.function_call_fit,
        choices.function_call_problem
    from choices
    -- some servers send {"name": "", "arguments": ""} for "no call"
    where choices.function_call_name <> ''
        or choices.function_call_arguments <> ''
)
-- joined by day too, so that a filter on created_date reaches every table, and apart where there is no day
select
    calls.completion_id,
    calls.choice_index,
    calls.tool_call_index,
    coalesce(completions.source, undated_completions.source) as source,
    coalesce(completions.created_at, undated_completions.created_at) as created_at,
    calls.created_date,
    coalesce(completions.model, undated_completions.model) as model,
    coalesce(completions.service_tier, undated_completions.service_tier) as service_tier,
    coalesce(completions.request_id, undated_completions.request_id) as request_id,
    coalesce(completions.input_user, undated_completions.input_user) as input_user,
    coalesce(completions.metadata, undated_completions.metadata) as metadata,
    coalesce(choices.finish_reason, undated_choices.finish_reason) as finish_reason,
    calls.tool_call_id,
    calls.type,
    calls.name,
    calls.arguments,
    calls.arguments_valid,
    calls.arguments_fit,
    calls.arguments_problem,
    coalesce(completions.deleted_at, undated_completions.deleted_at) as deleted_at
from calls
left join choices
    on choices.completion_id = calls.completion_id
    and choices.choice_index = calls.choice_index
    and choices.created_date = calls.created_date
left join undated_choices
    on undated_choices.completion_id = calls.completion_id
    and undated_choices.choice_index = calls.choice_index
    and calls.created_date is null
left join completions
    on completions.completion_id = calls.completion_id
    and completions.created_date = calls.created_date
left join undated_completions
    on undated_completions.completion_id = calls.completion_id
    and calls.created_date is null
