-- Every turn of a thread with what marts.turns says of it, which is where its rules stand, and what it was made of.
-- A table and no view: each sync renews the threads it touched, so that nobody need look through all messages again.
-- engine: duckdb
-- grain: completion_id
-- columns:
--   completion_id            the API's id; joins to every table of schema chat
--   source                   name of the configured source that loaded it
--   created_at               when the request started
--   created_date             UTC day of created_at
--   model                    the model that answered
--   thread_id                the completion that the thread begins with
--   thread_date              UTC day of that one
--   turn_index               how many turns of the thread lead to it, 0: it begins the thread
--   continues_id             the completion that it continues; NULL: none that is known
--   continues_choice_index   the answer of it that it goes on from
--   continued_by             completions that continue it; several: the thread branches here
--   is_regenerated           whether an earlier turn of the thread had the very same messages
--   message_count            input messages
--   new_messages             of these, those after the answer that it continues; all of them in a first turn
--   unknown_answers          answers among its messages that are of no completion known here
--   prompt_tokens            input tokens, cached ones included
--   cached_tokens            input tokens read from the prompt cache; NULL where the API did not say
--   completion_tokens        output tokens, reasoning included
--   seconds_since            from the start of the completion that it continues
--   resent_tokens            input tokens that the completion it continues had sent before; 0 in a first turn, NULL:
--                            not known
--   cacheable_tokens         of these, those that prompt caching could have served
--   cost_usd                 what it cost in US dollars, see marts.completion_costs; NULL: not known
--   usage_basis              what the tokens rest on, see marts.completion_costs
--   possible_saving_usd      what the cacheable tokens that are not known to have been cached would have cost less at
--                            the cached rate; where the API did not say how many were, some may have been; NULL: not
--                            known
--   deleted_at               when a full re-list found it gone; NULL: still there
--   unknown_histories        what stands before each of the unknown answers: md5_number_upper of history_hash of
--                            chat.messages
--   messages_synced_at       when its messages were read
--   load_id                  the load package that wrote the completion
with prompts as (
    select * from chat.prompts
),
completions as (
    select * from chat.completions
),
choices as (
    select * from chat.choices
),
messages as (
    select * from chat.messages
),
completion_costs as (
    select * from marts.completion_costs
),
asked as (
    select
        prompts.completion_id,
        prompts.prompt_hash,
        prompts.message_count,
        completions.tools,
        completions.response_format,
        completions.messages_synced_at,
        completions._dlt_load_id as load_id,
        completion_costs.source,
        completion_costs.created_at,
        completion_costs.created_date,
        completion_costs.model,
        completion_costs.prompt_tokens,
        completion_costs.cached_tokens,
        completion_costs.completion_tokens,
        completion_costs.cost_usd,
        completion_costs.usage_basis,
        completion_costs.price_no,
        completion_costs.multiplier,
        completion_costs.deleted_at
    from prompts
    inner join completions on completions.completion_id = prompts.completion_id
    inner join completion_costs on completion_costs.completion_id = prompts.completion_id
),
-- by what was said, and as servers list an answer whose calls they leave out: without a word
answers as (
    select
        choices.completion_id,
        choices.choice_index,
        choices.answer_hash
    from choices
    where choices.answer_hash is not null
    union all
    select
        choices.completion_id,
        choices.choice_index,
        'nothing said'
    from choices
    where choices.content is null
        and choices.refusal is null
        and choices.answer_hash is not null
),
ranked_answers as (
    select
        asked.source,
        asked.prompt_hash,
        asked.created_date,
        answers.answer_hash,
        answers.completion_id,
        answers.choice_index,
        row_number() over (
            partition by asked.source, asked.prompt_hash, answers.answer_hash
            order by asked.created_at, answers.completion_id, answers.choice_index
        ) as place
    from answers
    inner join asked on asked.completion_id = answers.completion_id
),
-- an answer that was sent again, and what was said before it
resent_answers as (
    select
        messages.completion_id,
        messages.message_index,
        asked.source,
        messages.history_hash,
        coalesce(messages.message_hash, 'nothing said') as message_hash
    from messages
    inner join asked on asked.completion_id = messages.completion_id
    where messages.role = 'assistant'
),
-- of several links of a completion the first leads to where the thread begins, the last to the nearest: whoever
-- continues a completion continues all that it continues
linked as (
    select
        resent_answers.completion_id,
        resent_answers.message_index,
        resent_answers.history_hash,
        ranked_answers.completion_id as continues_id,
        ranked_answers.created_date as continues_date,
        ranked_answers.choice_index as continues_choice_index,
        count(ranked_answers.completion_id) over (
            partition by resent_answers.completion_id
            order by resent_answers.message_index
        ) as step,
        count(ranked_answers.completion_id) over (partition by resent_answers.completion_id) as steps
    from resent_answers
    left join ranked_answers
        on ranked_answers.source = resent_answers.source
        and ranked_answers.prompt_hash = resent_answers.history_hash
        and ranked_answers.answer_hash = resent_answers.message_hash
        and ranked_answers.place = 1
),
ends as (
    select
        linked.completion_id,
        max(linked.steps) as turn_index,
        max(case when linked.step = 1 then linked.continues_id end) as thread_id,
        max(case when linked.step = 1 then linked.continues_date end) as thread_date,
        max(case when linked.step = linked.steps then linked.continues_id end) as continues_id,
        max(case when linked.step = linked.steps then linked.continues_choice_index end) as continues_choice_index,
        max(case when linked.continues_id is not null then linked.message_index end) as last_index
    from linked
    group by linked.completion_id
),
unknown as (
    select
        linked.completion_id,
        count(*) as unknown_answers,
        list(md5_number_upper(linked.history_hash) order by linked.message_index) as unknown_histories
    from linked
    where linked.continues_id is null
    group by linked.completion_id
),
continuing as (
    select
        ends.continues_id,
        count(*) as continued_by
    from ends
    where ends.continues_id is not null
    group by ends.continues_id
),
turns as (
    select
        asked.*,
        case when ends.continues_id is null then asked.completion_id else ends.thread_id end as thread_id,
        case when ends.continues_id is null then asked.created_date else ends.thread_date end as thread_date,
        coalesce(ends.turn_index, 0) as turn_index,
        ends.continues_id,
        ends.continues_choice_index,
        asked.message_count - coalesce(ends.last_index + 1, 0) as new_messages,
        coalesce(unknown.unknown_answers, 0) as unknown_answers,
        unknown.unknown_histories,
        coalesce(continuing.continued_by, 0) as continued_by,
        extract(epoch from asked.created_at) - extract(epoch from earlier.created_at) as seconds_since,
        case
            when ends.continues_id is null then 0
            when earlier.prompt_tokens < asked.prompt_tokens then earlier.prompt_tokens
            when earlier.prompt_tokens is not null then asked.prompt_tokens
        end as resent_tokens,
        coalesce(
            asked.model = earlier.model
            and coalesce(asked.tools, '') = coalesce(earlier.tools, '')
            and coalesce(asked.response_format, '') = coalesce(earlier.response_format, ''),
            false
        ) as is_alike
    from asked
    left join ends on ends.completion_id = asked.completion_id
    left join unknown on unknown.completion_id = asked.completion_id
    left join continuing on continuing.continues_id = asked.completion_id
    left join asked as earlier on earlier.completion_id = ends.continues_id
),
cacheable as (
    select
        turns.*,
        case
            when turns.resent_tokens is null then null
            when turns.is_alike
                and turns.seconds_since between 0 and 3600
                and turns.resent_tokens >= 1024
                then turns.resent_tokens - turns.resent_tokens % 128
            else 0
        end as cacheable_tokens
    from turns
)
select
    cacheable.completion_id,
    cacheable.source,
    cacheable.created_at,
    cacheable.created_date,
    cacheable.model,
    cacheable.thread_id,
    cacheable.thread_date,
    cacheable.turn_index,
    cacheable.continues_id,
    cacheable.continues_choice_index,
    cacheable.continued_by,
    row_number() over (
        partition by cacheable.thread_id, cacheable.prompt_hash
        order by cacheable.created_at, cacheable.completion_id
    ) > 1 as is_regenerated,
    cacheable.message_count,
    cacheable.new_messages,
    cacheable.unknown_answers,
    cacheable.prompt_tokens,
    cacheable.cached_tokens,
    cacheable.completion_tokens,
    cast(cacheable.seconds_since as bigint) as seconds_since,
    cacheable.resent_tokens,
    cacheable.cacheable_tokens,
    cacheable.cost_usd,
    cacheable.usage_basis,
    case
        when cacheable.cost_usd is not null and cacheable.cacheable_tokens is not null
            then greatest(cacheable.cacheable_tokens - coalesce(cacheable.cached_tokens, 0), 0)
                * (model_prices.input - coalesce(model_prices.cached_input, model_prices.input))
                * cacheable.multiplier
    end as possible_saving_usd,
    cacheable.deleted_at,
    cacheable.unknown_histories,
    cacheable.messages_synced_at,
    cacheable.load_id
from cacheable
left join chat.model_prices on model_prices.price_no = cacheable.price_no
