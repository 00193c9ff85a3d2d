"""A warehouse that an older version made, brought up to the tables of this one, in place.

Versions only ever add: what is missing is created empty, and a column that is new holds NULL until
its row is written again. The rest of such a row stands where its version put it, mostly in `extra`.
How DuckDB stores the same values may change.
"""

from collections.abc import Mapping, Sequence

import duckdb

from stored_completions.tables import (
    BOOKKEEPING,
    COMPLETIONS,
    DEFINITIONS,
    KINDS,
    LOGPROBS,
    PUBLICATION,
    REFERENCE_TABLES,
    TABLES,
    TOP_LOGPROBS,
    Column,
    Table,
)
from stored_completions.warehouse import transaction

SQL_TYPES = {
    "text": "varchar",
    "json": "varchar",
    "bigint": "bigint",
    "double": "double",
    "decimal": "decimal(18, 12)",
    "money": "decimal(38, 30)",
    "bool": "boolean",
    "timestamp": "timestamp with time zone",
    "date": "date",
    "binary": "blob",
}
_LONG_TEXT = {
    "choices": ("content", "audio_transcript"),
    "messages": ("content", "content_parts"),
    "quarantine": ("body",),
}
"""Columns that DuckDB would compress by its usual way for texts, nine times as long and half as well as by zstd."""
_KIND = f"ENUM({', '.join(repr(kind) for kind in KINDS)})"
_STORED_AS = {
    LOGPROBS.name: {"kind": _KIND},
    TOP_LOGPROBS.name: {"kind": _KIND},
    PUBLICATION.name: {"generation": "UUID"},
    DEFINITIONS.name: {"fingerprint": "UUID"},
}
"""Texts that take less room as something else: a run of one ENUM none, as a varchar two bits a row, 3 % of all logprobs;
and a row of nothing but numbers none, as a varchar makes it a block of 256 KB."""

_DLT = (
    "create table if not exists chat._dlt_loads (load_id varchar not null, schema_name varchar,"
    " status bigint not null, inserted_at timestamp with time zone not null, schema_version_hash varchar)",
    "create table if not exists chat._dlt_pipeline_state (version bigint not null, engine_version bigint not null,"
    " pipeline_name varchar not null, state varchar not null, created_at timestamp with time zone not null,"
    " version_hash varchar, _dlt_load_id varchar not null, _dlt_id varchar not null)",
)
_OURS = (*TABLES, *REFERENCE_TABLES, *BOOKKEEPING)
_Types = dict[str, dict[str, str]]  # DuckDB's, by table and column


def is_behind(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a table or column is missing, or not stored as by this version; never so before the first load."""
    there = _there(connection)
    return bool(_missing(there) or _wide(there) or _indexed(connection))


def renew(connection: duckdb.DuckDBPyConnection) -> None:
    """Adds what is missing; when that is cut short, the next time adds the rest."""
    there = _there(connection)
    missing = _missing(there)
    for table in _OURS:
        columns = missing.get(table.name, ())
        if table.name not in there and columns:
            connection.execute(
                f"create table chat.{table.name} ({', '.join(_defined(table, each) for each in columns)})"
            )
        else:
            for column in columns:
                connection.execute(f"alter table chat.{table.name} add column {_column(table, column)}")
    for name in _indexed(connection):
        with transaction(connection):
            connection.execute(f"create table chat.{name}_plain as from chat.{name}")
            connection.execute(f"drop table chat.{name}")
            connection.execute(f"alter table chat.{name}_plain rename to {name}")
    for name, kept in _wide(there):
        if name == DEFINITIONS.name:  # those of an older version: this one's are yet to be made
            made = ", ".join(_defined(DEFINITIONS, column) for column in DEFINITIONS.columns)
            connection.execute(f"create or replace table chat.{name} ({made})")
        else:
            connection.execute(f"alter table chat.{name} alter {kept} type {_STORED_AS[name][kept]}")


def create_missing(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes every table that is not there, as the loader would, and those in which dlt notes what it loaded."""
    there = _there(connection)
    for table in _OURS:
        if table.name not in there:
            columns = ", ".join(_defined(table, column) for column in table.columns)
            connection.execute(f"create table chat.{table.name} ({columns})")
    for statement in _DLT:
        connection.execute(statement)


def _missing(there: _Types) -> Mapping[str, Sequence[Column]]:
    """The columns that each table lacks; of a missing table all of them."""
    if COMPLETIONS.name not in there:
        return {}
    lacking = {
        table.name: [column for column in table.columns if column.name not in there.get(table.name, ())]
        for table in _OURS
    }
    return {name: columns for name, columns in lacking.items() if columns}


def _wide(there: _Types) -> list[tuple[str, str]]:
    """Tables and their columns that are still stored as texts."""
    return [
        (name, column)
        for name, columns in _STORED_AS.items()
        for column in columns
        if there.get(name, {}).get(column) == "VARCHAR"
    ]


def _indexed(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables with a primary key: its blocks are read by no scan, so that nobody could tell whether they are sound."""
    rows = connection.execute(
        "select table_name from duckdb_constraints() where schema_name = 'chat' and constraint_type = 'PRIMARY KEY'"
        " and database_name = current_database()"
    ).fetchall()
    return [name for (name,) in rows]


def _there(connection: duckdb.DuckDBPyConnection) -> _Types:
    found: _Types = {}
    for table, column, type_ in connection.execute(
        "select table_name, column_name, data_type from duckdb_columns()"
        " where database_name = current_database() and schema_name = 'chat'"
    ).fetchall():
        found.setdefault(table, {})[column] = type_
    return found


def _defined(table: Table, column: Column) -> str:
    """The column of a new table, as the loader makes it."""
    is_required = table in TABLES and column.name in table.required
    is_long = column.name in _LONG_TEXT.get(table.name, ())
    return (
        _column(table, column)
        + (" using compression zstd" if is_long else "")
        + (" not null" if is_required else "")
    )


def _column(table: Table, column: Column) -> str:
    type_ = _STORED_AS.get(table.name, {}).get(column.name, SQL_TYPES[column.type])
    return f'"{column.name}" {type_}'
