-- How sure the model was of each output token, and what else it weighed there.
-- The API lists the likeliest alternatives, from the likeliest on; the written token is one of them, unless it is less
-- likely than all of them: then it counts beside them. What they leave out is unlisted_probability, and entropy leaves
-- it out too, so it is a lower bound. A logprob of -9999 means "outside the top": not known, and in no figure.
-- Deleted completions are in.
-- engine: duckdb
-- grain: completion_id, choice_index, kind, token_index
-- columns:
--   completion_id         the completion
--   choice_index          the choice
--   kind                  content or refusal: which text the token is part of
--   token_index           position of the token in that text
--   created_at            when the request started
--   created_date          UTC day of created_at; NULL where the API sent no usable time
--   model                 the model that answered
--   token                 the token as the API shows it
--   logprob               natural logarithm of its probability; NULL outside the top
--   probability           its probability, 0 to 1; NULL outside the top
--   is_outside_top        whether the API sent -9999: less likely than every token it tells of
--   alternatives          listed tokens with a known probability, the written one included if it is listed; 0 if none
--   listed_probability    what those and the written token add up to; NULL without alternatives
--   unlisted_probability  what is left of 1: how much of the picture is missing
--   entropy               of the listed ones, in nats, as they are; 0: sure; NULL without alternatives
--   margin                its probability less that of its likeliest rival; negative where the rival was likelier
with logprobs as (
    select
        logprobs.completion_id,
        logprobs.choice_index,
        logprobs.kind,
        logprobs.token_index,
        logprobs.created_date,
        logprobs.token,
        logprobs.logprob <= -9999 as is_outside_top,
        case when logprobs.logprob > -9999 then least(logprobs.logprob, 0) end as logprob
    from chat.logprobs
),
completions as (
    select * from chat.completions
),
undated_completions as (
    select * from chat.completions
    where completions.created_date is null
),
-- no where here: DuckDB leaves out a join whose columns nobody asks for, but not one with a filter in it
known as not materialized (
    select
        top_logprobs.completion_id,
        top_logprobs.choice_index,
        top_logprobs.kind,
        top_logprobs.token_index,
        top_logprobs.created_date,
        top_logprobs.rank,
        case when top_logprobs.logprob > -9999 then least(top_logprobs.logprob, 0) end as logprob
    from chat.top_logprobs
),
alternatives as not materialized (
    select
        known.completion_id,
        known.choice_index,
        known.kind,
        known.token_index,
        known.created_date,
        count(known.logprob) as alternatives,
        sum(exp(known.logprob)) as probability,
        -sum(exp(known.logprob) * known.logprob) as entropy,
        max(known.logprob) as likeliest,
        min(known.logprob) as unlikeliest,
        max(case when known.rank > 0 then known.logprob end) as second
    from known
    group by
        known.completion_id,
        known.choice_index,
        known.kind,
        known.token_index,
        known.created_date
),
undated_alternatives as (
    select
        alternatives.completion_id,
        alternatives.choice_index,
        alternatives.kind,
        alternatives.token_index,
        min(alternatives.alternatives) as alternatives,
        min(alternatives.probability) as probability,
        min(alternatives.entropy) as entropy,
        min(alternatives.likeliest) as likeliest,
        min(alternatives.unlikeliest) as unlikeliest,
        min(alternatives.second) as second
    from alternatives
    where alternatives.created_date is null
    group by
        alternatives.completion_id,
        alternatives.choice_index,
        alternatives.kind,
        alternatives.token_index
),
-- joined by day too, so that a filter on created_date reaches every table, and apart where there is no day
tokens as (
    select
        logprobs.*,
        coalesce(completions.created_at, undated_completions.created_at) as created_at,
        coalesce(completions.model, undated_completions.model) as model,
        coalesce(alternatives.alternatives, undated_alternatives.alternatives) as alternatives,
        coalesce(alternatives.probability, undated_alternatives.probability) as listed,
        coalesce(alternatives.entropy, undated_alternatives.entropy) as listed_entropy,
        coalesce(alternatives.likeliest, undated_alternatives.likeliest) as likeliest,
        coalesce(alternatives.unlikeliest, undated_alternatives.unlikeliest) as unlikeliest,
        coalesce(alternatives.second, undated_alternatives.second) as second
    from logprobs
    left join completions
        on completions.completion_id = logprobs.completion_id
        and completions.created_date = logprobs.created_date
    left join undated_completions
        on undated_completions.completion_id = logprobs.completion_id
        and logprobs.created_date is null
    left join alternatives
        on alternatives.completion_id = logprobs.completion_id
        and alternatives.choice_index = logprobs.choice_index
        and alternatives.kind = logprobs.kind
        and alternatives.token_index = logprobs.token_index
        and alternatives.created_date = logprobs.created_date
    left join undated_alternatives
        on undated_alternatives.completion_id = logprobs.completion_id
        and undated_alternatives.choice_index = logprobs.choice_index
        and undated_alternatives.kind = logprobs.kind
        and undated_alternatives.token_index = logprobs.token_index
        and logprobs.created_date is null
),
weighed as (
    select
        tokens.*,
        exp(tokens.logprob) as probability,
        case
            when tokens.logprob < tokens.unlikeliest or tokens.logprob > tokens.likeliest then exp(tokens.logprob)
            else 0
        end as beside,
        exp(case when tokens.logprob = tokens.likeliest then tokens.second else tokens.likeliest end) as rival
    from tokens
)
select
    weighed.completion_id,
    weighed.choice_index,
    weighed.kind,
    weighed.token_index,
    weighed.created_at,
    weighed.created_date,
    weighed.model,
    weighed.token,
    weighed.logprob,
    weighed.probability,
    weighed.is_outside_top,
    coalesce(weighed.alternatives, 0) as alternatives,
    weighed.listed + weighed.beside as listed_probability,
    -- rounding can make it a little more than 1
    case when weighed.listed is not null then greatest(1 - weighed.listed - weighed.beside, 0) end as unlisted_probability,
    weighed.listed_entropy - case when weighed.beside > 0 then weighed.beside * weighed.logprob else 0 end as entropy,
    weighed.probability - weighed.rival as margin
from weighed
