"""A warehouse with given rows: every table of schema chat, in memory, as a sync leaves it."""

from datetime import UTC, date, datetime
from typing import Any

import duckdb

from stored_completions import models
from stored_completions.reports import rollup
from stored_completions.tables import BOOKKEEPING, BY_NAME, LOAD_ID, REFERENCE_TABLES, TABLES

Row = dict[str, Any]

READ_AT = datetime(2026, 1, 1, tzinfo=UTC)


def warehouse(**rows: list[Row]) -> duckdb.DuckDBPyConnection:
    """`rows` by table; a column that is not given is NULL, a source is `default`, children take the created_date of
    their completion, and one with a prompt has had its messages read."""
    connection = duckdb.connect()
    connection.execute("create schema chat")
    for table in (*TABLES, *REFERENCE_TABLES, *BOOKKEEPING):
        connection.register("empty", table.schema.empty_table())
        connection.execute(f"create table chat.{table.name} as select * from empty")
        connection.unregister("empty")
    dates = {row["completion_id"]: _date(row) for row in rows.get("completions", [])}
    asked = [row["completion_id"] for row in rows.get("prompts", [])]
    for name, given in rows.items():
        insert(connection, name, *(_filled(name, row, dates) for row in given))
    connection.execute(
        "update chat.completions set messages_synced_at = ? where messages_synced_at is null and completion_id in (select unnest(?))",
        [READ_AT, asked],
    )
    return connection


def publish(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the views and fills the tables that they rest on, as a sync does before it publishes."""
    models.create_views(connection)
    rollup.refresh(connection)


def insert(connection: duckdb.DuckDBPyConnection, table: str, *rows: Row) -> None:
    """Adds rows exactly as they are given."""
    for row in rows:
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        connection.execute(f"insert into chat.{table} ({names}) values ({marks})", list(row.values()))


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    """What a query returns, one dict a row."""
    result = connection.execute(sql)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def at(text: str) -> datetime:
    """A time of day in UTC, e.g. at("2025-03-01 23:30")."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _filled(name: str, row: Row, dates: dict[str, date | None]) -> Row:
    if name in ("messages", "prompts"):
        return {"created_date": dates.get(row["completion_id"])} | row
    if name not in BY_NAME:
        return row
    columns = BY_NAME[name].schema.names
    filled: Row = {LOAD_ID: "load"}
    if "source" in columns:
        filled["source"] = "default"
    if "created_date" in columns:
        filled["created_date"] = dates.get(row["completion_id"])
    return filled | row


def _date(row: Row) -> date | None:
    created_at = row.get("created_at")
    return created_at.astimezone(UTC).date() if created_at else None
