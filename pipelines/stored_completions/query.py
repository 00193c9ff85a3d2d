"""SQL on the published copy, read-only: to the screen, or to a file."""

import contextlib
import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import duckdb
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stored_completions import warehouse
from stored_completions.errors import UsageError, WarehouseError
from stored_completions.warehouse import Files

_COPY = {
    ".parquet": "(format parquet)",
    ".csv": "(format csv, header)",
    ".json": "(format json, array true)",
    ".ndjson": "(format json)",
    ".jsonl": "(format json)",
}


@dataclass(frozen=True)
class Result:
    """Column names and rows of an answer."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


@contextlib.contextmanager
def reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published copy, read-only; DuckDB's own words for SQL that is wrong."""
    connection = warehouse.open_published(Files(path.absolute()))
    try:
        yield connection
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
        raise UsageError(str(error)) from None
    except duckdb.Error as error:
        raise WarehouseError(str(error)) from None
    finally:
        connection.close()


def select(connection: duckdb.DuckDBPyConnection, sql: str) -> Result:
    """The whole answer to one statement; UsageError if it is none that answers."""
    connection.execute(sql)
    if connection.description is None:
        return Result([], [])
    return Result([column[0] for column in connection.description], connection.fetchall())


def export(connection: duckdb.DuckDBPyConnection, sql: str, output: Path) -> int:
    """Writes the answer to a file in the format of its suffix; the number of rows."""
    if output.suffix not in _COPY:
        raise UsageError(f"--output takes a name that ends in {', '.join(_COPY)}, not {output.name!r}.")
    if not output.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {output.absolute().parent} to write {output.name} to.")
    body = sql.strip().rstrip(";")
    name = str(output.absolute()).replace("'", "''")
    row = connection.execute(f"copy ({body}\n) to '{name}' {_COPY[output.suffix]}").fetchone()
    return int(row[0]) if row else 0


def show(result: Result, kind: str, stream: TextIO = sys.stdout) -> None:
    """Prints an answer as table, csv or json."""
    if kind == "json":
        rows = [dict(zip(result.columns, map(plain, row), strict=True)) for row in result.rows]
        stream.write(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    elif kind == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(result.columns)
        writer.writerows([["" if value is None else plain(value) for value in row] for row in result.rows])
    else:
        draw(Console(file=stream, highlight=False), result.columns, result.rows)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> Table:
    """Rows as a table for the terminal: numbers to the right, NULL shown as such."""
    listed = [list(row) for row in rows]
    drawn = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for at, name in enumerate(columns):
        is_number = listed and all(isinstance(row[at], int | float) or row[at] is None for row in listed)
        drawn.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in listed:
        drawn.add_row(*(_cell(value) for value in row))
    return drawn


def draw(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None
) -> None:
    """Prints rows as a table, or one below the other where the terminal is too narrow for it."""
    listed = list(rows)
    drawn = table(columns, listed, title)
    if console.measure(drawn, options=console.options.update(max_width=10_000)).maximum <= console.width:
        console.print(drawn)
        return
    records = Table.grid(padding=(0, 2))
    for row in listed:
        for name, value in zip(columns, row, strict=True):
            records.add_row(Text(name, style="bold"), _cell(value))
        records.add_row()
    console.print(Text(title, style="bold") if title else "", records)


def plain(value: Any) -> Any:
    """A value as JSON has it: times and decimals as text, bytes as hexadecimal digits."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _cell(value: Any) -> Any:
    if value is None:
        return Text("NULL", style="dim")
    if isinstance(value, bool) or not isinstance(value, int):
        return Text(f"{value:,.4g}" if isinstance(value, float) else str(plain(value)))
    return Text(f"{value:,}")
