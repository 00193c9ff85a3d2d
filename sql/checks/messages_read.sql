-- The input messages of a completion are all there, in their places, and marked as read.
-- Messages and the mark are written together: either without the other would be asked for again, or never.
-- grain: completion_id
-- columns:
--   completion_id       the completion
--   messages            its rows of chat.messages
--   message_count       how many it should have, as chat.prompts says; NULL: it has no row there
--   last_index          largest position, should be one less than messages
--   messages_synced_at  when they were read, should not be NULL; NULL too where there is no such completion
with messages as (
    select
        messages.completion_id,
        count(*) as messages,
        min(messages.message_index) as first_index,
        max(messages.message_index) as last_index
    from chat.messages
    group by messages.completion_id
),
prompts as (
    select * from chat.prompts
),
pairs as (
    select
        coalesce(prompts.completion_id, messages.completion_id) as completion_id,
        coalesce(messages.messages, 0) as messages,
        prompts.message_count,
        messages.first_index,
        messages.last_index
    from prompts
    full outer join messages on messages.completion_id = prompts.completion_id
)
select
    pairs.completion_id,
    pairs.messages,
    pairs.message_count,
    pairs.last_index,
    completions.messages_synced_at
from pairs
left join chat.completions on completions.completion_id = pairs.completion_id
where completions.messages_synced_at is null
    or pairs.message_count is distinct from pairs.messages
    or pairs.first_index <> 0
    or pairs.last_index <> pairs.messages - 1
