-- How many completions lack a team, and what did they cost?
-- about: marts.metadata_usage
select
    sum(metadata_usage.completions) as completions,
    round(sum(metadata_usage.cost_usd), 4) as cost_usd
from marts.metadata_usage
where metadata_usage.metadata_key = 'team'
    and metadata_usage.is_missing
