"""Rows go from Arrow into DuckDB by way of dlt, and through no file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from stored_completions import direct

ROWS = pa.table({"number": [1, 2, 3], "word": pa.array(["a", "b", "a"]).dictionary_encode()})


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(tmp_path / "w.duckdb") as opened:
        yield opened


def loaded(connection: duckdb.DuckDBPyConnection, folder: Path, waiting: direct.Waiting) -> Any:
    """A run of dlt that is handed the columns of `numbers` alone."""
    pipeline = dlt.pipeline(
        "direct",
        pipelines_dir=str(folder),
        destination=direct.destination(connection, waiting, lambda _: None),
        dataset_name="chat",
    )
    columns = pa.schema([("number", pa.int64()), ("word", pa.string())]).empty_table()
    return pipeline.run(columns, table_name="numbers", loader_file_format="parquet")


def test_rows_that_wait_are_inserted_and_let_go(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    waiting = {"numbers": ROWS}
    loaded(connection, tmp_path / "dlt", waiting)
    assert connection.sql("from chat.numbers").fetchall() == [(1, "a"), (2, "b"), (3, "a")]
    assert connection.sql("select status from chat._dlt_loads").fetchall() == [(0,)]
    assert waiting == {}


def test_no_row_is_written_to_a_file_on_the_way(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOAD__DELETE_COMPLETED_JOBS", "false")
    loaded(connection, tmp_path / "dlt", {"numbers": ROWS})
    files = [path for path in (tmp_path / "dlt").rglob("*.parquet") if path.name.startswith("numbers.")]
    assert [pq.read_metadata(path).num_rows for path in files] == [0]


def test_rows_that_do_not_fit_fail_the_run_and_mark_nothing_as_loaded(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    connection.execute("create schema chat; create table chat.numbers (number bigint not null, word varchar)")
    waiting = {"numbers": pa.table({"number": pa.array([1, None], pa.int64()), "word": ["a", "b"]})}
    with pytest.raises(PipelineStepFailed, match="NOT NULL"):
        loaded(connection, tmp_path / "dlt", waiting)
    assert connection.sql("from chat.numbers").fetchall() == []
    assert connection.sql("from chat._dlt_loads").fetchall() == []


def test_all_rows_that_wait_are_inserted_by_the_first_job(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    connection.execute("create schema chat; create table chat.words (word varchar)")
    waiting = {"numbers": ROWS, "words": ROWS.select(["word"])}
    loaded(connection, tmp_path / "dlt", waiting)
    counted = "select (select count(*) from chat.numbers), (select count(*) from chat.words)"
    assert connection.sql(counted).fetchall() == [(3, 3)]
    assert waiting == {}
