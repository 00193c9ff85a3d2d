-- Every completion was loaded by a source that chat.sources lists.
-- A source that is missing there is missing in marts.freshness too, so that nobody would see it grow old.
-- grain: source
-- columns:
--   source         the name that is not listed
--   completions    completions that carry it
--   completion_id  one of them
select
    completions.source,
    count(*) as completions,
    min(completions.completion_id) as completion_id
from chat.completions
where not exists (
    select 1 from chat.sources
    where sources.source = completions.source
)
group by completions.source
