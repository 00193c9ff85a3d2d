-- How sure the model was of each answer: its tokens' log probabilities, added up. Only answers with logprobs are in.
-- Tokens outside the top (-9999) are counted and left out: with many of them the rest looks surer than it was.
-- Compare answers of like length and kind: a perplexity is that of the model on its own text, not how right it is.
-- Deleted completions are in.
-- engine: duckdb
-- grain: completion_id, choice_index
-- columns:
--   completion_id              the completion
--   choice_index               the choice
--   created_at                 when the request started
--   created_date               UTC day of created_at; NULL where the API sent no usable time
--   model                      the model that answered
--   tokens                     tokens with a logprob, those of a refusal included
--   tokens_outside_top         of these, outside the top: left out below
--   mean_logprob               mean of the known logprobs, 0 at most; NULL where none is known
--   perplexity                 exp(-mean_logprob): 1 is sure, 2 as unsure as a fair coin at each token
--   lowest_logprob             that of its least likely known token
--   lowest_probability         the same as a probability
--   lowest_token               that token; the first of several that are as unlikely to a millionth
--   lowest_token_index         its position in the text
--   tokens_with_alternatives   tokens with alternatives: what the means below are over
--   mean_entropy               mean entropy of the listed alternatives, in nats, see marts.token_confidence
--   mean_unlisted_probability  mean probability that the alternatives leave out
--   mean_margin                mean lead of the written token over its likeliest rival
--   lowest_margin              smallest lead; negative: somewhere a rival was likelier
with tokens as (
    select * from marts.token_confidence
),
choices as (
    select
        tokens.completion_id,
        tokens.choice_index,
        tokens.created_at,
        tokens.created_date,
        tokens.model,
        count(*) as tokens,
        count(*) - count(tokens.logprob) as tokens_outside_top,
        avg(tokens.logprob) as mean_logprob,
        min(tokens.logprob) as lowest_logprob,
        -- millionths and position as digits before the token, so that the least text is the first least likely token
        min(
            lpad(cast(9999000000 + cast(round(tokens.logprob * 1000000) as bigint) as varchar), 10, '0')
            || lpad(cast(tokens.token_index as varchar), 10, '0')
            || tokens.token
        ) as lowest,
        count(tokens.entropy) as tokens_with_alternatives,
        avg(tokens.entropy) as mean_entropy,
        avg(tokens.unlisted_probability) as mean_unlisted_probability,
        avg(tokens.margin) as mean_margin,
        min(tokens.margin) as lowest_margin
    from tokens
    group by
        tokens.completion_id,
        tokens.choice_index,
        tokens.created_at,
        tokens.created_date,
        tokens.model
)
select
    choices.completion_id,
    choices.choice_index,
    choices.created_at,
    choices.created_date,
    choices.model,
    choices.tokens,
    choices.tokens_outside_top,
    choices.mean_logprob,
    exp(-choices.mean_logprob) as perplexity,
    choices.lowest_logprob,
    exp(choices.lowest_logprob) as lowest_probability,
    substr(choices.lowest, 21) as lowest_token,
    cast(substr(choices.lowest, 11, 10) as bigint) as lowest_token_index,
    choices.tokens_with_alternatives,
    choices.mean_entropy,
    choices.mean_unlisted_probability,
    choices.mean_margin,
    choices.lowest_margin
from choices
