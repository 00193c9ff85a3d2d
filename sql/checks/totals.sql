-- What the views add up to is what the tables hold: completions and tokens, also within each metadata key.
-- A view that loses or repeats a completion makes every figure built on it wrong, however right each row looks.
-- The API promises no sum of its own (prompt_tokens and completion_tokens need not give total_tokens): none is asked.
-- grain: relation, metadata_key, measure
-- columns:
--   relation      the view that was added up
--   metadata_key  the key it was added up within; NULL: all of it
--   measure       completions, prompt_tokens, completion_tokens or total_tokens
--   expected      what the tables hold
--   found         what the view adds up to
with completions as (
    select count(*) as completions
    from chat.completions
),
usage as (
    select
        coalesce(sum(usage.prompt_tokens), 0) as prompt_tokens,
        coalesce(sum(usage.completion_tokens), 0) as completion_tokens,
        coalesce(sum(usage.total_tokens), 0) as total_tokens
    from chat.usage
),
sums as (
    select
        'marts.completions_wide' as relation,
        cast(null as varchar) as metadata_key,
        count(*) as completions,
        coalesce(sum(completions_wide.prompt_tokens), 0) as prompt_tokens,
        coalesce(sum(completions_wide.completion_tokens), 0) as completion_tokens,
        coalesce(sum(completions_wide.total_tokens), 0) as total_tokens
    from marts.completions_wide
    union all
    select
        'marts.daily_usage',
        null,
        coalesce(sum(daily_usage.completions), 0),
        coalesce(sum(daily_usage.prompt_tokens), 0),
        coalesce(sum(daily_usage.completion_tokens), 0),
        coalesce(sum(daily_usage.total_tokens), 0)
    from marts.daily_usage
    union all
    select
        'marts.metadata_usage',
        metadata_usage.metadata_key,
        coalesce(sum(metadata_usage.completions), 0),
        coalesce(sum(metadata_usage.prompt_tokens), 0),
        coalesce(sum(metadata_usage.completion_tokens), 0),
        coalesce(sum(metadata_usage.total_tokens), 0)
    from marts.metadata_usage
    group by metadata_usage.metadata_key
),
measures as (
    select sums.relation, sums.metadata_key, 'completions' as measure, completions.completions as expected,
        sums.completions as found
    from sums
    cross join completions
    union all
    select sums.relation, sums.metadata_key, 'prompt_tokens', usage.prompt_tokens, sums.prompt_tokens
    from sums
    cross join usage
    union all
    select sums.relation, sums.metadata_key, 'completion_tokens', usage.completion_tokens, sums.completion_tokens
    from sums
    cross join usage
    union all
    select sums.relation, sums.metadata_key, 'total_tokens', usage.total_tokens, sums.total_tokens
    from sums
    cross join usage
)
select
    measures.relation,
    measures.metadata_key,
    measures.measure,
    measures.expected,
    measures.found
from measures
where measures.expected <> measures.found
