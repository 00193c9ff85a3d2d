"""Dagster: the warehouse as an asset, synced every five minutes, one at a time, with a check of its freshness.

The code location needs the console script, and OPENAI_API_KEY or .dlt/secrets.toml in FOLDER.
"""

import json
import subprocess

import dagster as dg

FOLDER = "/srv/completions"
BUSY = 75


@dg.asset(pool="stored_completions")
def stored_completions(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The DuckDB file of stored chat completions; the pool's limit of 1 keeps syncs apart."""
    done = subprocess.run(
        ["stored-completions", "sync", "--json"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    if done.returncode == BUSY:
        context.log.info("Another sync holds the lock: nothing was done.")
        return dg.MaterializeResult()
    if done.returncode:
        raise dg.Failure(done.stderr.strip())
    run = json.loads(done.stdout)
    return dg.MaterializeResult(
        metadata={name: run[name] for name in ("outcome", "rows_new", "rows_changed")}
    )


@dg.asset_check(asset=stored_completions)
def is_fresh() -> dg.AssetCheckResult:
    """Whether a sync ended well within two hours."""
    done = subprocess.run(
        ["stored-completions", "status", "--max-age", "2h"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    return dg.AssetCheckResult(passed=done.returncode == 0, description=done.stderr.strip())


job = dg.define_asset_job("sync_stored_completions", selection=[stored_completions])

defs = dg.Definitions(
    assets=[stored_completions],
    asset_checks=[is_fresh],
    jobs=[job],
    schedules=[dg.ScheduleDefinition(job=job, cron_schedule="*/5 * * * *")],
)
