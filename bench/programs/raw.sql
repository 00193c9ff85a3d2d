-- Completions as NDJSON -> the tables of schema chat, by DuckDB alone.
-- No network, no state, no merge, no extra and no row hash: what it leaves out, ours has to pay for.
-- Each step was chosen by its CPU seconds: views where a temporary table cost more (2.7 against 3.4),
-- and a list of hex digits for the bytes (printf took twice as long).

set variable digits = (select list(printf('%02x', code) order by code) from range(256) as codes(code));

create schema chat;

create temp table pages as
select *
from read_json(
    getvariable('ndjson'),
    format = 'newline_delimited',
    maximum_object_size = 67108864,
    columns = {
        id: 'varchar',
        created: 'bigint',
        model: 'varchar',
        service_tier: 'varchar',
        system_fingerprint: 'varchar',
        request_id: 'varchar',
        input_user: 'varchar',
        seed: 'bigint',
        temperature: 'double',
        top_p: 'double',
        presence_penalty: 'double',
        frequency_penalty: 'double',
        tools: 'json',
        tool_choice: 'json',
        response_format: 'json',
        metadata: 'map(varchar, varchar)',
        usage: 'struct(
            prompt_tokens bigint, completion_tokens bigint, total_tokens bigint,
            prompt_tokens_details struct(
                cached_tokens bigint, cache_write_tokens bigint,
                audio_tokens bigint, text_tokens bigint, image_tokens bigint
            ),
            completion_tokens_details struct(
                reasoning_tokens bigint, audio_tokens bigint, text_tokens bigint,
                accepted_prediction_tokens bigint, rejected_prediction_tokens bigint
            )
        )',
        choices: 'struct(
            index bigint,
            finish_reason varchar,
            message struct(
                role varchar, content varchar, refusal varchar,
                function_call struct(name varchar, arguments varchar),
                audio struct(id varchar, expires_at bigint, transcript varchar, data varchar),
                tool_calls struct(
                    id varchar, type varchar,
                    function struct(name varchar, arguments varchar),
                    custom struct(name varchar, input varchar)
                )[]
            ),
            logprobs struct(
                content struct(
                    token varchar, bytes utinyint[], logprob double,
                    top_logprobs struct(token varchar, bytes utinyint[], logprob double)[]
                )[],
                refusal struct(
                    token varchar, bytes utinyint[], logprob double,
                    top_logprobs struct(token varchar, bytes utinyint[], logprob double)[]
                )[]
            )
        )[]'
    }
);

create table chat.completions as
select
    id as completion_id,
    to_timestamp(created) as created_at,
    to_timestamp(created)::date as created_date,
    * exclude (id, created, usage, choices, metadata),
    to_json(metadata) as metadata,
from pages;

create table chat.usage as
select
    id as completion_id,
    to_timestamp(created)::date as created_date,
    usage.prompt_tokens,
    usage.completion_tokens,
    usage.total_tokens,
    usage.prompt_tokens_details.cached_tokens,
    usage.prompt_tokens_details.cache_write_tokens,
    usage.prompt_tokens_details.audio_tokens as prompt_audio_tokens,
    usage.prompt_tokens_details.text_tokens as prompt_text_tokens,
    usage.prompt_tokens_details.image_tokens as prompt_image_tokens,
    usage.completion_tokens_details.reasoning_tokens,
    usage.completion_tokens_details.audio_tokens as completion_audio_tokens,
    usage.completion_tokens_details.text_tokens as completion_text_tokens,
    usage.completion_tokens_details.accepted_prediction_tokens,
    usage.completion_tokens_details.rejected_prediction_tokens,
from pages
where usage is not null;

create table chat.metadata as
select
    completion_id,
    pair.key,
    created_date,
    pair.value,
from (
    select id as completion_id, to_timestamp(created)::date as created_date, unnest(map_entries(metadata)) as pair
    from pages
);

create temp view answers as
select
    completion_id,
    created_date,
    choice['index'] as choice_index,
    choice.finish_reason,
    choice.message,
    choice.logprobs,
from (
    select id as completion_id, to_timestamp(created)::date as created_date, unnest(choices) as choice
    from pages
);

create table chat.choices as
select
    completion_id,
    choice_index,
    created_date,
    finish_reason,
    message.role,
    message.content,
    message.refusal,
    message.function_call.name as function_call_name,
    message.function_call.arguments as function_call_arguments,
    message.audio.id as audio_id,
    to_timestamp(message.audio.expires_at) as audio_expires_at,
    message.audio.transcript as audio_transcript,
    from_base64(message.audio.data) as audio_data,
from answers;

create table chat.tool_calls as
select
    completion_id,
    choice_index,
    tool_call_index,
    created_date,
    call.id as tool_call_id,
    call.type,
    coalesce(call.function.name, call.custom.name) as name,
    coalesce(call.function.arguments, call.custom.input) as arguments,
    json_valid(call.function.arguments) as arguments_valid,
from (
    select
        completion_id,
        choice_index,
        created_date,
        generate_subscripts(message.tool_calls, 1) - 1 as tool_call_index,
        unnest(message.tool_calls) as call,
    from answers
);

create temp view tokens as
select
    completion_id,
    choice_index,
    'content' as kind,
    generate_subscripts(logprobs.content, 1) - 1 as token_index,
    created_date,
    unnest(logprobs.content) as weighed,
from answers
union all
select
    completion_id,
    choice_index,
    'refusal' as kind,
    generate_subscripts(logprobs.refusal, 1) - 1 as token_index,
    created_date,
    unnest(logprobs.refusal) as weighed,
from answers;

create temp macro blob(bytes) as
    unhex(array_to_string(list_transform(bytes, lambda byte: getvariable('digits')[byte + 1]), ''));

create table chat.logprobs as
select
    * exclude (weighed),
    weighed.token,
    blob(weighed.bytes) as bytes,
    weighed.logprob,
from tokens;

create table chat.top_logprobs as
select
    * exclude (alternative),
    alternative.token,
    blob(alternative.bytes) as bytes,
    alternative.logprob,
from (
    select
        * exclude (weighed),
        generate_subscripts(weighed.top_logprobs, 1) - 1 as rank,
        unnest(weighed.top_logprobs) as alternative,
    from tokens
);
