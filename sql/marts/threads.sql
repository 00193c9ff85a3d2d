-- Conversations: completions of which each continues an earlier one, from the first turn on, with what sending their
-- history again and again amounts to. Most have one turn. Only completions whose input messages were read are in;
-- see marts.turns for what continues what, and for the rule of what prompt caching could have served.
-- engine: duckdb
-- grain: thread_id
-- columns:
--   thread_id            the completion that the thread begins with
--   source               name of the configured source that loaded it
--   model                the model that answered the first turn
--   first_at             when the first turn started
--   last_at              when the newest turn started
--   created_date         UTC day of first_at
--   begins_late          whether the first turn already sends answers again, of completions that are not known here
--   turns                completions of the thread, all branches together
--   longest_turns        turns of its longest way from the first to a last one
--   ends                 turns that nothing continues: 1 unless the thread branches
--   regenerated_turns    turns with the very same messages as an earlier one
--   prompt_tokens        input tokens of all turns that say
--   completion_tokens    output tokens of all turns that say
--   resent_tokens        input tokens that had been sent before, at least
--   resent_share         of prompt_tokens
--   cached_tokens        input tokens read from the prompt cache, of the turns that say
--   cacheable_tokens     input tokens that prompt caching could have served, at least
--   cacheable_share      of prompt_tokens
--   cost_usd             what its turns cost in US dollars, those without a cost left out
--   unpriced_turns       turns without a cost
--   possible_saving_usd  what caching all cacheable tokens would have saved; some may have been cached, where the
--                        API did not say how many were
with turns as (
    select * from marts.turns
),
-- of its first turn, which is the only one with turn_index 0
sums as (
    select
        turns.thread_id,
        turns.thread_date,
        max(case when turns.turn_index = 0 then turns.source end) as source,
        max(case when turns.turn_index = 0 then turns.model end) as model,
        max(case when turns.turn_index = 0 then turns.created_at end) as first_at,
        max(case when turns.turn_index = 0 then turns.unknown_answers end) > 0 as begins_late,
        max(turns.created_at) as last_at,
        count(*) as turns,
        max(turns.turn_index) + 1 as longest_turns,
        sum(case when turns.continued_by = 0 then 1 else 0 end) as ends,
        sum(case when turns.is_regenerated then 1 else 0 end) as regenerated_turns,
        sum(turns.prompt_tokens) as prompt_tokens,
        sum(turns.completion_tokens) as completion_tokens,
        sum(turns.resent_tokens) as resent_tokens,
        sum(turns.cached_tokens) as cached_tokens,
        sum(turns.cacheable_tokens) as cacheable_tokens,
        sum(turns.cost_usd) as cost_usd,
        sum(case when turns.cost_usd is null then 1 else 0 end) as unpriced_turns,
        sum(turns.possible_saving_usd) as possible_saving_usd
    from turns
    group by
        turns.thread_id,
        turns.thread_date
)
select
    sums.thread_id,
    sums.source,
    sums.model,
    sums.first_at,
    sums.last_at,
    sums.thread_date as created_date,
    sums.begins_late,
    sums.turns,
    sums.longest_turns,
    cast(sums.ends as bigint) as ends,
    cast(sums.regenerated_turns as bigint) as regenerated_turns,
    sums.prompt_tokens,
    sums.completion_tokens,
    sums.resent_tokens,
    cast(sums.resent_tokens as double) / nullif(sums.prompt_tokens, 0) as resent_share,
    sums.cached_tokens,
    sums.cacheable_tokens,
    cast(sums.cacheable_tokens as double) / nullif(sums.prompt_tokens, 0) as cacheable_share,
    sums.cost_usd,
    cast(sums.unpriced_turns as bigint) as unpriced_turns,
    sums.possible_saving_usd
from sums
