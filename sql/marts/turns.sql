-- Every completion whose input messages were read, as a turn of its thread: which one it continues, and what that
-- sent again. A completion continues another if its messages begin with that one's messages and an answer of it, told
-- by hashes: a call may have lost its arguments on the way, an answer that was edited is another one. Of several that
-- asked and answered the same, the oldest counts. What continues nothing known begins a thread.
-- A prefix counts as cacheable by OpenAI's rule for prompt caching: from 1,024 tokens on, in steps of 128, for the
-- same model, tools and response format, and while the cache lasts, taken as one hour. Its length is taken from the
-- earlier prompt; the earlier answer, sent again as well, would add to it: so these are lower bounds.
-- Told anew at each sync where something changed, and kept in reports.turns.
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
select
    turns.completion_id,
    turns.source,
    turns.created_at,
    turns.created_date,
    turns.model,
    turns.thread_id,
    turns.thread_date,
    turns.turn_index,
    turns.continues_id,
    turns.continues_choice_index,
    turns.continued_by,
    turns.is_regenerated,
    turns.message_count,
    turns.new_messages,
    turns.unknown_answers,
    turns.prompt_tokens,
    turns.cached_tokens,
    turns.completion_tokens,
    turns.seconds_since,
    turns.resent_tokens,
    turns.cacheable_tokens,
    turns.cost_usd,
    turns.usage_basis,
    turns.possible_saving_usd,
    turns.deleted_at
from reports.turns
