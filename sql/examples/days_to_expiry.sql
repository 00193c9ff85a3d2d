-- How many days are left before unsynced completions could expire?
-- about: marts.freshness
select
    freshness.source,
    freshness.completions,
    freshness.days_to_expiry
from marts.freshness
order by freshness.days_to_expiry, freshness.source
