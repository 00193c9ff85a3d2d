-- Prompts, threads and turns are each taken apart into the next without a loss, and have what chat.prompts has.
-- A turn that is lost or counted twice makes every figure of its thread wrong, however right each row looks.
-- engine: duckdb
-- grain: relation, measure
-- columns:
--   relation  the view that was added up
--   measure   completions, turns or prompt_tokens
--   expected  what the table or view below it holds
--   found     what the view adds up to
with read_prompts as (
    select
        count(*) as completions,
        count(prompts.prompt_hash) as hashed
    from chat.prompts
),
prompts as (
    select coalesce(sum(prompts.completions), 0) as completions
    from marts.prompts
),
turns as (
    select
        count(*) as turns,
        coalesce(sum(turns.prompt_tokens), 0) as prompt_tokens
    from marts.turns
),
threads as (
    select
        coalesce(sum(threads.turns), 0) as turns,
        coalesce(sum(threads.prompt_tokens), 0) as prompt_tokens
    from marts.threads
),
measures as (
    select 'marts.prompts' as relation, 'completions' as measure, read_prompts.hashed as expected, prompts.completions as found
    from read_prompts cross join prompts
    union all
    select 'marts.turns', 'turns', read_prompts.completions, turns.turns
    from read_prompts cross join turns
    union all
    select 'marts.threads', 'turns', turns.turns, threads.turns
    from turns cross join threads
    union all
    select 'marts.threads', 'prompt_tokens', turns.prompt_tokens, threads.prompt_tokens
    from turns cross join threads
)
select
    measures.relation,
    measures.measure,
    measures.expected,
    measures.found
from measures
where measures.found <> measures.expected
