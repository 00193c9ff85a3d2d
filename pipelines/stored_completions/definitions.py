"""What stands beside the data in a warehouse: prices, views, descriptions; of this version of the program.

They are renewed before a copy is published, and a newer program, newer prices or views are reason enough
to publish, also when no completion is new.
"""

from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import duckdb

from stored_completions import custom, models
from stored_completions.prices import sets as prices
from stored_completions.prices.overrides import NONE, Overrides

_TABLE = "create table if not exists chat.definitions (program uuid, prices uuid, own_views uuid)"


class Versions(NamedTuple):
    """What the definitions are of, each changing with that part and with nothing else; None: they are not there."""

    program: UUID | None = None
    prices: UUID | None = None
    own_views: UUID | None = None


def refresh(
    connection: duckdb.DuckDBPyConnection, overrides: Overrides = NONE, views: Path | None = None
) -> list[str]:
    """Brings all of it up to date, the user's `views` too; what is wrong with those, a sentence each."""
    refresh_ours(connection, overrides, views)
    return custom.build(connection, views)


def refresh_ours(connection: duckdb.DuckDBPyConnection, overrides: Overrides, views: Path | None) -> None:
    """Writes prices, views and descriptions of all but the user's views, those that are not this program's already.

    Views and descriptions in one transaction, or each of some six hundred comments would be synced to the disk.
    """
    held, wanted = _held(connection), _wanted(overrides, views)
    if held == wanted:
        return
    prices.load(connection, overrides)
    connection.execute("begin")
    if wanted.program != held.program:
        models.create_views(connection)
        models.comment_tables(connection)
    note(connection, wanted)
    connection.execute("commit")


def are_outdated(
    connection: duckdb.DuckDBPyConnection, overrides: Overrides = NONE, views: Path | None = None
) -> bool:
    """Whether the warehouse was last published by another version, or with other prices or views."""
    return _held(connection) != _wanted(overrides, views)


def note(connection: duckdb.DuckDBPyConnection, versions: Versions) -> None:
    """Notes of what the warehouse's definitions are, in the row that is there: beside a deleted one it would take a block."""
    connection.execute(_TABLE)
    connection.execute(
        "alter table chat.definitions drop column if exists fingerprint"
    )  # an older version's,
    connection.execute("delete from chat.definitions where program is null")  # of several rows
    if not connection.execute("from chat.definitions").fetchall():
        connection.execute("insert into chat.definitions (program) values (uuid())")
    connection.execute("update chat.definitions set program = ?, prices = ?, own_views = ?", [*versions])


def of_program() -> Versions:
    """Those of this program's views and descriptions, without prices."""
    return Versions(_uuid(models.fingerprint()))


def _held(connection: duckdb.DuckDBPyConnection) -> Versions:
    try:
        row = connection.execute("select program, prices, own_views from chat.definitions").fetchone()
    except (duckdb.CatalogException, duckdb.BinderException):  # there is none yet, or an older version's
        row = None
    return Versions(*row) if row else Versions()


def _wanted(overrides: Overrides, views: Path | None) -> Versions:
    own = custom.fingerprint(views)
    return Versions(of_program().program, _uuid(prices.fingerprint(overrides)), _uuid(own) if own else None)


def _uuid(fingerprint: str) -> UUID:
    """Half of a SHA-256: a row of nothing but numbers takes no block of the file, one with a text 256 KB."""
    return UUID(fingerprint[:32])
