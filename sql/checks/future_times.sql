-- Nothing happened later than now. A day is allowed for clocks that differ, here and at the API.
-- A completion of the future stays the newest one for long, and stamps of the future mean that a machine that
-- syncs has, or had, a wrong clock: what was first and what was last can then not be told.
-- grain: table_name, key, column_name
-- columns:
--   table_name   table of schema chat
--   key          what the row is known by
--   column_name  the column with the time
--   happens_at   the time
with times as (
    select
        'completions' as table_name,
        completions.completion_id as key,
        'created_at' as column_name,
        completions.created_at as happens_at
    from chat.completions
    union all
    select 'completions', completions.completion_id, 'first_seen_at', completions.first_seen_at
    from chat.completions
    union all
    select 'completions', completions.completion_id, 'last_seen_at', completions.last_seen_at
    from chat.completions
    union all
    select 'completions', completions.completion_id, 'deleted_at', completions.deleted_at
    from chat.completions
    union all
    select 'quarantine', quarantine.sha256, 'seen_at', quarantine.seen_at
    from chat.quarantine
    union all
    select 'sync_runs', sync_runs.run_id, 'started_at', sync_runs.started_at
    from chat.sync_runs
    union all
    select 'sync_runs', sync_runs.run_id, 'finished_at', sync_runs.finished_at
    from chat.sync_runs
)
select
    times.table_name,
    times.key,
    times.column_name,
    times.happens_at
from times
where times.happens_at > current_timestamp + interval '24 hours'
