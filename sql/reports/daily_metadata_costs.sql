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
with labelled as (
    select
        completion_costs.created_date,
        metadata.key,
        metadata.value,
        completion_costs.cost_usd
    from marts.completion_costs
    inner join chat.metadata
        on metadata.completion_id = completion_costs.completion_id
        and metadata.created_date = completion_costs.created_date
    union all
    -- without a day there is no cost
    select
        completions.created_date,
        metadata.key,
        metadata.value,
        null
    from chat.completions
    inner join chat.metadata
        on metadata.completion_id = completions.completion_id
        and metadata.created_date is null
    where completions.created_date is null
)
select
    labelled.created_date,
    labelled.key as metadata_key,
    labelled.value as metadata_value,
    count(*) as completions,
    sum(labelled.cost_usd) as cost_usd,
    count(*) - count(labelled.cost_usd) as unpriced_completions
from labelled
group by
    labelled.created_date,
    labelled.key,
    labelled.value
