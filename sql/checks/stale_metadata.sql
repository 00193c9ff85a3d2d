-- A metadata pair stands in its completion's metadata object.
-- Pairs can be removed at the API; one that stays behind here books its completion under a label it no longer has.
-- Objects with a backslash are not looked at (a key may be written as an escape), nor those that stand in extra.
-- grain: completion_id, key
-- columns:
--   completion_id  the completion
--   key            the pair's key
--   value          the pair's value
--   metadata       the completion's metadata object, where the key does not occur
select
    metadata.completion_id,
    metadata.key,
    metadata.value,
    completions.metadata
from chat.metadata
inner join chat.completions on completions.completion_id = metadata.completion_id
where (
    completions.metadata is null
    and (completions.extra is null or completions.extra not like '%"metadata%')
)
or (
    position('\' in completions.metadata) = 0
    and position('"' || metadata.key || '"' in completions.metadata) = 0
)
