-- A warehouse of any size, made in SQL: $completions completions over 90 days, in order of time, in the shares of
-- tiers, tools and labels that accounts have; one in $every has logprobs of $tokens tokens with 4 alternatives each.
-- Of one in six the messages were read: threads of four turns, half an hour apart; of one in 60 a prompt that others
-- had as well. The organization's bill has every day, with a share of cached input that only it tells.
create temp table numbers as
select
    range as number,
    (hash(range) >> 1)::bigint as chance,
    'chatcmpl-' || left(md5(range::varchar), 29) as completion_id,
    timestamptz '2026-08-25 00:00:00+00' + to_microseconds(range * (90 * 86400000000 // $completions)) as created_at
from range($completions);
create temp table dated as
select *, (created_at at time zone 'UTC')::date as created_date from numbers order by number;
drop table numbers;

insert into chat.completions by name
select
    completion_id,
    created_at,
    created_date,
    ['gpt-4o-mini-2024-07-18', 'gpt-4o-mini-2024-07-18', 'gpt-4o-mini-2024-07-18', 'gpt-4o-2024-08-06',
        'gpt-4o-2024-08-06', 'gpt-4.1-2025-04-14', 'gpt-5-2025-08-07', 'o3-mini-2025-01-31'][1 + chance % 8] as model,
    case when chance // 8 % 10 = 0 then 'flex' else 'default' end as service_tier,
    'fp_' || left(md5((number // 500000)::varchar), 10) as system_fingerprint,
    'req_' || md5(number::varchar) as request_id,
    case when chance // 80 % 3 = 0 then 'user-' || chance // 240 % 5000 end as input_user,
    chance as seed,
    1.0 as temperature,
    1.0 as top_p,
    0.0 as presence_penalty,
    0.0 as frequency_penalty,
    '{"team":"team-' || chance // 16 % 12 || '","customer":"c-' || chance // 192 % 3000 || '"}' as metadata,
    'default' as source,
    md5(number::varchar) as row_hash,
    created_at as first_seen_at,
    created_at as last_seen_at,
    case when number % 6 = 0 or number % 60 = 1 then created_at end as messages_synced_at,
    '1' as _dlt_load_id
from dated order by number;

insert into chat.choices by name
select
    completion_id,
    answers.choice_index,
    created_date,
    case
        when chance // 1000 % 7 = 0 then 'tool_calls'
        when chance // 1000 % 40 = 1 then 'length'
        else 'stop'
    end as finish_reason,
    'assistant' as role,
    case when chance // 1000 % 7 <> 0 then repeat('An answer of some words. ', (1 + chance // 500 % 6)::integer) end as content,
    false as refusal_sent,
    md5('answer ' || number || ' ' || answers.choice_index) as answer_hash,
    '1' as _dlt_load_id
from dated
cross join unnest(case when chance // 100 % 20 = 0 then [0, 1, 2] else [0] end) as answers (choice_index)
order by number, answers.choice_index;

insert into chat.tool_calls by name
select
    completion_id,
    0 as choice_index,
    calls.tool_call_index,
    created_date,
    'call_' || left(md5(number::varchar), 24) as tool_call_id,
    'function' as type,
    'tool-' || chance // 50 % 20 as name,
    '{"order_number":"A-' || chance // 3 % 4000 || '"}' as arguments,
    chance // 9 % 50 <> 0 as arguments_valid,
    chance // 9 % 50 > 1 as arguments_fit,
    case chance // 9 % 50 when 0 then 'not_json' when 1 then 'required' end as arguments_problem,
    '1' as _dlt_load_id
from dated
cross join unnest(case when chance // 7000 % 4 = 0 then [0, 1] else [0] end) as calls (tool_call_index)
where chance // 1000 % 7 = 0
order by number, calls.tool_call_index;

insert into chat.annotations by name
select
    completion_id,
    0 as choice_index,
    0 as annotation_index,
    created_date,
    'url_citation' as type,
    0 as start_index,
    9 as end_index,
    'Page ' || chance % 900 as title,
    'https://pages.example/' || chance % 900 as url,
    '1' as _dlt_load_id
from dated
where chance // 300 % 50 = 0
order by number;

insert into chat.usage by name
select
    completion_id,
    created_date,
    100 + (chance // 11 % 3000)::bigint as prompt_tokens,
    10 + (chance // 13 % 700)::bigint as completion_tokens,
    110 + (chance // 11 % 3000 + chance // 13 % 700)::bigint as total_tokens,
    case when chance // 17 % 8 = 0 then (chance // 11 % 100)::bigint end as cached_tokens,
    case when chance // 17 % 8 = 0 then 0 end as reasoning_tokens,
    '1' as _dlt_load_id
from dated order by number;

insert into chat.metadata by name
select
    completion_id,
    labels.key,
    created_date,
    case labels.key when 'team' then 'team-' || chance // 16 % 12 else 'c-' || chance // 192 % 3000 end as value,
    '1' as _dlt_load_id
from dated
cross join unnest(['team', 'customer']) as labels (key)
order by number;

insert into chat.logprobs by name
select
    completion_id,
    0 as choice_index,
    'content' as kind,
    range as token_index,
    created_date,
    ' word-' || (hash(number, range) % 4000) as token,
    encode(' word-' || (hash(number, range) % 4000)) as bytes,
    case when hash(number, range) % 500 = 0 then -9999.0 else (hash(number, range) % 3000)::bigint / -1000.0 end as logprob,
    '1' as _dlt_load_id
from dated
cross join range($tokens)
where number % $every = 0
order by number, range;

insert into chat.top_logprobs by name
select
    completion_id,
    choice_index,
    kind,
    token_index,
    range as rank,
    created_date,
    case when range = 0 then token else ' word-' || (hash(completion_id, token_index, range) % 4000) end as token,
    case when range = 0 then bytes else encode(' word-' || (hash(completion_id, token_index, range) % 4000)) end as bytes,
    case when logprob < -9000 then -0.5 else logprob end - range * 1.7 as logprob,
    '1' as _dlt_load_id
from chat.logprobs
cross join range(4)
order by created_date, completion_id, choice_index, kind, token_index, range;

-- the turns of a thread have a quarter of a block between them: number 6 * (4 * apart * block + apart * turn + thread)
create temp table asked as
select
    dated.*,
    case when number % 6 = 0 then number // 6 // apart % 4 else 0 end as turn,
    case
        when number % 6 = 0 then 'thread ' || (number - 6 * apart * (number // 6 // apart % 4))
        else 'prompt ' || chance % 5000
    end as thread,
    number - 6 * apart * (number // 6 // apart % 4) as first_number
from dated
cross join (select greatest($completions // 24000, 1) as apart)
where number % 6 = 0 or number % 60 = 1
order by number;

insert into chat.messages by name
select
    completion_id,
    range as message_index,
    created_date,
    'msg_' || left(md5(number || '-' || range), 24) as message_id,
    case when range = 0 then 'system' when range % 2 = 1 then 'user' else 'assistant' end as role,
    repeat('A message of some words. ', (1 + hash(number, range) % 9)::integer) as content,
    case
        when range > 0 and range % 2 = 0
            then md5('answer ' || (first_number + 6 * greatest($completions // 24000, 1) * (range // 2 - 1)) || ' 0')
        else md5('message ' || thread || range)
    end as message_hash,
    case when range > 0 then md5(thread || ' ' || range) end as history_hash
from asked
cross join lateral range(2 + 2 * turn)
order by number, range;

insert into chat.prompts by name
select
    completion_id,
    created_date,
    2 + 2 * turn as message_count,
    md5(thread || ' ' || (2 + 2 * turn)) as prompt_hash,
    md5((chance % 12)::varchar) as system_prompt_hash
from asked order by number;
drop table asked;

insert into chat.organization_usage by name
select
    'default' as source,
    created_date as usage_date,
    md5(created_date || model || service_tier) as group_id,
    'proj_bench' as project_id,
    'key_bench' as api_key_id,
    model,
    model as billed_model,
    false as batch,
    case service_tier when 'flex' then 'flex-tier' else 'default' end as service_tier,
    case service_tier when 'flex' then 'flex' else 'standard' end as price_tier,
    count(*) * 2 as num_model_requests,
    sum(prompt_tokens)::bigint * 2 as input_tokens,
    sum(prompt_tokens)::bigint * 2 // 5 as input_cached_tokens,
    sum(completion_tokens)::bigint * 2 as output_tokens,
    max(created_at) as read_at
from chat.completions
join chat.usage using (completion_id, created_date)
group by created_date, model, service_tier
order by created_date, model, service_tier;

insert into chat.organization_costs by name
select
    source,
    usage_date as cost_date,
    md5(group_id || kinds.kind) as group_id,
    project_id,
    api_key_id,
    case price_tier when 'flex' then 'flex | ' else '' end || model || ', ' || kinds.kind as line_item,
    billed_model,
    kinds.kind,
    case price_tier when 'flex' then 'flex' end as prefix,
    false as long_context,
    case kinds.kind
        when 'input' then input_tokens - input_cached_tokens
        when 'cached input' then input_cached_tokens
        else output_tokens
    end * 0.000002 as amount_usd,
    'usd' as currency,
    read_at
from chat.organization_usage
cross join unnest(['input', 'cached input', 'output']) as kinds (kind)
order by usage_date, model, price_tier;

insert into chat.organization_bills (source, bill_source, project_id, first_date, last_date, read_at)
select 'default', 'default', 'proj_bench', min(created_date), max(created_date), max(created_at) from dated;

insert into chat.sync_runs by name
select 'run' as run_id, 'default' as source, max(created_at) as started_at, max(created_at) as finished_at,
    'done' as outcome, '1' as _dlt_load_id
from dated;
insert into chat.sources (source) values ('default');
drop table dated;
