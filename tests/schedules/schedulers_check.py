"""The recipes for schedulers, each in front of the scheduler itself.

Runs in an environment of its own: `make test-schedules`, which has Airflow, Dagster and GitHub's workflow schema.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from stored_completions.sandbox import Account, Sandbox

SCHEDULES = Path(__file__).resolve().parents[2] / "schedules"
BIN = Path(sys.executable).parent
SYNC = {"sync": "stored-completions sync --log-format json"}
FRESH = {"is_fresh": "stored-completions status --max-age 2h > /dev/null"}


def test_github_takes_the_workflow() -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run(
        [*command, SCHEDULES / "github-actions.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_airflow_reads_the_dags(tmp_path: Path) -> None:
    """In a process of its own, since Airflow settles its home and database when it is imported."""
    code = """
from airflow.dag_processing.dagbag import DagBag
import sys
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
for dag in bag.dags.values():
    print(dag.dag_id, dag.max_active_runs, dag.catchup, *((t.task_id, t.bash_command, t.skip_on_exit_code) for t in dag.tasks))
"""
    home = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "HOME": str(tmp_path)}
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "stored_completions.py").write_bytes((SCHEDULES / "airflow_dag.py").read_bytes())
    environment = {"PATH": os.environ["PATH"], **home}
    for command in ([str(BIN / "airflow"), "db", "migrate"], [sys.executable, "-c", code, str(dags)]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    read = [line for line in done.stdout.splitlines() if line.startswith("stored_completions")]
    assert sorted(read) == [
        "stored_completions 1 False ('sync', 'stored-completions sync --log-format json', [75])",
        "stored_completions_freshness 1 False ('is_fresh', 'stored-completions status --max-age 2h > /dev/null', [99])",
    ]


@pytest.fixture
def dagster_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The recipe with a folder that is there."""
    spec = importlib.util.spec_from_file_location("dagster_defs", SCHEDULES / "dagster_defs.py")
    assert spec is not None
    assert spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    recipe.FOLDER = str(tmp_path)
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return recipe


def test_dagster_syncs_and_checks(dagster_recipe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import dagster as dg

    with Sandbox(Account.generate(20), api_key="sk-sandbox") as sandbox:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-sandbox")
        monkeypatch.setenv("OPENAI_BASE_URL", sandbox.base_url)
        done = dg.materialize([dagster_recipe.stored_completions, dagster_recipe.is_fresh])
        assert done.success
        (made,) = done.asset_materializations_for_node("stored_completions")
        assert made.metadata["rows_new"].value == 20
        assert [check.passed for check in done.get_asset_check_evaluations()] == [True]
        monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
        refused = dg.materialize([dagster_recipe.stored_completions], raise_on_error=False)
        assert not refused.success
    assert (
        dagster_recipe.defs.resolve_schedule_def("sync_stored_completions_schedule").cron_schedule
        == "*/5 * * * *"
    )
