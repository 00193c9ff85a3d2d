-- How fresh each source is, and how long until completions that are not synced yet could expire.
-- The API is said to keep a completion for 30 days and promises nothing. A run that read to the end (outcome done
-- or nothing_new) has what was stored when it began; what is missing was created later, or was still running then.
-- So the clock starts there: not at the newest completion (an idle account loses nothing) and not at the
-- publication (a run that fails half way publishes too). Runs that found nothing new enter sync_runs only with the
-- next change: on an idle account there is more time than shown, never less.
-- engine: duckdb
-- grain: source
-- columns:
--   source                name of the configured source
--   newest_completion_at  newest created_at among its completions; NULL if it has none
--   completions           completions in the warehouse, deleted ones included
--   deleted_completions   of these, found gone from the API
--   expired_completions   of these, older than the oldest that the last full re-list showed, and not deleted
--   relisted_at           when the last full re-list (sync --full) that ended began; NULL: none did
--   listed_from           when the oldest completion that it showed was created
--   covered_from          older completions were not asked for; NULL: all of them were
--   last_synced_at        start of the last run known here that read to the end, of everything if any such run asked
--                         for everything and not for what a filter lets through; NULL: none did yet
--   last_published_at     when this copy of the warehouse was published; NULL in a working file never published
--   possible_expiry_at    30 times 24 hours after last_synced_at: the earliest that something missing could expire
--   days_to_expiry        whole days from now to possible_expiry_at, negative once it has passed
with sources as (
    select * from chat.sources
),
completions as (
    select
        completions.source,
        max(completions.created_at) as newest_completion_at,
        count(*) as completions,
        count(completions.deleted_at) as deleted_completions,
        sum(
            case when completions.deleted_at is null and completions.created_at < sources.listed_from then 1 else 0 end
        ) as expired_completions
    from chat.completions
    left join sources on sources.source = completions.source
    group by completions.source
),
last_runs as (
    select
        sync_runs.source,
        coalesce(
            max(case when sync_runs.filter is null then sync_runs.started_at end), max(sync_runs.started_at)
        ) as last_synced_at
    from chat.sync_runs
    where sync_runs.outcome in ('done', 'nothing_new')
    group by sync_runs.source
),
complete_runs as (
    select
        last_runs.source,
        last_runs.last_synced_at,
        -- in hours: a day of an interval has 23 or 25 of them where the session's clock changes
        last_runs.last_synced_at + interval '720 hours' as possible_expiry_at
    from last_runs
),
publication as (
    select max(publication.published_at) as last_published_at
    from chat.publication
)
select
    sources.source,
    completions.newest_completion_at,
    coalesce(completions.completions, 0) as completions,
    coalesce(completions.deleted_completions, 0) as deleted_completions,
    cast(coalesce(completions.expired_completions, 0) as bigint) as expired_completions,
    sources.relisted_at,
    sources.listed_from,
    sources.covered_from,
    complete_runs.last_synced_at,
    publication.last_published_at,
    complete_runs.possible_expiry_at,
    cast(
        floor(
            (extract(epoch from complete_runs.possible_expiry_at) - extract(epoch from current_timestamp)) / 86400
        ) as bigint
    ) as days_to_expiry
from sources
cross join publication
left join completions on completions.source = sources.source
left join complete_runs on complete_runs.source = sources.source
