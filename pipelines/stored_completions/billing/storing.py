"""The bill's tables in the working file: what they hold, and how days of it are replaced.

A day that is read again is replaced as a whole, so a group that settled under another name leaves
nothing behind. Both reports and the note of how far the bill was read are one transaction: a sync that
dies leaves the bill as it was before, or as it is after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa

from stored_completions.billing.reading import Days
from stored_completions.billing.reports import Report, Row
from stored_completions.models import create_reference_tables
from stored_completions.tables import ORGANIZATION_BILLS


@dataclass(frozen=True)
class Known:
    """Which bill is a source's, where its completions belong, and how far it was read; a bill that is another
    source's to read has no days here."""

    bill_source: str
    project: str | None
    first: date | None = None
    last: date | None = None


def known(connection: duckdb.DuckDBPyConnection | None, source: str) -> Known | None:
    """What is noted of a source's bill; None if none was read."""
    noted = (
        "select bill_source, project_id, first_date, last_date from chat.organization_bills where source = ?"
    )
    row = _first(connection, noted, [source])
    return Known(*row) if row else None


def oldest_day(connection: duckdb.DuckDBPyConnection | None, source: str) -> date | None:
    """The UTC day of a source's oldest completion."""
    row = _first(connection, "select min(created_date) from chat.completions where source = ?", [source])
    return row[0] if row else None


def other_owner(connection: duckdb.DuckDBPyConnection | None, source: str, projects: set[str]) -> str | None:
    """Another source that has loaded the bill of one of these projects, and with it of their organization."""
    owner = (
        "select min(source) from chat.organization_usage"
        " where source <> ? and project_id in (select unnest(?::varchar[]))"
    )
    row = _first(connection, owner, [source, sorted(projects)])
    return row[0] if row else None


def changed(
    connection: duckdb.DuckDBPyConnection | None,
    source: str,
    days: Days,
    rows: Mapping[Report, Sequence[Row]],
) -> int:
    """How many rows of these days are new or not as they are held, and held ones that are there no more."""
    if connection is None:
        return sum(map(len, rows.values()))
    return sum(_differing(connection, source, days, report, each) for report, each in rows.items())


def write(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    days: Days,
    rows: Mapping[Report, Sequence[Row]],
    noted: Known,
    at: datetime,
) -> None:
    """Replaces these days of both reports and notes how far the bill is read; all or nothing."""
    create_reference_tables(connection)
    connection.execute("begin")
    try:
        for report, each in rows.items():
            _replace(connection, source, days, report, each, at)
        connection.execute("delete from chat.organization_bills where source = ?", [source])
        note = {
            "source": source,
            "bill_source": noted.bill_source,
            "project_id": noted.project,
            "first_date": noted.first,
            "last_date": noted.last,
            "read_at": at,
        }
        _insert(connection, ORGANIZATION_BILLS.name, pa.Table.from_pylist([note], ORGANIZATION_BILLS.schema))
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


def _replace(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    days: Days,
    report: Report,
    rows: Sequence[Row],
    at: datetime,
) -> None:
    """Rows that did not change keep the time at which they were read."""
    name, columns = report.table.name, _compared(report)
    connection.register("read_rows", _arrow(report, rows, at))
    held = f"from chat.{name} {_within(report)}"
    connection.execute(
        f"create or replace temp table merged_rows as select read_rows.* replace"
        f" (coalesce(held.read_at, read_rows.read_at) as read_at) from read_rows"
        f" left join (select * {held}) as held on {_equal('read_rows', 'held', columns)}",
        [source, days.first, days.last],
    )
    connection.execute(f"delete {held}", [source, days.first, days.last])
    connection.execute(f"insert into chat.{name} by name from temp.merged_rows")
    connection.execute("drop table temp.merged_rows")
    connection.unregister("read_rows")


def _differing(
    connection: duckdb.DuckDBPyConnection, source: str, days: Days, report: Report, rows: Sequence[Row]
) -> int:
    columns = ", ".join(_compared(report))
    group = f"group_id, {report.day}"
    connection.register("read_rows", _arrow(report, rows, None))
    try:
        row = _first(
            connection,
            f"with held as (select {columns} from chat.{report.table.name} {_within(report)}),"
            f" found as (select {columns} from read_rows)"
            f" select (select count(*) from (from found except from held))"
            f" + (select count(*) from (select {group} from held except select {group} from found))",
            [source, days.first, days.last],
        )
    finally:
        connection.unregister("read_rows")
    return len(rows) if row is None else int(row[0])


def _first(
    connection: duckdb.DuckDBPyConnection | None, sql: str, values: Sequence[object]
) -> tuple[Any, ...] | None:
    """The first row; None where there is none, or nothing to ask yet."""
    if connection is None:
        return None
    try:
        rows = connection.execute(sql, list(values)).fetchall()
    except duckdb.CatalogException:
        return None
    return rows[0] if rows else None


def _within(report: Report) -> str:
    return f"where source = ? and {report.day} between ? and ?"


def _compared(report: Report) -> list[str]:
    return [column.name for column in report.table.columns if column.name != "read_at"]


def _equal(one: str, other: str, columns: Sequence[str]) -> str:
    return " and ".join(f"{one}.{name} is not distinct from {other}.{name}" for name in columns)


def _arrow(report: Report, rows: Sequence[Row], at: datetime | None) -> pa.Table:
    return pa.Table.from_pylist([{**row, "read_at": at} for row in rows], report.table.schema)


def _insert(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    connection.register("read_rows", rows)
    connection.execute(f"insert into chat.{name} by name from read_rows")
    connection.unregister("read_rows")
