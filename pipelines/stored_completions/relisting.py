"""A full re-list under way: where its walk stands, and every id that it was shown.

Both stand in a schema of their own in the working file, apart from what analysts read, and are
committed together: an id is forgotten by no kill, and a page that is listed again does no harm. The
schema is there from the first round of a re-list to its end.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from stored_completions.cursor import Cursor
from stored_completions.warehouse import transaction

SEEN = "relisting.seen"

_CREATE = (
    "create schema if not exists relisting",
    "create table if not exists relisting.walks (key varchar, source varchar, started_at timestamp with"
    " time zone, cursor varchar, incomplete varchar)",
    f"create table if not exists {SEEN} (key varchar, completion_id varchar, seen_at timestamp with time zone)",
)


@dataclass(frozen=True)
class Relisting:
    """One re-list: `key` names its base URL, source and filter, `incomplete` the seconds of which rows may be
    missing."""

    key: str
    source: str
    started_at: datetime
    cursor: Cursor = field(default_factory=Cursor)
    incomplete: tuple[int, ...] = field(default=())


def under_way(connection: duckdb.DuckDBPyConnection | None, key: str) -> Relisting | None:
    """The re-list that was begun and not ended."""
    return next((each for each in all_under_way(connection) if each.key == key), None)


def all_under_way(connection: duckdb.DuckDBPyConnection | None) -> list[Relisting]:
    """Every re-list that was begun and not ended, oldest first."""
    if connection is None:
        return []
    try:
        found = connection.execute(
            "select key, source, started_at, cursor, incomplete from relisting.walks order by started_at, key"
        ).fetchall()
    except duckdb.CatalogException:
        return []
    return [
        Relisting(
            key, source, started_at, Cursor.from_json(json.loads(cursor)), tuple(json.loads(incomplete))
        )
        for key, source, started_at, cursor, incomplete in found
    ]


def note(
    connection: duckdb.DuckDBPyConnection, relisting: Relisting, ids: Sequence[str], seen_at: datetime
) -> None:
    """Commits the ids of a round that is loaded, together with where the walk stands after it."""
    with transaction(connection):
        for statement in _CREATE:
            connection.execute(statement)
        connection.execute("delete from relisting.walks where key = ?", [relisting.key])
        connection.execute(
            "insert into relisting.walks values (?, ?, ?, ?, ?)",
            [
                relisting.key,
                relisting.source,
                relisting.started_at,
                json.dumps(relisting.cursor.as_json()),
                json.dumps(relisting.incomplete),
            ],
        )
        see(connection, relisting, ids, seen_at)


def see(
    connection: duckdb.DuckDBPyConnection, relisting: Relisting, ids: Sequence[str], seen_at: datetime
) -> None:
    """Counts ids among those that are still there; part of the caller's transaction."""
    connection.execute(
        f"insert into {SEEN} select ?, unnest(?::varchar[]), ?", [relisting.key, list(ids), seen_at]
    )


def end(connection: duckdb.DuckDBPyConnection, relisting: Relisting, listed_from: datetime | None) -> None:
    """Stamps the rows that were shown, and forgets the re-list.

    `listed_from` is when the oldest listed completion was created; None: this list does not tell.
    """
    with transaction(connection):
        connection.execute(
            "update chat.completions set last_seen_at = shown.seen_at from (select completion_id, max(seen_at) as"
            f" seen_at from {SEEN} where key = ? group by completion_id) as shown"
            " where completions.completion_id = shown.completion_id and completions.source = ?"
            " and completions.last_seen_at < shown.seen_at",
            [relisting.key, relisting.source],
        )
        if listed_from is not None:
            connection.execute(
                "update chat.sources set relisted_at = ?, listed_from = ? where source = ?",
                [relisting.started_at, listed_from, relisting.source],
            )
        connection.execute("delete from relisting.walks where key = ?", [relisting.key])
        connection.execute(f"delete from {SEEN} where key = ?", [relisting.key])
    if not all_under_way(connection):
        connection.execute("drop schema if exists relisting cascade")
