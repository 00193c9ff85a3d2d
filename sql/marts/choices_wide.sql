-- Every answer with what its completion was, what it says, and how sure the model was of it.
-- Tokens and cost belong to the completion, not to one of its answers: they are in marts.completions_wide. Confidence
-- is NULL without logprobs; there is more of it in marts.choice_confidence. Deleted completions are in.
-- engine: duckdb
-- grain: completion_id, choice_index
-- columns:
--   completion_id       the completion; joins to every table of schema chat
--   choice_index        the API's index of the choice
--   source              name of the configured source that loaded it
--   created_at          when the request started
--   created_date        UTC day of created_at; NULL where the API sent no usable time
--   model               the model that answered
--   service_tier        the tier that served it
--   request_id          the x-request-id of the original request
--   input_user          the user field of the original request
--   metadata            the metadata object, JSON; chat.metadata has one row per pair
--   finish_reason       why it ended: stop, length (cut off), tool_calls, content_filter, ...
--   content             the answer's text; NULL with tool calls
--   content_length      characters of content; NULL without, and where it is not kept
--   refusal             the refusal's text
--   is_refusal          whether it is a refusal; NULL where the API sent no refusal field: not known
--   audio_transcript    what an audio answer says
--   tool_call_count     tool calls in it, 0 if none; a legacy function_call counts
--   tokens              tokens with a logprob; NULL without any
--   tokens_outside_top  of these, outside the top (-9999): left out below
--   mean_logprob        mean of the known logprobs
--   perplexity          exp(-mean_logprob): 1 is sure
--   lowest_logprob      that of its least likely known token
--   deleted_at          when a full re-list found the completion gone; NULL: still there
with choices as (
    select * from chat.choices
),
completions as (
    select * from chat.completions
),
undated_completions as (
    select * from chat.completions
    where completions.created_date is null
),
tool_calls as not materialized (
    select
        tool_calls.completion_id,
        tool_calls.choice_index,
        tool_calls.created_date,
        count(*) as tool_call_count
    from chat.tool_calls
    group by
        tool_calls.completion_id,
        tool_calls.choice_index,
        tool_calls.created_date
),
undated_tool_calls as (
    select * from tool_calls
    where tool_calls.created_date is null
),
logprobs as (
    select
        logprobs.completion_id,
        logprobs.choice_index,
        logprobs.created_date,
        case when logprobs.logprob > -9999 then least(logprobs.logprob, 0) end as logprob
    from chat.logprobs
),
confidence as not materialized (
    select
        logprobs.completion_id,
        logprobs.choice_index,
        logprobs.created_date,
        count(*) as tokens,
        count(*) - count(logprobs.logprob) as tokens_outside_top,
        avg(logprobs.logprob) as mean_logprob,
        min(logprobs.logprob) as lowest_logprob
    from logprobs
    group by
        logprobs.completion_id,
        logprobs.choice_index,
        logprobs.created_date
),
undated_confidence as (
    select * from confidence
    where confidence.created_date is null
)
-- joined by day too, so that a filter on created_date reaches every table, and apart where there is no day
select
    choices.completion_id,
    choices.choice_index,
    coalesce(completions.source, undated_completions.source) as source,
    coalesce(completions.created_at, undated_completions.created_at) as created_at,
    choices.created_date,
    coalesce(completions.model, undated_completions.model) as model,
    coalesce(completions.service_tier, undated_completions.service_tier) as service_tier,
    coalesce(completions.request_id, undated_completions.request_id) as request_id,
    coalesce(completions.input_user, undated_completions.input_user) as input_user,
    coalesce(completions.metadata, undated_completions.metadata) as metadata,
    choices.finish_reason,
    choices.content,
    -- what is not kept of content has the length of its mark or hash
    case
        when choices.content <> '[dropped]' and choices.content not like 'hmac:________________________________'
            then length(choices.content)
    end as content_length,
    choices.refusal,
    case when choices.refusal_sent then coalesce(choices.refusal <> '', false) end as is_refusal,
    choices.audio_transcript,
    coalesce(tool_calls.tool_call_count, undated_tool_calls.tool_call_count, 0)
    -- some servers send {"name": "", "arguments": ""} for "no call"
    + case when choices.function_call_name <> '' or choices.function_call_arguments <> '' then 1 else 0 end
    as tool_call_count,
    coalesce(confidence.tokens, undated_confidence.tokens) as tokens,
    coalesce(confidence.tokens_outside_top, undated_confidence.tokens_outside_top) as tokens_outside_top,
    coalesce(confidence.mean_logprob, undated_confidence.mean_logprob) as mean_logprob,
    exp(-coalesce(confidence.mean_logprob, undated_confidence.mean_logprob)) as perplexity,
    coalesce(confidence.lowest_logprob, undated_confidence.lowest_logprob) as lowest_logprob,
    coalesce(completions.deleted_at, undated_completions.deleted_at) as deleted_at
from choices
left join completions
    on completions.completion_id = choices.completion_id
    and completions.created_date = choices.created_date
left join undated_completions
    on undated_completions.completion_id = choices.completion_id
    and choices.created_date is null
left join tool_calls
    on tool_calls.completion_id = choices.completion_id
    and tool_calls.choice_index = choices.choice_index
    and tool_calls.created_date = choices.created_date
left join undated_tool_calls
    on undated_tool_calls.completion_id = choices.completion_id
    and undated_tool_calls.choice_index = choices.choice_index
    and choices.created_date is null
left join confidence
    on confidence.completion_id = choices.completion_id
    and confidence.choice_index = choices.choice_index
    and confidence.created_date = choices.created_date
left join undated_confidence
    on undated_confidence.completion_id = choices.completion_id
    and undated_confidence.choice_index = choices.choice_index
    and choices.created_date is null
