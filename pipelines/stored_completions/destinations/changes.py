"""What changed in the working file since it was shipped: marks beside the data, compared with what is there now.

`shipped.marks` has a row for each unit that the destination has, with its version there; `shipped.places`
says for each destination at which generation it was left. Both are in the working file, so they are as
old as the data beside them, whatever copy is put back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from stored_completions.destinations.units import (
    BULK,
    LAST,
    SMALL,
    STAMPS,
    UNITS,
    Unit,
    local,
)
from stored_completions.tables import Table
from stored_completions.warehouse import transaction

SCHEMA = "shipped"
_CREATE = (
    f"create schema if not exists {SCHEMA}",
    f"create table if not exists {SCHEMA}.places (place varchar, generation varchar, pending varchar)",
    f"create table if not exists {SCHEMA}.marks"
    " (place varchar, unit varchar, key varchar, version varchar, stamp varchar)",
)
_PACKED = "temp.packed"
_MOST_ROWS = 1_000_000  # of logprobs and their alternatives in a package
_MOST_COMPLETIONS = 20_000
_ROWS_OF_ONE = 10  # that a completion without logprobs has in all tables together, about
_BATCH = 20_000


@dataclass(frozen=True)
class Position:
    """Where a destination was left: at `generation`, or at `pending` if the process died right after that was there."""

    generation: str | None = None
    pending: str | None = None


@dataclass(frozen=True)
class Part:
    """Units of one kind in a package; `replaced` of their keys may be there already."""

    unit: Unit
    number: int
    replaced: int


class Package:
    """Changed units, to be taken by a destination all or none; what it needs to know is in table `temp.packed`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, number: int, parts: Sequence[Part]) -> None:
        self.connection = connection
        self.number = number
        self.parts = parts

    def keys(self, unit: Unit, *, replaced_only: bool) -> list[str]:
        """Keys of its units of this kind: all, or those that may be at the destination already."""
        only = " and may_be_there" if replaced_only else ""
        rows = self.connection.execute(
            f"select key from {_PACKED} where package = ? and unit = ?{only} order by key",
            [self.number, unit.name],
        ).fetchall()
        return [row[0] for row in rows]

    def is_empty(self, unit: Unit, table: Table) -> bool:
        return not self.connection.execute(
            f"select 1 from ({self._rows(unit, table, '1')}) limit 1"
        ).fetchall()

    def rows(self, unit: Unit, table: Table, columns: Sequence[str]) -> pa.RecordBatchReader:
        """The rows of a table that belong to it; `columns` are SQL, in the order of the table's."""
        return self.connection.sql(self._rows(unit, table, ", ".join(columns))).to_arrow_reader(_BATCH)

    def _rows(self, unit: Unit, table: Table, columns: str) -> str:
        source = f"chat.{local(table)}"
        if unit.key is None:
            return f"select {columns} from {source}"
        mine = f"package = {self.number} and unit = '{unit.name}'"
        days = ""
        if "created_date" in table.schema.names:
            first, last, has_dateless = self.connection.execute(
                f"select min(created_date), max(created_date), count(*) > count(created_date) from {_PACKED} where {mine}"
            ).fetchall()[0]
            dateless = " or created_date is null" if has_dateless or first is None else ""
            days = f" and (created_date between '{first or '0001-01-01'}' and '{last or '0001-01-01'}'{dateless})"
        return f"select {columns} from {source} where {unit.key} in (select key from {_PACKED} where {mine}){days}"


def position(connection: duckdb.DuckDBPyConnection | None, place: str) -> Position | None:
    """Where this working file left the destination; None if it never shipped there."""
    if connection is None:
        return None
    try:
        rows = connection.execute(
            f"select generation, pending from {SCHEMA}.places where place = ?", [place]
        ).fetchall()
    except duckdb.CatalogException:
        return None
    return Position(*rows[0]) if rows else None


def note(connection: duckdb.DuckDBPyConnection, place: str, where: Position | None) -> None:
    """Writes it down; None forgets the destination, marks and all."""
    _create(connection)
    with transaction(connection):
        _note(connection, place, where)
        if where is None:
            connection.execute(f"delete from {SCHEMA}.marks where place = ?", [place])


def is_behind(connection: duckdb.DuckDBPyConnection, place: str) -> bool:
    """Whether anything is here that the destination does not have so."""
    return any(
        connection.execute(f"select 1 from ({_diff(connection, unit)}) limit 1", [place]).fetchall()
        for unit in (BULK, *SMALL, *LAST)
        if _has(connection, unit)
    )


def completions_behind(connection: duckdb.DuckDBPyConnection, place: str) -> int:
    """How many completions the destination does not have as they are here."""
    if not _has(connection, BULK):
        return 0
    return int(
        connection.execute(f"select count(*) from ({_diff(connection, BULK)})", [place]).fetchall()[0][0]
    )


def packages(connection: duckdb.DuckDBPyConnection, place: str, *, is_repeated: bool) -> Iterator[Package]:
    """What is to be shipped, in the order in which it must be: the small tables first, the cursors last; usually in one.

    `is_repeated`: the destination may have what has no mark here yet.
    """
    _create(connection)
    connection.execute(
        f"create or replace temp table {_PACKED} (package bigint, unit varchar, key varchar, version varchar,"
        " stamp varchar, is_gone boolean, may_be_there boolean, created_date date)"
    )
    last = _pack_bulk(connection, place, is_repeated)
    first = 0 if last > 1 else last
    for number, units in ((first, SMALL), (last, LAST)):
        for unit in units:
            if _has(connection, unit):
                connection.execute(
                    f"insert into {_PACKED} select {number}, '{unit.name}', key, version, stamp, is_gone,"
                    f" not is_new or {is_repeated}, null from ({_diff(connection, unit)})",
                    [place],
                )
    for number in range(last + 1):
        parts = [
            Part(UNITS[name], total, replaced)
            for name, total, replaced in connection.execute(
                f"select unit, count(*), count(*) filter (may_be_there) from {_PACKED} where package = ?"
                " group by unit order by unit",
                [number],
            ).fetchall()
        ]
        if parts:
            yield Package(connection, number, parts)


def mark(connection: duckdb.DuckDBPyConnection, place: str, package: Package, generation: str) -> None:
    """Notes, all at once, that the destination has the package and stands at `generation`."""
    mine = f"from {_PACKED} where package = {package.number}"
    unit = f"case unit when '{STAMPS.name}' then '{BULK.name}' else unit end"
    with transaction(connection):
        connection.execute(
            f"delete from {SCHEMA}.marks where place = ? and (unit, key) in (select {unit}, key {mine})",
            [place],
        )
        connection.execute(
            f"insert into {SCHEMA}.marks select ?, {unit}, key, version, stamp {mine} and not is_gone",
            [place],
        )
        _note(connection, place, Position(generation))


def mark_everything(connection: duckdb.DuckDBPyConnection, place: str, generation: str) -> None:
    """Notes that the destination has all that is here, from where it was just read."""
    _create(connection)
    with transaction(connection):
        connection.execute(f"delete from {SCHEMA}.marks")
        for unit in (BULK, *SMALL, *LAST):
            if _has(connection, unit):
                connection.execute(
                    f"insert into {SCHEMA}.marks select ?, '{unit.name}', key, version, stamp from ({unit.versions})",
                    [place],
                )
        _note(connection, place, Position(generation))


def _create(connection: duckdb.DuckDBPyConnection) -> None:
    for statement in _CREATE:
        connection.execute(statement)


def _note(connection: duckdb.DuckDBPyConnection, place: str, where: Position | None) -> None:
    connection.execute(f"delete from {SCHEMA}.places where place = ?", [place])
    if where is not None:
        connection.execute(
            f"insert into {SCHEMA}.places values (?, ?, ?)", [place, where.generation, where.pending]
        )


def _has(connection: duckdb.DuckDBPyConnection, unit: Unit) -> bool:
    there = {
        row[0]
        for row in connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'chat'"
            " and database_name = current_database()"
        ).fetchall()
    }
    return all(name in there for name in unit.reads)


def _diff(connection: duckdb.DuckDBPyConnection, unit: Unit) -> str:
    """SQL, with the place as its parameter, for the units whose version differs from what is marked."""
    marked = f"select key, version, stamp from {SCHEMA}.marks where place = ? and unit = '{unit.name}'"
    if not _is_created(connection):
        marked = "select null::varchar as key, null::varchar as version, null::varchar as stamp where ?::varchar is null"
    return (
        "select coalesce(here.key, there.key) as key, here.version, here.stamp, here.key is null as is_gone,"
        " there.key is null as is_new, here.version is not distinct from there.version as is_same_below"
        f" from ({unit.versions}) as here full join ({marked}) as there on here.key = there.key"
        " where here.version is distinct from there.version or here.stamp is distinct from there.stamp"
    )


def _is_created(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(
        connection.execute(
            "select 1 from duckdb_tables() where schema_name = ? and table_name = 'marks'"
            " and database_name = current_database()",
            [SCHEMA],
        ).fetchall()
    )


def _pack_bulk(connection: duckdb.DuckDBPyConnection, place: str, is_repeated: bool) -> int:
    """Spreads the completions over packages by day; the number of the last package."""
    if not _has(connection, BULK):
        return 0
    connection.execute(f"create or replace temp table changed as {_diff(connection, BULK)}", [place])
    connection.execute(
        f"insert into {_PACKED} select greatest(rows // {_MOST_ROWS}, number // {_MOST_COMPLETIONS}) + 1,"
        f" case when is_same_below then '{STAMPS.name}' else '{BULK.name}' end, key, version, stamp, is_gone,"
        f" not is_new or {is_repeated}, created_date"
        " from (select changed.*, created_date, row_number() over in_order as number,"
        f" sum({_ROWS_OF_ONE} + coalesce(tokens * {_ratio(connection)}, 0)::bigint) over in_order as rows"
        " from changed left join chat.completions on completion_id = key"
        " left join (select completion_id, count(*) as tokens from chat.logprobs"
        " where completion_id in (select key from changed) group by completion_id) using (completion_id)"
        " window in_order as (order by is_same_below, created_at, key rows unbounded preceding))"
    )
    connection.execute("drop table changed")
    return int(connection.execute(f"select coalesce(max(package), 0) from {_PACKED}").fetchall()[0][0])


def _ratio(connection: duckdb.DuckDBPyConnection) -> float:
    """Rows of logprobs and top_logprobs together for each row of logprobs."""
    sizes = dict(
        connection.execute(
            "select table_name, estimated_size from duckdb_tables() where schema_name = 'chat'"
            " and database_name = current_database()"
        ).fetchall()
    )
    return float(1 + (sizes.get("top_logprobs") or 0) / max(1, sizes.get("logprobs") or 0))
