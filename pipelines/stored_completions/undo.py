"""Makes a round all or nothing, although dlt commits table by table and marks the package last.

A row whose load id has no mark in `_dlt_loads` is of a round that died, and is removed. The rows that
a round replaces are moved to a schema of their own before it is loaded, children included, so that
nothing of theirs stays behind; they are put back if the round dies. Each step is one transaction, so
it may die between any two: `recover` always finds one of the two states, before the round or after it.
"""

from collections.abc import Sequence
from datetime import date

import duckdb

from stored_completions.tables import COMPLETIONS, LOAD_ID, TABLES
from stored_completions.warehouse import transaction

_REPLACED = "replaced"
_CHILDREN = [table.name for table in TABLES if "completion_id" in table.key and table is not COMPLETIONS]
_WHOLE = (*_CHILDREN, COMPLETIONS.name)


def move_out(connection: duckdb.DuckDBPyConnection, ids: Sequence[str], dates: Sequence[date | None]) -> None:
    """Moves every row of these completions out of the way of those that a round is about to load.

    `dates` are their days: they let DuckDB skip the rest of large tables.
    """
    if not ids:
        return
    chosen = (
        " where completion_id in (select unnest(?::varchar[]))"
        " and (created_date between ? and ? or created_date is null)"
    )
    known = [day for day in dates if day is not None]
    values = [list(ids), min(known, default=None), max(known, default=None)]
    with transaction(connection):
        connection.execute(f"create schema {_REPLACED}")
        for name in _WHOLE:
            connection.execute(f"create table {_REPLACED}.{name} as from chat.{name} {chosen}", values)
            connection.execute(f"delete from chat.{name} {chosen}", values)


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """Drops what was moved out, once the round is marked as loaded."""
    connection.execute(f"drop schema if exists {_REPLACED} cascade")


def recover(connection: duckdb.DuckDBPyConnection) -> None:
    """Brings the warehouse to where the last finished round left it; whoever calls it holds the lock."""
    tables = {
        f"{schema}.{name}"
        for schema, name in connection.execute(
            "select schema_name, table_name from duckdb_tables()"
        ).fetchall()
    }
    if "chat._dlt_loads" not in tables:
        return
    with transaction(connection):
        for table in TABLES:
            if f"chat.{table.name}" in tables:
                connection.execute(
                    f"delete from chat.{table.name}"
                    f" where {LOAD_ID} not in (select load_id from chat._dlt_loads where status = 0)"
                )
        if f"{_REPLACED}.{COMPLETIONS.name}" in tables:
            _put_back(connection, [name for name in _WHOLE if f"{_REPLACED}.{name}" in tables])
        if "chat.sync_runs" in tables:
            _close_dead_runs(connection)


def _put_back(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    """Restores what was moved out, unless its round is loaded: completions last, for they tell.

    `names` are its tables: those of the version that moved it out.
    """
    for name in names:
        connection.execute(
            f"insert into chat.{name} by name from {_REPLACED}.{name}"
            " where completion_id not in (select completion_id from chat.completions)"
        )
    forget(connection)


def _close_dead_runs(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "update chat.sync_runs set outcome = 'interrupted', detail = 'The process died.' where outcome = 'running'"
    )
