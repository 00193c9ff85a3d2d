"""`make bench-sql`: what questions to the views cost, on a warehouse of any size that is made in SQL.

    python -m bench.analysts --completions 10000000 --keep warehouse.duckdb --markdown

Each view answers one question about one day and one model, and one over everything that it is for; the latter
stands beside the best query that we would write by hand on the tables of schema chat for the same answer, which must
agree. Views whose rows have no day are asked about one model, one prompt, one source, or everything. Whoever only
counts rows is quicker on the tables: a view joins what a column may need, also where none of it is asked for.
What takes less than a tenth of a second is planning, and is compared with nothing.
CPU seconds are user and system time of this process, the lower of two runs; what is asked of one day, every column
of it, goes into a temporary table, since making Python objects of it would cost more than the answer.
"""

import time
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import duckdb

from bench import table
from bench.questions import QUESTIONS, Questions
from stored_completions import models, store
from stored_completions.prices import sets as prices
from stored_completions.reports import rollup
from stored_completions.tables import TABLES

TOKENS = 200
PLAIN = 100  # completions for each one with logprobs
PROGRAM = Path(__file__).parent / "programs" / "warehouse.sql"
PLANNING = 0.1  # CPU seconds
HEADER = ("view", "one day, CPU s", "everything, CPU s", "by hand, CPU s", "x by hand")


@click.command()
@click.option("--completions", default=200_000, show_default=True, help="Size of the warehouse.")
@click.option("--memory", default="4GB", show_default=True, help="DuckDB's memory_limit.")
@click.option(
    "--keep", type=click.Path(dir_okay=False, path_type=Path), help="Make it here, or use what is here."
)
@click.option("--only", multiple=True, help="Only these views; repeatable.")
@click.option("--markdown", is_flag=True, help="As a table for Markdown.")
def main(completions: int, memory: str, keep: Path | None, only: tuple[str, ...], markdown: bool) -> None:
    """What questions to the views cost."""
    with TemporaryDirectory() as folder:
        path = keep or Path(folder, "warehouse.duckdb")
        if not path.exists():
            make(path, completions, memory)
        with duckdb.connect(str(path)) as connection:
            models.create_views(connection)
            connection.execute(f"set memory_limit = '{memory}'; set temp_directory = '{folder}'")
            rollup.refresh(connection)
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute(f"set memory_limit = '{memory}'")
            connection.execute(f"set temp_directory = '{folder}'")
            for name in ("completions", "logprobs", "top_logprobs", "messages", "prompts"):
                count = connection.execute(f"select count(*) from chat.{name}").fetchall()[0][0]
                click.echo(f"{count:,} {name}", err=True)
            rows = [measured(connection, each) for each in QUESTIONS if not only or each.view in only]
    click.echo((table.markdown if markdown else table.aligned)(HEADER, rows, words=1))


def make(path: Path, completions: int, memory: str, every: int = PLAIN) -> None:
    """A warehouse of the program's tables and views, filled by `programs/warehouse.sql`, in order of time.

    every  completions for each one with logprobs
    """
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"set memory_limit = '{memory}'")
        connection.execute("set TimeZone = 'UTC'")
        store.create_own_tables(connection)
        models.create_reference_tables(connection)
        for each in TABLES:
            connection.register("empty", each.schema.empty_table())
            connection.execute(f"create table chat.{each.name} as from empty")
            connection.unregister("empty")
        prices.load(connection)
        for statement in connection.extract_statements(PROGRAM.read_text(encoding="utf-8")):
            connection.execute(_filled(statement.query, completions, every))
        connection.execute("checkpoint")


def measured(connection: duckdb.DuckDBPyConnection, asked: Questions) -> tuple[str, ...]:
    one_day, _ = _cpu(connection, f"create or replace temp table asked as {asked.one_day}")
    everything, answer = _cpu(connection, asked.everything)
    by_hand, same = _cpu(connection, asked.by_hand)
    if not _agree(answer, same):
        raise click.ClickException(f"{asked.view} says {answer[:3]}, by hand it is {same[:3]}.")
    ratio = "" if everything < PLANNING else f"{everything / by_hand:.1f}"
    return asked.view, f"{one_day:.2f}", f"{everything:.2f}", f"{by_hand:.2f}", ratio


def _filled(sql: str, completions: int, every: int) -> str:
    for name, value in (("completions", completions), ("tokens", TOKENS), ("every", every)):
        sql = sql.replace(f"${name}", str(value))
    return sql


def _cpu(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[float, list[tuple[Any, ...]]]:
    took, rows = [], []
    for _ in range(2):
        began = time.process_time()
        rows = connection.execute(sql).fetchall()
        took.append(time.process_time() - began)
    return min(took), rows


def _agree(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> bool:
    return len(one) == len(other) and all(
        left == right or (left is not None and right is not None and isclose(left, right, rel_tol=1e-9))
        for mine, theirs in zip(one, other, strict=True)
        for left, right in zip(mine, theirs, strict=True)
    )


if __name__ == "__main__":
    main()
