"""Rows as a destination gives them, in DuckDB as they were: types, and text that was escaped on its way."""

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from stored_completions import schema
from stored_completions.destinations.texts import unescaped
from stored_completions.room import MakeRoom
from stored_completions.tables import Column, Table

_ARRIVING = "arriving"


def insert(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    table: Table,
    batches: Iterator[pa.RecordBatch],
    make_room: MakeRoom,
) -> None:
    """Adds the rows to table `name`; `make_room` is called with those that are about to be."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    for batch in batches:
        rows = pa.Table.from_batches([batch])
        make_room(rows)
        connection.register(_ARRIVING, rows)
        connection.execute(f"insert into {name} ({names}) select {_as_it_was(table)} from {_ARRIVING}")
        connection.unregister(_ARRIVING)


def digest(
    connection: duckdb.DuckDBPyConnection, table: Table, batches: Iterator[pa.RecordBatch]
) -> tuple[int, int]:
    """How many rows they are, and a sum over their values that no order changes."""
    rows = total = 0
    for batch in batches:
        connection.register(_ARRIVING, pa.Table.from_batches([batch]))
        count, part = digest_of(connection, f"select {_as_it_was(table)} from {_ARRIVING}", table)
        connection.unregister(_ARRIVING)
        rows, total = rows + count, total + part
    return rows, total


def digest_of(connection: duckdb.DuckDBPyConnection, sql: str, table: Table) -> tuple[int, int]:
    """The same of a query that gives the table's columns, however they are stored."""
    names = ", ".join(_of_its_type(column) for column in table.columns)
    found = connection.execute(f"select count(*), coalesce(sum(hash(row({names}))::hugeint), 0) from ({sql})")
    count, total = found.fetchall()[0]
    return int(count), int(total)


def _as_it_was(table: Table) -> str:
    return ", ".join(_cast(column) for column in table.columns)


def _cast(column: Column) -> str:
    if column.type in ("text", "json"):
        return unescaped(column)
    return f'{_of_its_type(column)} as "{column.name}"'


def _of_its_type(column: Column) -> str:
    return f'"{column.name}"::{schema.SQL_TYPES[column.type]}'
