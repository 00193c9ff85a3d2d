-- Completions and cost per UTC day and metadata pair. Filter one metadata_key: a completion counts once under each.
-- A table and no view: each sync renews the days it touched, so that a page need not price every completion again.
-- Completions without a key are not in: they are the whole of reports.daily_costs less what is here. Deleted
-- completions are in.
-- grain: created_date, metadata_key, metadata_value
-- columns:
--   created_date          UTC day the completions were created; NULL where the API sent no usable time
--   metadata_key          the key: filter one, the sums are additive within one only
--   metadata_value        its value; NULL where the API sent no text
--   completions           number of completions with this pair
--   cost_usd              what they cost, in so far as it is known; NULL where none of it is
--   unpriced_completions  completions whose cost is not known: in no sum of costs
with metadata as (
    select * from chat.metadata
),
completion_costs as (
    select * from marts.completion_costs
)
select
    completion_costs.created_date,
    metadata.key as metadata_key,
    metadata.value as metadata_value,
    count(*) as completions,
    sum(completion_costs.cost_usd) as cost_usd,
    count(completion_costs.unpriced_reason) as unpriced_completions
from completion_costs
inner join metadata on metadata.completion_id = completion_costs.completion_id
group by
    completion_costs.created_date,
    metadata.key,
    metadata.value
