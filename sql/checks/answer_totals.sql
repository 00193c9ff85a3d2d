-- The views of answers, tool calls and tokens have as many of them as the tables.
-- A view that loses or repeats an answer makes every rate and count built on it wrong, however right each row looks.
-- engine: duckdb
-- grain: relation, measure
-- columns:
--   relation  the view that was added up
--   measure   choices, tool_calls (function_calls included) or tokens
--   expected  what the tables hold
--   found     what the view adds up to
with choices as (
    select
        count(*) as choices,
        count(case when choices.function_call_name <> '' or choices.function_call_arguments <> '' then 1 end) as function_calls
    from chat.choices
),
tool_calls as (
    select count(*) as tool_calls
    from chat.tool_calls
),
logprobs as (
    select count(*) as tokens
    from chat.logprobs
),
choices_wide as (
    select
        count(*) as choices,
        coalesce(sum(choices_wide.tool_call_count), 0) as tool_calls
    from marts.choices_wide
),
tool_calls_wide as (
    select count(*) as tool_calls
    from marts.tool_calls_wide
),
tool_usage as (
    select coalesce(sum(tool_usage.calls), 0) as tool_calls
    from marts.tool_usage
),
finish_reasons as (
    select coalesce(sum(finish_reasons.choices), 0) as choices
    from marts.finish_reasons
),
answer_rates as (
    select coalesce(sum(answer_rates.choices), 0) as choices
    from marts.answer_rates
),
choice_confidence as (
    select coalesce(sum(choice_confidence.tokens), 0) as tokens
    from marts.choice_confidence
),
measures as (
    select 'marts.choices_wide' as relation, 'choices' as measure, choices.choices as expected, choices_wide.choices as found
    from choices cross join choices_wide
    union all
    select 'marts.choices_wide', 'tool_calls', tool_calls.tool_calls + choices.function_calls, choices_wide.tool_calls
    from choices cross join tool_calls cross join choices_wide
    union all
    select 'marts.tool_calls_wide', 'tool_calls', tool_calls.tool_calls + choices.function_calls, tool_calls_wide.tool_calls
    from choices cross join tool_calls cross join tool_calls_wide
    union all
    select 'marts.tool_usage', 'tool_calls', tool_calls.tool_calls + choices.function_calls, tool_usage.tool_calls
    from choices cross join tool_calls cross join tool_usage
    union all
    select 'marts.finish_reasons', 'choices', choices.choices, finish_reasons.choices
    from choices cross join finish_reasons
    union all
    select 'marts.answer_rates', 'choices', choices.choices, answer_rates.choices
    from choices cross join answer_rates
    union all
    select 'marts.choice_confidence', 'tokens', logprobs.tokens, choice_confidence.tokens
    from logprobs cross join choice_confidence
)
select
    measures.relation,
    measures.measure,
    measures.expected,
    measures.found
from measures
where measures.found <> measures.expected
