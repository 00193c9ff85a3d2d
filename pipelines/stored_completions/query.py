"""SQL on the published copy: one statement that reads, for the screen, a pipe or a file.

The SQL sees the warehouse and nothing else: no other file, no network and no setting is within its
reach, so that a statement from anywhere can be run. `--output` opens one more path, its own.
"""

import contextlib
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from stored_completions import warehouse
from stored_completions.errors import UsageError, WarehouseError
from stored_completions.formats import csv_lines, json_rows, write_json
from stored_completions.tabular import draw, text
from stored_completions.warehouse import Files

SUFFIXES = (".parquet", ".csv", ".json", ".ndjson", ".jsonl")

_COPY = {".parquet": "(format parquet)", ".csv": "(format csv, header)"}
_READS = ("SELECT", "EXPLAIN", "PRAGMA", "CALL", "MULTI")
_ROWS = ("SELECT", "MULTI")
_BATCH = 1_000
_MOST_SHOWN = 1_000
_WRONG_SQL = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
    duckdb.NotImplementedException,
)


@dataclass(frozen=True)
class Result:
    """An answer: names and types of its columns, and its rows as they are asked for."""

    columns: list[str]
    types: list[str]
    rows: Iterator[tuple[Any, ...]]


@contextlib.contextmanager
def reading(
    path: Path, output: Path | None = None, *, of_anybody: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published copy, read-only and locked in; `output` is the one path that may be written.

    Views and tables are found by their names alone, views first, and `show tables` shows them all.

    SQL that is wrong is a UsageError in DuckDB's own words; a file that cannot be read, a WarehouseError, and so is
    another program's, unless that `of_anybody` will do.
    """
    files = Files(path.absolute())
    with (
        _in_sentences(files.published),
        contextlib.closing(warehouse.open_published(files, of_anybody=of_anybody)) as connection,
    ):
        _search(connection)
        _lock_in(connection, output)
        yield connection


def select(connection: duckdb.DuckDBPyConnection, sql: str, *, as_text: bool = False) -> Result:
    """The answer to one statement that reads; `as_text` has every value as DuckDB's CSV has it."""
    statement = _statement(connection, sql)
    if as_text and statement.kind in _ROWS:
        connection.execute(f"select columns(*)::varchar from (\n{statement.body}\n)")
    else:
        connection.execute(statement.body)
    described = connection.description or []
    rows = _rows(connection)
    if as_text and statement.kind not in _ROWS:
        rows = (tuple(None if value is None else text(value) for value in row) for row in rows)
    return Result([str(each[0]) for each in described], [str(each[1]) for each in described], rows)


def run(path: Path, sql: str, kind: str) -> None:
    """Prints the answer as table, csv or json; of a table at most `_MOST_SHOWN` rows."""
    with reading(path, of_anybody=True) as connection:
        result = select(connection, sql, as_text=kind == "csv")
        if kind != "table" and isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        if kind == "csv":
            for line in csv_lines(result.columns, result.rows):
                sys.stdout.write(f"{line}\n")
        elif kind == "json":
            write_json(json_rows(result.columns, result.types, result.rows), sys.stdout)
        else:
            _print_table(result)


def export(path: Path, sql: str, output: Path) -> int:
    """Writes the answer to a file in the format of its suffix, whole or not at all; the number of rows."""
    _check_output(output)
    writing = output.absolute().with_name(f".{output.name}.{uuid.uuid4().hex[:8]}")
    try:
        with reading(path, writing, of_anybody=True) as connection:
            rows = _write(connection, sql, output.suffix.lower(), writing)
        os.replace(writing, output)
    finally:
        writing.unlink(missing_ok=True)
    return rows


def _print_table(result: Result) -> None:
    if result.columns == ["explain_key", "explain_value"]:
        sys.stdout.writelines(f"{row[1].rstrip()}\n" for row in result.rows)
        return
    draw(Console(highlight=False), result.columns, islice(result.rows, _MOST_SHOWN))
    if next(result.rows, None) is not None:
        said = f"More rows follow: these are the first {_MOST_SHOWN:,}. Add a limit, or use --format csv or --output."
        Console(stderr=True, highlight=False).print(said, soft_wrap=True)


def _check_output(output: Path) -> None:
    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--output takes a name that ends in {', '.join(SUFFIXES)}, not {output.name!r}.")
    folder = output.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder} to write {output.name} to.")
    if not os.access(folder, os.W_OK):
        raise WarehouseError(f"Cannot write {output.name} to {folder}: permission denied.")


def _write(connection: duckdb.DuckDBPyConnection, sql: str, suffix: str, writing: Path) -> int:
    if suffix in _COPY:
        statement = _statement(connection, sql)
        if statement.kind not in _ROWS:
            raise UsageError(f"--output takes a query: {statement.kind} gives no rows to write.")
        name = str(writing).replace("'", "''")
        try:
            copied = connection.execute(f"copy (\n{statement.body}\n) to '{name}' {_COPY[suffix]}").fetchone()
        except duckdb.IOException as error:
            raise WarehouseError(f"The rows could not be written: {_first_line(error)}.") from None
        return int(copied[0]) if copied else 0
    result = select(connection, sql)
    objects = json_rows(result.columns, result.types, result.rows)
    with writing.open("w", encoding="utf-8") as file:
        return write_json(objects, file, as_array=suffix == ".json")


@dataclass(frozen=True)
class _Statement:
    """A statement by itself, and DuckDB's word for what it does."""

    kind: str
    body: str


def _statement(connection: duckdb.DuckDBPyConnection, sql: str) -> _Statement:
    """The one statement of `sql`; UsageError if there is none, a second, or one that does not read."""
    sql.encode()  # what cannot be, no database could read
    found = connection.extract_statements(sql)
    if len(found) != 1:
        given = f"{len(found)} were given" if found else "none was given"
        raise UsageError(f"query takes one SQL statement, and {given}.")
    kind = found[0].type.name
    if kind not in _READS:
        raise UsageError(f"query only reads, and {kind} does not: write a select.")
    body = _unclosed(found[0].query)
    if kind == "SELECT":
        connection.sql(body)  # binds it, so that an error points into the SQL as it was given
    return _Statement(kind, body)


def _unclosed(sql: str) -> str:
    """The statement without the semicolons and comments at its end, so that it can stand in brackets."""
    text = sql.encode()
    end = len(text)
    for offset, kind in reversed(duckdb.tokenize(sql)):
        if kind != duckdb.token_type.comment and text[offset : offset + 1] != b";":
            break
        end = offset
    return text[:end].decode()


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    if connection.description is not None:
        while batch := connection.fetchmany(_BATCH):
            yield from batch


def _search(connection: duckdb.DuckDBPyConnection) -> None:
    """Looks for names without a schema in all of ours that are there."""
    there = {name for (name,) in connection.execute("select schema_name from duckdb_schemas()").fetchall()}
    path = ",".join(name for name in ("marts", "chat", "reports", "main") if name in there)
    connection.execute(f"set search_path = '{path}'")


def _lock_in(connection: duckdb.DuckDBPyConnection, output: Path | None) -> None:
    """Nothing but the warehouse, `output` and a place for what does not fit into memory."""
    spill = Path(tempfile.gettempdir(), f"stored-completions-{uuid.uuid4().hex[:8]}")
    connection.execute(f"set temp_directory = {_quoted(spill)}")
    if output:
        connection.execute(f"set allowed_paths = [{_quoted(output)}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _quoted(path: Path) -> str:
    text = str(path).replace("'", "''")
    return f"'{text}'"


@contextlib.contextmanager
def _in_sentences(published: Path) -> Iterator[None]:
    """Tells apart what DuckDB's errors mean to a person: wrong SQL, out of reach, or a broken file."""
    try:
        yield
    except UnicodeError:
        raise UsageError("The SQL is no valid UTF-8.") from None
    except duckdb.PermissionException as error:
        raise UsageError(
            f"{_first_line(error)}. query reaches the warehouse and nothing else: to join other data, open "
            f"{published.name} in any DuckDB client."
        ) from None
    except _WRONG_SQL as error:
        raise UsageError(str(error).replace("\n\n", "\n")) from None
    except duckdb.OutOfMemoryException as error:
        raise WarehouseError(f"{_first_line(error)}. Ask for less at once.") from None
    except duckdb.Error as error:
        raise WarehouseError(
            f"{published} cannot be read: {_first_line(error)}. If it is damaged, put a good copy back, or move it "
            f"away and sync again."
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".:")
