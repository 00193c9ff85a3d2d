"""What stands beside the data in a warehouse: prices, views, descriptions; of this version of the program.

They are renewed before a copy is published, and a newer program, newer prices or views are reason enough
to publish, also when no completion is new.
"""

from collections.abc import Iterable
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
    """Writes prices, views and descriptions of all but the user's views, those that are not this program's already.

    Views and descriptions in one transaction, or each of some six hundred comments would be synced to the disk.
    """
    held, wanted = _held(connection), _wanted(overrides, views)
    if held == wanted:
        return
    prices.load(connection, overrides)
    connection.execute("begin")
    if models.fingerprint() not in held:
        models.create_views(connection)
        models.comment_tables(connection)
    note(connection, wanted)
    connection.execute("commit")


def are_outdated(
    connection: duckdb.DuckDBPyConnection, overrides: Overrides = NONE, views: Path | None = None
) -> bool:
    """Whether the warehouse was last published by another version, or with other prices or views."""
    return _held(connection) != _wanted(overrides, views)


def note(connection: duckdb.DuckDBPyConnection, fingerprints: Iterable[str]) -> None:
    """Notes of what the warehouse's definitions are."""
    connection.execute(_TABLE)
    connection.execute("delete from chat.definitions")
    connection.execute("insert into chat.definitions select unnest(?::varchar[])", [sorted(fingerprints)])


def _held(connection: duckdb.DuckDBPyConnection) -> set[str]:
    try:
        return {row[0] for row in connection.execute("select fingerprint from chat.definitions").fetchall()}
    except duckdb.CatalogException:
        return set()


def _wanted(overrides: Overrides, views: Path | None) -> set[str]:
    parts = (models.fingerprint(), prices.fingerprint(overrides), custom.fingerprint(views))
    return {part for part in parts if part}
