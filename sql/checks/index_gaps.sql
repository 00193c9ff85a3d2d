-- Positions in a list start at 0 and leave nothing out: tool calls, annotations, tokens and their alternatives.
-- A gap means that part of an answer was lost on the way. choice_index is not looked at: it is the API's own
-- number and may start anywhere. Nor are logprobs of a choice whose extra holds them whole: some did not fit.
-- grain: table_name, completion_id, choice_index, kind, token_index
-- columns:
--   table_name     table of schema chat
--   completion_id  the completion
--   choice_index   the choice
--   kind           content or refusal; NULL for tool calls and annotations
--   token_index    the token whose alternatives have a gap; NULL for the other tables
--   first_index    smallest position, should be 0
--   last_index     largest position, should be one less than rows
--   positions      number of rows
with tool_calls as (
    select
        'tool_calls' as table_name,
        tool_calls.completion_id,
        tool_calls.choice_index,
        cast(null as varchar) as kind,
        cast(null as bigint) as token_index,
        min(tool_calls.tool_call_index) as first_index,
        max(tool_calls.tool_call_index) as last_index,
        count(*) as positions
    from chat.tool_calls
    group by tool_calls.completion_id, tool_calls.choice_index
),
annotations as (
    select
        'annotations' as table_name,
        annotations.completion_id,
        annotations.choice_index,
        cast(null as varchar) as kind,
        cast(null as bigint) as token_index,
        min(annotations.annotation_index) as first_index,
        max(annotations.annotation_index) as last_index,
        count(*) as positions
    from chat.annotations
    group by annotations.completion_id, annotations.choice_index
),
logprobs as (
    select
        'logprobs' as table_name,
        logprobs.completion_id,
        logprobs.choice_index,
        logprobs.kind,
        cast(null as bigint) as token_index,
        min(logprobs.token_index) as first_index,
        max(logprobs.token_index) as last_index,
        count(*) as positions
    from chat.logprobs
    group by logprobs.completion_id, logprobs.choice_index, logprobs.kind
),
top_logprobs as (
    select
        'top_logprobs' as table_name,
        top_logprobs.completion_id,
        top_logprobs.choice_index,
        top_logprobs.kind,
        top_logprobs.token_index,
        min(top_logprobs.rank) as first_index,
        max(top_logprobs.rank) as last_index,
        count(*) as positions
    from chat.top_logprobs
    group by
        top_logprobs.completion_id,
        top_logprobs.choice_index,
        top_logprobs.kind,
        top_logprobs.token_index
),
lists as (
    select * from tool_calls
    union all
    select * from annotations
    union all
    select * from logprobs
    union all
    select * from top_logprobs
)
select
    lists.table_name,
    lists.completion_id,
    lists.choice_index,
    lists.kind,
    lists.token_index,
    lists.first_index,
    lists.last_index,
    lists.positions
from lists
where (lists.first_index <> 0 or lists.last_index <> lists.positions - 1)
    and not (
        lists.kind is not null
        and exists (
            select 1 from chat.choices
            where choices.completion_id = lists.completion_id
                and choices.choice_index = lists.choice_index
                and choices.extra like '%"logprobs%'
        )
    )
