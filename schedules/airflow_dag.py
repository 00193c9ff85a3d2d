"""Airflow: a sync every five minutes, one at a time, and an alert when the warehouse is stale.

The worker needs the console script, and OPENAI_API_KEY or .dlt/secrets.toml in FOLDER.
"""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

FOLDER = "/srv/completions"

with DAG(
    "stored_completions",
    schedule=timedelta(minutes=5),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1), "cwd": FOLDER},
):
    BashOperator(
        task_id="sync",
        bash_command="stored-completions sync --log-format json",
        # another sync, by hand for instance, holds the lock
        skip_on_exit_code=75,
        # SIGTERM ends a sync well, and what it had read is kept
        execution_timeout=timedelta(hours=1),
    )

with DAG(
    "stored_completions_freshness",
    schedule=timedelta(minutes=30),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    # fails, and so alerts as your failed tasks do, when no sync ended well within two hours
    default_args={"retries": 0, "cwd": FOLDER},
):
    BashOperator(task_id="is_fresh", bash_command="stored-completions status --max-age 2h > /dev/null")
