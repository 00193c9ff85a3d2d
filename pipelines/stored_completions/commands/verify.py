"""The command `verify`: every check of the warehouse, and on request the API's own list beside it."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stored_completions.commands.options import (
    destination_option,
    source_options,
    until_closed,
    warehouse_option,
)

if TYPE_CHECKING:
    import duckdb

    from stored_completions.checks import CheckResult
    from stored_completions.comparing import Comparison
    from stored_completions.config import Settings
    from stored_completions.destinations.comparing import Compared
    from stored_completions.destinations.kinds import Target


@click.command(short_help="Is the warehouse sound, and the same as the API?")
@click.option(
    "--against-api",
    is_flag=True,
    help="Also list everything at the API again, and name what is missing, edited or deleted.  [default: no]",
)
@click.option(
    "--json", "as_json", is_flag=True, help="As one JSON object, with at most 1,000 ids of each kind."
)
@source_options
@destination_option
@warehouse_option
def verify(warehouse: Path, against_api: bool, as_json: bool, destination: str | None, **flags: Any) -> None:
    """Run every check on the published warehouse: orphans, doubles, gaps, totals, times, cursors, reports.

    A check that fails is shown with some of its rows, and the exit code is then 3. Nothing is written. Before that every
    block of the file is read, and of the one that a sync works on: bytes that a disk spoilt are found.

    With --against-api the whole list is read again, with a request per 100 completions, and compared by id and by
    value; what is not listed is asked for by its id. Only what a sync claims to have is judged: the time that it
    covers, up to its last look-back. Differences exit with 3 too; `sync --full` mends them.

    With a destination, the checks that its engine understands are run there too, over its own tables and views, and
    every table is read and compared value by value with the one here; differences exit with 3 too.

    \b
    Examples:
      stored-completions verify
      stored-completions verify --against-api --json
    """
    from stored_completions import query
    from stored_completions import verify as verifying
    from stored_completions.commands.findings import Findings
    from stored_completions.config import destination as configured
    from stored_completions.errors import UsageError
    from stored_completions.warehouse import Files

    given = [name for name, value in flags.items() if value not in (None, (), False)]
    if given and not against_api:
        raise UsageError(
            f"--{given[0].replace('_', '-')} says what to ask the API for: give --against-api too."
        )
    whole = verifying.wholeness(Files(warehouse.absolute()))
    found = Findings(whole, [whole.check()])
    if whole.published:
        found.show_checks(as_json)
    else:
        with query.reading(warehouse) as connection:
            found.checks = sorted(
                [*found.checks, *_checks(connection, warehouse)], key=lambda check: check.name
            )
            found.show_checks(as_json)
            found.compared = _compared(connection, warehouse, flags) if against_api else []
            chosen = configured({"destination": destination}, os.environ, Path.cwd())
            if chosen:
                found.tables, found.checks_there = _against(connection, chosen)
    with until_closed():
        if as_json:
            click.echo(json.dumps(found.as_json(), default=str))
        else:
            found.show_rest()
    found.judge()


def _against(
    connection: "duckdb.DuckDBPyConnection", chosen: "Target"
) -> "tuple[list[Compared], list[CheckResult]]":
    """Every table here and at the destination, and the checks that are run there."""
    from stored_completions.destinations.comparing import compare
    from stored_completions.destinations.opening import opened

    destination = opened(chosen)
    try:
        tables = compare(connection, destination)
        has_rows = destination.standing() is not None
        return tables, destination.checks() if has_rows else []
    finally:
        destination.close()


def _checks(connection: "duckdb.DuckDBPyConnection", path: Path) -> "list[CheckResult]":
    import duckdb

    from stored_completions import verify
    from stored_completions import warehouse as files
    from stored_completions.errors import WarehouseError

    if files.published_at(connection) is None:
        raise files.foreign(files.Files(path.absolute()))
    try:
        return verify.checks(connection)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise WarehouseError(
            "This warehouse was published by another version of stored-completions, sync it once with this one: "
            f"{str(error).splitlines()[0]}"
        ) from None


def _compared(
    connection: "duckdb.DuckDBPyConnection", path: Path, flags: dict[str, Any]
) -> "list[Comparison]":
    from stored_completions.config import accounts
    from stored_completions.progress import watching
    from stored_completions.stop import stopping

    with stopping() as stop, watching() as watcher:
        return [
            _compare(connection, path, own, watcher, stop) for own in accounts(flags, os.environ, Path.cwd())
        ]


def _compare(
    connection: "duckdb.DuckDBPyConnection", path: Path, own: "Settings", watcher: Any, stop: Any
) -> "Comparison":
    from stored_completions import journal
    from stored_completions.client import Client
    from stored_completions.comparing import compare
    from stored_completions.cursor import Cursor
    from stored_completions.rate_budget import RateBudget
    from stored_completions.reader import cursor_key
    from stored_completions.store import Store
    from stored_completions.warehouse import Files

    store = Store(connection)
    store.check_binding(path, own.source, own.endpoint)
    state = store.state()
    key = cursor_key(own.endpoint.place, own.query, own.source)
    later = journal.read(Files(path.absolute())).cursors_at(state.basis)
    cursor = Cursor.from_json(later.get(key) or state.cursors.get(key, {}))
    with Client(
        own.endpoint, own.patience, sleep=stop.sleep, on_retry=watcher.say, budget=RateBudget()
    ) as client:
        return compare(connection, client, own, cursor, watcher, stop)
