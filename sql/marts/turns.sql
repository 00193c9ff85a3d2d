-- Every completion whose input messages were read, as a turn of its thread: which one it continues, and what that
-- sent again. A completion continues another if its messages begin with that one's messages and an answer of it, told
-- by hashes: a call may have lost its arguments on the way, an answer that was edited is another one. Of several that
-- asked and answered the same, the oldest counts. What continues nothing known begins a thread.
-- A prefix counts as cacheable by OpenAI's rule for prompt caching: from 1,024 tokens on, in steps of 128, for the
-- same model, tools and response format, and while the cache lasts, taken as one hour. Its length is taken from the
-- earlier prompt; the earlier answer, sent again as well, would add to it: so these are lower bounds.
-- engine: duckdb
-- grain: completion_id
-- columns:
--   completion_id            the API's id; joins to every table of schema chat
--   source                   name of the configured source that loaded it
--   created_at               when the request started
--   created_date             UTC day of created_at
--   model                    the model that answered
--   thread_id                the completion that the thread begins with
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
with prompts as (
    select * from chat.prompts
),
completions as (
    select * from chat.completions
),
completion_costs as (
    select * from marts.completion_costs
),
-- by what was said, and as servers list an answer whose calls they leave out: without a word
answers as (
    select
        choices.completion_id,
        choices.choice_index,
        choices.answer_hash
    from chat.choices
    where choices.answer_hash is not null
    union all
    select
        choices.completion_id,
        choices.choice_index,
        'nothing said'
    from chat.choices
    where choices.content is null
        and choices.refusal is null
        and choices.answer_hash is not null
),
ranked_answers as (
    select
        completions.source,
        prompts.prompt_hash,
        answers.answer_hash,
        answers.completion_id,
        answers.choice_index,
        row_number() over (
            partition by completions.source, prompts.prompt_hash, answers.answer_hash
            order by completions.created_at, answers.completion_id, answers.choice_index
        ) as place
    from answers
    inner join prompts on prompts.completion_id = answers.completion_id
    inner join completions on completions.completion_id = answers.completion_id
),
-- an answer that was sent again, and what was said before it
resent_answers as (
    select
        messages.completion_id,
        messages.message_index,
        completions.source,
        messages.history_hash,
        coalesce(messages.message_hash, 'nothing said') as message_hash
    from chat.messages
    inner join completions on completions.completion_id = messages.completion_id
    where messages.role = 'assistant'
),
continued as (
    select
        resent_answers.completion_id,
        resent_answers.message_index,
        ranked_answers.completion_id as continues_id,
        ranked_answers.choice_index as continues_choice_index
    from resent_answers
    inner join ranked_answers
        on ranked_answers.source = resent_answers.source
        and ranked_answers.prompt_hash = resent_answers.history_hash
        and ranked_answers.answer_hash = resent_answers.message_hash
        and ranked_answers.place = 1
),
-- whoever continues a completion continues all that it continues: so the first is the thread's, the last the nearest
ends as (
    select
        continued.completion_id,
        min(continued.message_index) as first_index,
        max(continued.message_index) as last_index,
        count(*) as turn_index
    from continued
    group by continued.completion_id
),
asked as (
    select
        resent_answers.completion_id,
        count(*) as answers
    from resent_answers
    group by resent_answers.completion_id
),
continuing as (
    select
        nearest.continues_id,
        count(*) as continued_by
    from ends
    inner join continued as nearest
        on nearest.completion_id = ends.completion_id
        and nearest.message_index = ends.last_index
    group by nearest.continues_id
),
turns as (
    select
        prompts.completion_id,
        prompts.prompt_hash,
        prompts.message_count,
        coalesce(beginning.continues_id, prompts.completion_id) as thread_id,
        coalesce(ends.turn_index, 0) as turn_index,
        nearest.continues_id,
        nearest.continues_choice_index,
        prompts.message_count - coalesce(ends.last_index + 1, 0) as new_messages,
        coalesce(asked.answers, 0) - coalesce(ends.turn_index, 0) as unknown_answers
    from prompts
    left join ends on ends.completion_id = prompts.completion_id
    left join asked on asked.completion_id = prompts.completion_id
    left join continued as beginning
        on beginning.completion_id = ends.completion_id
        and beginning.message_index = ends.first_index
    left join continued as nearest
        on nearest.completion_id = ends.completion_id
        and nearest.message_index = ends.last_index
),
measured as (
    select
        turns.*,
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
        completion_costs.deleted_at,
        extract(epoch from completion_costs.created_at) - extract(epoch from earlier.created_at) as seconds_since,
        case
            when turns.continues_id is null then 0
            when usage.prompt_tokens < completion_costs.prompt_tokens then usage.prompt_tokens
            when usage.prompt_tokens is not null then completion_costs.prompt_tokens
        end as resent_tokens,
        coalesce(
            completion_costs.model = earlier.model
            and coalesce(completions.tools, '') = coalesce(earlier.tools, '')
            and coalesce(completions.response_format, '') = coalesce(earlier.response_format, ''),
            false
        ) as is_alike
    from turns
    inner join completion_costs on completion_costs.completion_id = turns.completion_id
    inner join completions on completions.completion_id = turns.completion_id
    left join completions as earlier on earlier.completion_id = turns.continues_id
    left join chat.usage on usage.completion_id = turns.continues_id
),
cacheable as (
    select
        measured.*,
        case
            when measured.resent_tokens is null then null
            when measured.is_alike
                and measured.seconds_since between 0 and 3600
                and measured.resent_tokens >= 1024
                then measured.resent_tokens - measured.resent_tokens % 128
            else 0
        end as cacheable_tokens
    from measured
)
select
    cacheable.completion_id,
    cacheable.source,
    cacheable.created_at,
    cacheable.created_date,
    cacheable.model,
    cacheable.thread_id,
    cacheable.turn_index,
    cacheable.continues_id,
    cacheable.continues_choice_index,
    coalesce(continuing.continued_by, 0) as continued_by,
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
    cacheable.deleted_at
from cacheable
left join continuing on continuing.continues_id = cacheable.completion_id
left join chat.model_prices on model_prices.price_no = cacheable.price_no
