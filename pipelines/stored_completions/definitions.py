"""What stands beside the data in a warehouse: prices, views, descriptions; of this version of the program.

They are renewed before a copy is published, and a newer program, newer prices or views are reason enough
to publish, also when no completion is new.
"""

from hashlib import sha256
from pathlib import Path

import duckdb

from stored_completions import custom, models
from stored_completions.prices import sets as prices
from stored_completions.prices.overrides import NONE, Overrides

_TABLE = "create table if not exists chat.definitions (fingerprint varchar)"


def refresh(
    connection: duckdb.DuckDBPyConnection, overrides: Overrides = NONE, views: Path | None = None
) -> list[str]:
    """Brings all of it up to date, the user's `views` too; what is wrong with those, a sentence each."""
    refresh_ours(connection, overrides, views)
    return custom.build(connection, views)


def refresh_ours(connection: duckdb.DuckDBPyConnection, overrides: Overrides, views: Path | None) -> None:
    """Writes prices, views and descriptions of all but the user's views, if they are not this program's already.

    In one transaction, or each of some two hundred comments would be synced to the disk.
    """
    if not are_outdated(connection, overrides, views):
        return
    prices.load(connection, overrides)
    connection.execute("begin")
    connection.execute(_TABLE)
    models.create_views(connection)
    models.comment_tables(connection)
    connection.execute("delete from chat.definitions")
    connection.execute("insert into chat.definitions values (?)", [_fingerprint(overrides, views)])
    connection.execute("commit")


def are_outdated(
    connection: duckdb.DuckDBPyConnection, overrides: Overrides = NONE, views: Path | None = None
) -> bool:
    """Whether the warehouse was last published by another version, or with other prices or views."""
    try:
        row = connection.execute("select fingerprint from chat.definitions").fetchone()
    except duckdb.CatalogException:
        return True
    return row is None or row[0] != _fingerprint(overrides, views)


def _fingerprint(overrides: Overrides, views: Path | None) -> str:
    parts = (models.fingerprint(), prices.fingerprint(overrides), custom.fingerprint(views))
    return sha256("".join(parts).encode()).hexdigest()
