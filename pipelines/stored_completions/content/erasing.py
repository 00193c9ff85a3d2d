"""A warehouse file written anew without the content of some completions.

DuckDB keeps the blocks that deleted values stood in, so nothing is erased inside a file: a fresh one
is filled with what remains, and no content that goes is ever written to it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from msgspec import Raw

from stored_completions.content.groups import COLUMNS, EXEMPT, EXTRA, HASHES, JSON_TEXT, group_of
from stored_completions.content.policy import DROPPED, ERASED
from stored_completions.content.stage import treated
from stored_completions.pages import Entry, fields, loads
from stored_completions.tables import (
    BY_NAME,
    COMPLETIONS,
    PURGES,
    QUARANTINE,
    REFERENCE_TABLES,
    Column,
)

_STORAGE = "v1.4.0"
_BATCH = 50_000
_TABLES = BY_NAME | {table.name: table for table in REFERENCE_TABLES}
_TYPES = {"BLOB": "binary", "VARCHAR": "text"}
_ID = "completion_id"
_PURGING = "memory.purging"


@dataclass(frozen=True)
class Which:
    """Completions by their ids, and all that were created (or else set aside) before `before`."""

    ids: tuple[str, ...] = ()
    before: datetime | None = None


@dataclass(frozen=True)
class Chosen:
    """What of a file is meant and not erased yet: completions, and objects in quarantine by their hash, with the
    hash that their remains have."""

    completions: list[str]
    quarantined: list[tuple[str, str]]

    def __bool__(self) -> bool:
        return bool(self.completions or self.quarantined)


def choose(connection: duckdb.DuckDBPyConnection, which: Which) -> Chosen:
    """Looks for it in the database that the connection uses."""
    known = _names(connection)
    if not {COMPLETIONS.name, QUARANTINE.name} <= set(known):
        return Chosen([], [])
    purged = f"select {_ID} from chat.purges" if PURGES.name in known else "select null where false"
    rows = connection.execute(
        f"select {_ID} from chat.completions"
        f" where ({_ID} in (select unnest(?::varchar[])) or coalesce(created_at, first_seen_at) < ?)"
        f" and {_ID} not in ({purged}) order by {_ID}",
        [list(which.ids), which.before],
    ).fetchall()
    completions = [row[0] for row in rows]
    bodies = connection.execute(
        "select sha256, body, coalesce(seen_at < ?, false) from chat.quarantine where body <> ?",
        [which.before, DROPPED],
    ).fetchall()
    ids = {*which.ids, *completions}
    quarantined = [
        (sha256, _erased_hash(body)) for sha256, body, is_old in bodies if is_old or _is_of(body, ids)
    ]
    return Chosen(completions, quarantined)


def rewrite(old: Path, new: Path, which: Which, at: datetime) -> Chosen:
    """Writes the file `old` to `new`, in which no content is left of `which` and of all that was purged before.

    `old` has no log beside it, and stays as it is.
    """
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"attach {_quoted(old)} as old (read_only)")
        connection.execute(f"attach {_quoted(new)} as new (storage_version '{_STORAGE}')")
        connection.execute("copy from database old to new (schema)")
        connection.execute("use old")
        chosen = choose(connection, which)
        _note(connection, chosen, which)
        connection.execute("begin")
        for name in _names(connection):
            _copy(connection, name)
        _note_purges(connection, at)
        for relation in _ids_only(connection):
            connection.execute(f"insert into new.{relation} from old.{relation}")
        connection.execute("commit")
        connection.execute("checkpoint new")
        return chosen


def _note(connection: duckdb.DuckDBPyConnection, chosen: Chosen, which: Which) -> None:
    """Tables `purging` and `bodies`, in memory."""
    connection.execute(f"create table memory.purging ({_ID} varchar)")
    ids = [*chosen.completions, *which.ids]
    connection.execute(f"insert into {_PURGING} select distinct unnest(?::varchar[])", [ids])
    if PURGES.name in _names(connection):
        connection.execute(
            f"insert into {_PURGING} select {_ID} from chat.purges where {_ID} not in (from {_PURGING})"
        )
    connection.execute("create table memory.bodies (sha256 varchar, new_sha256 varchar)")
    if chosen.quarantined:
        connection.executemany("insert into memory.bodies values (?, ?)", chosen.quarantined)


def _note_purges(connection: duckdb.DuckDBPyConnection, at: datetime) -> None:
    """Those of a kept file of an older version, too, are to be known in it."""
    connection.register("empty_purges", PURGES.schema.empty_table())
    connection.execute("create table if not exists new.chat.purges as from empty_purges")
    connection.execute(
        f"insert into new.chat.purges ({_ID}, purged_at)"
        f" select {_ID}, ? from {_PURGING} where {_ID} not in (select {_ID} from new.chat.purges)",
        [at],
    )


def _copy(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Copies one table, and puts in place of content what says that it is gone."""
    columns = _columns(connection, name)
    markers = {column.name: marker for column in columns if (marker := _marker(name, column)) is not None}
    if name == QUARANTINE.name:
        _copy_quarantine(connection)
    elif name == "attachments":
        connection.execute(f"insert into new.chat.attachments from chat.attachments where {_IS_STILL_USED}")
    elif _ID not in {column.name for column in columns} or not markers:
        connection.execute(f"insert into new.chat.{name} from chat.{name}")
    else:
        values = [
            f'case when is_purged and "{column.name}" <> {_empty(column)} then {markers[column.name]} else "{column.name}" end'
            if column.name in markers
            else f'"{column.name}"'
            for column in columns
        ]
        connection.execute(
            f"insert into new.chat.{name} select {', '.join(values)}"
            f" from (select *, {_ID} in (from {_PURGING}) as is_purged from chat.{name})"
        )
        _put_documents(connection, name, {column.name for column in columns})


_IS_STILL_USED = f"""
sha256 in (select unnest(regexp_extract_all(content_parts, ';sha256,([0-9a-f]{{64}})', 1))
    from chat.messages where {_ID} not in (from {_PURGING}))
or sha256 not in (select unnest(regexp_extract_all(content_parts, ';sha256,([0-9a-f]{{64}})', 1))
    from chat.messages where {_ID} in (from {_PURGING}))
"""


def _marker(table: str, column: Column) -> str | None:
    """What stands in place of a value, as SQL; None if the column holds no content."""
    if column.name == _ID:
        return None
    if column.name in HASHES or (table, column.name) == (COMPLETIONS.name, "row_hash"):
        return "null"
    group = group_of(table, column)
    if group == EXEMPT:
        return None
    if _is_object(table, column.name):
        return "null"  # until its remains are put in its place
    if column.type == "binary":
        return f"'{DROPPED}'::blob"
    is_json = column.type == "json" or column.name in JSON_TEXT
    return f"""'"{DROPPED}"'""" if is_json else f"'{DROPPED}'"


def _empty(column: Column) -> str:
    return "''::blob" if column.type == "binary" else "''"


def _is_object(table: str, column: str) -> bool:
    return (table, column) == (COMPLETIONS.name, "metadata") or COLUMNS.get(table, {}).get(column) == EXTRA


def _put_documents(connection: duckdb.DuckDBPyConnection, table_name: str, there: set[str]) -> None:
    """The remains of JSON objects of which a part stays: keys of metadata, numbers in extra."""
    for name in [
        name for name in COLUMNS.get(table_name, ()) if name in there and _is_object(table_name, name)
    ]:
        table = _TABLES[table_name]
        old = f"old.chat.{table_name} where {_ID} in (from {_PURGING}) and {name} is not null"
        same = " and ".join(f"new_row.{key} = remains.{key}" for key in table.key)
        for batch in _batches(connection, f"select {', '.join(table.key)}, {name} from {old}"):
            connection.register("remains", treated(table, batch, ERASED))
            connection.execute(
                f"update new.chat.{table_name} as new_row set {name} = remains.{name} from remains where {same}"
            )
            connection.unregister("remains")


def _batches(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[pa.Table]:
    with connection.cursor() as reading:
        for batch in reading.sql(sql).to_arrow_reader(_BATCH):
            yield pa.Table.from_batches([batch])


def _erased_hash(body: str) -> str:
    return ERASED.body_hash(_entry(body))


def _is_of(body: str, ids: Collection[str]) -> bool:
    """Whether the object in quarantine has one of the ids, or names one in JSON that nobody can read."""
    members = _entry(body).members
    if members is None:
        return any(id_ in body for id_ in ids)
    id_ = loads(bytes(members.get("id", b"null")))
    return isinstance(id_, str) and id_ in ids


def _entry(body: str) -> Entry:
    text = body.encode()
    try:
        fields(text)
    except (ValueError, RecursionError):
        return Entry(Raw(text), is_readable=False)
    return Entry(Raw(text))


def _copy_quarantine(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "insert into new.chat.quarantine by name select old_row.* replace"
        " (coalesce(bodies.new_sha256, old_row.sha256) as sha256,"
        f" case when bodies.sha256 is null then old_row.body else '{DROPPED}' end as body)"
        " from chat.quarantine as old_row left join memory.bodies as bodies on bodies.sha256 = old_row.sha256"
        " qualify row_number() over (partition by coalesce(bodies.new_sha256, old_row.sha256)"
        " order by old_row.seen_at desc) = 1"
    )


def _ids_only(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """What a full re-list has noted, and what was shipped. Tables of other schemas are made of those of chat, and stay empty till then."""
    rows = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables()"
        " where database_name = current_database() and schema_name in ('relisting', 'shipped')"
    ).fetchall()
    return [row[0] for row in rows]


def _names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables of schema chat."""
    rows = connection.execute(
        "select table_name from duckdb_tables() where database_name = current_database() and schema_name = 'chat'"
        " order by table_oid"
    ).fetchall()
    return [row[0] for row in rows]


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[Column]:
    """The columns that are there, as they are declared; one that is not known may hold anything."""
    declared = {column.name: column for column in _TABLES[table].columns} if table in _TABLES else {}
    rows = connection.execute(
        "select column_name, data_type from duckdb_columns() where database_name = current_database() and schema_name = 'chat'"
        " and table_name = ? order by column_index",
        [table],
    ).fetchall()
    return [declared.get(name) or Column(name, _TYPES.get(kind, kind), "") for name, kind in rows]


def _quoted(path: Path) -> str:
    text = str(path).replace("'", "''")
    return f"'{text}'"
