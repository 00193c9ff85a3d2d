"""What stands beside the data in a warehouse: prices, views, descriptions; of this version of the program.

They are renewed before a copy is published, and a newer program, newer prices or views are reason enough
to publish, also when no completion is new.
"""

from hashlib import sha256
from pathlib import Path
from uuid import UUID

import duckdb

from stored_completions import custom, models
from stored_completions.prices import sets as prices
from stored_completions.prices.overrides import NONE, Overrides

_TABLE = "create table if not exists chat.definitions (fingerprint uuid)"


def refresh(
    connection: duckdb.DuckDBPyConnection, overrides: Overrides = NONE, views: Path | None = None
) -> list[str]:
    """Brings all of it up to date, the user's `views` too; what is wrong with those, a sentence each."""
    refresh_ours(connection, overrides, views)
    return custom.build(connection, views)


def refresh_ours(connection: duckdb.DuckDBPyConnection, overrides: Overrides, views: Path | None) -> None:
    """Writes prices, views and descriptions of all but the user's views, unless they are as they should be already.

    Views and descriptions in one transaction, or each of some six hundred comments would be synced to the disk.
    """
    held, wanted = _held(connection), _wanted(overrides, views)
    if held == wanted:
        return
    prices.load(connection, overrides)
    connection.execute("begin")
    if held != of_program():
        models.create_views(connection)
        models.comment_tables(connection)
    note(connection, wanted)
    connection.execute("commit")


def are_outdated(
    connection: duckdb.DuckDBPyConnection, overrides: Overrides = NONE, views: Path | None = None
) -> bool:
    """Whether the warehouse was last published by another version, or with other prices or views."""
    return _held(connection) != _wanted(overrides, views)


def note(connection: duckdb.DuckDBPyConnection, fingerprint: UUID) -> None:
    """Notes of what the warehouse's definitions are, in the row that is there: beside a deleted one it would take a block."""
    connection.execute(_TABLE)
    if connection.execute("from chat.definitions").fetchone() is None:
        connection.execute("insert into chat.definitions (fingerprint) values (?)", [fingerprint])
    else:
        connection.execute("update chat.definitions set fingerprint = ?", [fingerprint])


def of_program() -> UUID:
    """The fingerprint where views and descriptions are this program's, and prices are yet to come."""
    return _fingerprint(models.fingerprint())


def _held(connection: duckdb.DuckDBPyConnection) -> UUID | None:
    try:
        row = connection.execute("select fingerprint from chat.definitions").fetchone()
    except duckdb.CatalogException:
        return None
    return row[0] if row else None


def _wanted(overrides: Overrides, views: Path | None) -> UUID:
    return _fingerprint(models.fingerprint(), prices.fingerprint(overrides), custom.fingerprint(views))


def _fingerprint(*parts: str) -> UUID:
    """Of 128 bits: a row of nothing but numbers takes no block of the file, one with a text 256 KB."""
    return UUID(bytes=sha256("\0".join(parts).encode()).digest()[:16])
