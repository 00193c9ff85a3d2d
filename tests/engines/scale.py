"""`python scale.py`: what a row takes, in bytes and CPU seconds: the figures that sql/SCALE.md reckons with.

Two warehouses from `bench/programs/warehouse.sql`: plain completions, and completions with 200 tokens of logprobs
and 4 alternatives each. A table's bytes are those of a DuckDB file with nothing else, of a Delta table's files, and of
PostgreSQL with the index of its key. Seconds are of one core.
"""

import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import postgres
import psycopg2
from deltalake import write_deltalake
from elsewhere import copy_to_postgres

from bench import analysts, questions, table
from stored_completions import models, portable
from stored_completions.tables import BY_NAME, REFERENCE_TABLES, Table

PLAIN = 100_000
WITH_LOGPROBS = 1_000
TOKENS = analysts.TOKENS

_LIGHT = ("completions", "choices", "tool_calls", "annotations", "usage", "metadata")
_HEAVY = ("logprobs", "top_logprobs")
_QUESTIONS = {
    "daily_usage, everything": "select sum(cost_usd), sum(total_tokens) from marts.daily_usage",
    "daily_usage, one day": f"select sum(cost_usd) from marts.daily_usage where created_date = date '{questions.DAY}'",
    "completions_wide, everything": "select sum(cost_usd), sum(choice_count) from marts.completions_wide",
}
_CONFIDENCE = "select avg(perplexity), avg(mean_entropy) from marts.choice_confidence"


def main() -> None:
    with (
        TemporaryDirectory(prefix="scale-") as name,
        postgres.serving() as where,
        closing(psycopg2.connect(where)) as other,
    ):
        folder = Path(name)
        other.autocommit = True
        cursor = other.cursor()
        cursor.execute("create schema chat; set max_parallel_workers_per_gather = 0")
        with _made(folder / "plain.duckdb", PLAIN, every=PLAIN) as warehouse:
            sizes = [_sizes(warehouse, folder, name, PLAIN, cursor) for name in _LIGHT]
            for each in REFERENCE_TABLES:
                copy_to_postgres(warehouse, cursor, each)
            for statement in portable.statements("postgres"):
                cursor.execute(statement)
            cursor.execute("analyze")
            seconds = [_seconds(warehouse, cursor, question) for question in _QUESTIONS]
        with _made(folder / "tokens.duckdb", WITH_LOGPROBS, every=1) as warehouse:
            sizes += [_sizes(warehouse, folder, name, WITH_LOGPROBS, cursor) for name in _HEAVY]
            took = _cpu(lambda: warehouse.execute(_CONFIDENCE).fetchall())
            seconds.append(
                ("choice_confidence, a million tokens", _per_million(took, WITH_LOGPROBS * TOKENS), "-")
            )
    heads = ("bytes a row", "rows a completion", "DuckDB", "Delta", "PostgreSQL")
    print(table.markdown(heads, sizes, words=1))  # noqa: T201
    heads = ("seconds a million completions", "DuckDB, CPU", "PostgreSQL, elapsed")
    print(table.markdown(heads, seconds, words=1))  # noqa: T201


def _made(path: Path, completions: int, every: int) -> duckdb.DuckDBPyConnection:
    """One thread, so that CPU seconds are those of one core."""
    analysts.make(path, completions, "2GB", every)
    warehouse = duckdb.connect(path)
    models.create_views(warehouse)
    warehouse.execute("set TimeZone = 'UTC'; set threads = 1; set memory_limit = '2GB'")
    return warehouse


def _sizes(
    warehouse: duckdb.DuckDBPyConnection, folder: Path, name: str, completions: int, cursor: Any
) -> tuple[str, ...]:
    """A table's rows for each completion, and bytes a row in each layout."""
    rows = int(warehouse.execute(f"select count(*) from chat.{name}").fetchall()[0][0])
    sizes = (
        _in_duckdb(warehouse, folder, name),
        _in_delta(warehouse, folder, name),
        _in_postgres(warehouse, cursor, BY_NAME[name]),
    )
    return name, f"{rows / completions:.2f}", *(f"{size / rows:.1f}" for size in sizes)


def _seconds(warehouse: duckdb.DuckDBPyConnection, cursor: Any, question: str) -> tuple[str, ...]:
    sql = _QUESTIONS[question]
    ours = _cpu(lambda: warehouse.execute(sql).fetchall())
    return question, _per_million(ours, PLAIN), _per_million(_elapsed(cursor, sql), PLAIN)


def _in_duckdb(warehouse: duckdb.DuckDBPyConnection, folder: Path, name: str) -> int:
    """Of a file that has this table only."""
    path = folder / f"{name}.duckdb"
    warehouse.execute(f"attach '{path}' as alone (storage_version 'v1.4.0')")
    warehouse.execute(f"create table alone.{name} as from chat.{name}")
    warehouse.execute("detach alone")
    return path.stat().st_size


def _in_delta(warehouse: duckdb.DuckDBPyConnection, folder: Path, name: str) -> int:
    path = folder / name
    write_deltalake(path, warehouse.sql(f"from chat.{name}").to_arrow_table())
    return sum(file.stat().st_size for file in path.rglob("*.parquet"))


def _in_postgres(warehouse: duckdb.DuckDBPyConnection, cursor: Any, each: Table) -> int:
    """With the index of its key, which a merge needs."""
    copy_to_postgres(warehouse, cursor, each)
    cursor.execute(f"alter table chat.{each.name} add primary key ({', '.join(each.key)})")
    cursor.execute(f"select pg_total_relation_size('chat.{each.name}')")
    return int(cursor.fetchone()[0])


def _cpu(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _elapsed(cursor: Any, sql: str) -> float:
    """Of the server, which is another process and has one worker: its own time, as it says."""
    cursor.execute(f"explain (analyze, timing off, format json) {sql}")
    return float(cursor.fetchone()[0][0]["Execution Time"]) / 1000


def _per_million(seconds: float, count: int) -> str:
    return f"{seconds * 1_000_000 / count:.2f}"


if __name__ == "__main__":
    sys.exit(main())
