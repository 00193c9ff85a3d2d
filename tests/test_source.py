"""The source as a plain dlt pipeline: configured by dlt, run by dlt, incremental by its own cursor."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from rebuild import normal, rebuild
from stored_completions.config import settings
from stored_completions.sandbox import Account, Sandbox
from stored_completions.source import stored_completions
from stored_completions.sync import sync
from stored_completions.tables import BY_NAME, TABLES
from synced import NOW, environment, serving
from test_sync import completion, recent

SCRIPT = Path(__file__).parent.parent / "pipelines" / "stored_completions_pipeline.py"
FILE = "stored_completions_pipeline.duckdb"


def read(path: Path) -> dict[str, list[dict[str, Any]]]:
    found = {}
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        for table in BY_NAME.values():
            if "completion_id" in table.key:
                result = connection.execute(f"from chat.{table.name} order by {', '.join(table.key)}")
                names = [column[0] for column in result.description]
                found[table.name] = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    return found


def assert_loaded(path: Path, account: Account) -> None:
    found = read(path)
    assert len(found["completions"]) == len(account)
    wanted = {row["id"]: normal(row) for row in account.completions()}
    assert {id_: normal(row) for id_, row in rebuild(found).items()} == wanted


def script(sandbox: Sandbox, folder: Path) -> None:
    own = environment(sandbox, folder)
    own = {name: value for name, value in own.items() if not name.startswith("OPENAI")} | {
        "SOURCES__STORED_COMPLETIONS__API_KEY": "sk-sandbox",
        "SOURCES__STORED_COMPLETIONS__BASE_URL": sandbox.base_url,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    done = subprocess.run(
        [sys.executable, SCRIPT], cwd=folder, env=own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "LOADED" in done.stdout


def test_the_script_is_incremental_and_doubles_nothing(tmp_path: Path) -> None:
    account = Account.generate(120, per_second=1, logprob_share=0.1, until=NOW - 7_200)
    with serving(account) as sandbox:
        script(sandbox, tmp_path)
        assert_loaded(tmp_path / FILE, account)
        account.add(completion("new", NOW - 60))
        script(sandbox, tmp_path)
        assert_loaded(tmp_path / FILE, account)
        assert [query.get("after") is not None for _, _, query in sandbox.requests] == [False, True, True]


@pytest.fixture
def pipeline(tmp_path: Path) -> Any:
    return dlt.pipeline(
        "plain",
        pipelines_dir=str(tmp_path / "dlt"),
        destination=dlt.destinations.duckdb(str(tmp_path / "plain.duckdb")),
        dataset_name="chat",
    )


def test_a_run_that_is_cut_goes_on_and_an_edit_replaces(tmp_path: Path, pipeline: Any) -> None:
    account = recent(120)
    with serving(account) as sandbox:
        for count in (100, 120):
            source = stored_completions("sk-sandbox", sandbox.base_url, max_pages=1)
            pipeline.run(source, loader_file_format="parquet")
            assert len(read(tmp_path / "plain.duckdb")["completions"]) == count
        account.update_metadata("c0100", {"name": "another"})
        pipeline.run(stored_completions("sk-sandbox", sandbox.base_url), loader_file_format="parquet")
        assert_loaded(tmp_path / "plain.duckdb", account)


def test_each_filter_has_a_cursor_of_its_own(tmp_path: Path, pipeline: Any) -> None:
    account = recent(3)
    account.add(completion("other", NOW - 100, model="other"))
    with serving(account) as sandbox:
        for flags in ({"model": "m"}, {"metadata": {"name": "other"}}):
            source = stored_completions("sk-sandbox", sandbox.base_url, **flags)
            pipeline.run(source, loader_file_format="parquet")
        assert_loaded(tmp_path / "plain.duckdb", account)


def test_many_rows_come_in_several_batches_of_one_package(tmp_path: Path, pipeline: Any) -> None:
    """Bounded in memory as a sync is, by bytes here."""
    account = recent(0)
    for number in range(90):
        account.add(completion(f"c{number}", NOW - 200 + number, note="x" * 800_000))
    with serving(account) as sandbox:
        info = pipeline.run(stored_completions("sk-sandbox", sandbox.base_url), loader_file_format="parquet")
        assert len(info.loads_ids) == 1
        assert len(read(tmp_path / "plain.duckdb")["completions"]) == 90


def test_dlt_finds_every_table_in_what_sync_wrote_also_those_without_a_row(tmp_path: Path) -> None:
    with Sandbox(Account.generate(1, logprob_share=0)) as sandbox:
        sync(
            settings({"api_key": "sk-test", "base_url": sandbox.base_url}, {}, tmp_path),
            tmp_path / "w.duckdb",
        )
    reading = dlt.pipeline(
        "reading",
        pipelines_dir=str(tmp_path / "reading"),
        destination=dlt.destinations.duckdb(f"duckdb:///{tmp_path / 'w.duckdb'}?access_mode=read_only"),
        dataset_name="chat",
    )
    reading.sync_destination()
    dataset = reading.dataset()
    counts = {table.name: len(dataset(f"select * from {table.name}").fetchall()) for table in TABLES}
    assert counts["completions"] == 1
    assert min(counts.values()) == 0
