-- How did the runs of sync end, and what did they bring?
-- about: chat.sync_runs
select
    sync_runs.source,
    sync_runs.outcome,
    count(*) as runs,
    sum(sync_runs.rows_new) as new_completions,
    sum(sync_runs.rows_changed) as changed_completions,
    sum(sync_runs.rows_late) as late_completions
from chat.sync_runs
group by
    sync_runs.source,
    sync_runs.outcome
order by runs desc, sync_runs.source, sync_runs.outcome
