"""The command `verify`: every check of the warehouse, and on request the API's own list beside it."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stored_completions.commands.options import (
    destination_option,
    source_options,
    until_closed,
    warehouse_option,
)
from stored_completions.wording import counted

if TYPE_CHECKING:
    import duckdb
    from rich.console import Console

    from stored_completions.checks import CheckResult
    from stored_completions.comparing import Comparison
    from stored_completions.config import Settings
    from stored_completions.destinations.comparing import Compared
    from stored_completions.destinations.kinds import Target
    from stored_completions.verify import Wholeness

_MOST_SHOWN = 10
_THERE = ", at the destination"


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
    from stored_completions.config import destination as configured
    from stored_completions.errors import UsageError
    from stored_completions.warehouse import Files

    given = [name for name, value in flags.items() if value not in (None, (), False)]
    if given and not against_api:
        raise UsageError(
            f"--{given[0].replace('_', '-')} says what to ask the API for: give --against-api too."
        )
    whole = verifying.wholeness(Files(warehouse.absolute()))
    checks = [whole.check()]
    compared: list[Comparison] = []
    tables: list[Compared] = []
    checks_there: list[CheckResult] = []
    if whole.published:
        _show_checks(checks, as_json)
    else:
        with query.reading(warehouse) as connection:
            checks = sorted([*checks, *_checks(connection, warehouse)], key=lambda check: check.name)
            _show_checks(checks, as_json)
            compared = _compared(connection, warehouse, flags) if against_api else []
            chosen = configured({"destination": destination}, os.environ, Path.cwd())
            tables, checks_there = _against(connection, chosen) if chosen else ([], [])
    with until_closed():
        if as_json:
            said = _as_json(whole, checks, compared, tables, checks_there)
            click.echo(json.dumps(said, default=str))
        else:
            _show_unread(whole)
            _show_compared(compared)
            _show_checks(checks_there, as_json, _THERE)
            _show_tables(tables)
    _judge(whole, checks, compared, tables, checks_there)


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
        raise WarehouseError(
            f"{path.absolute()} is a DuckDB file, but no warehouse that this program made: name another with --warehouse."
        )
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


def _show_checks(checks: "Sequence[CheckResult]", as_json: bool, where: str = "") -> None:
    """Says how each went, before the API is asked; JSON comes as a whole in the end."""
    from rich.console import Console

    if as_json:
        return
    console = Console(highlight=False)
    with until_closed():
        for check in checks:
            _show_check(check, console, where)


def _show_check(check: "CheckResult", console: "Console", where: str) -> None:
    from stored_completions.tabular import draw

    if not check.failing_rows:
        console.print(f"ok    {check.name}{where}")
        return
    rows = f"{check.failing_rows:,} row{'' if check.failing_rows == 1 else 's'}"
    console.print(f"FAIL  {check.name}{where}, {rows}: {check.description}", soft_wrap=True, markup=False)
    draw(console, list(check.sample[0]), [list(row.values()) for row in check.sample])
    if check.failing_rows > len(check.sample):
        console.print(f"and {check.failing_rows - len(check.sample):,} more")


def _show_unread(whole: "Wholeness") -> None:
    if whole.published:
        click.echo("The other checks were not run: they read what is damaged.")
    if whole.unread:
        click.echo(f"{whole.files.working} was not read: {whole.unread}.")


def _show_compared(compared: "Sequence[Comparison]") -> None:
    for found in compared:
        since = f"{found.covered_from:%Y-%m-%d %H:%M:%S} to " if found.covered_from else "up to "
        mark = "ok  " if found.is_sound else "FAIL"
        click.echo(
            f"{mark}  source {found.source} against the API, {since}{found.settled_at:%Y-%m-%d %H:%M:%S} UTC: "
            f"{counted(found.listed, 'completion')} listed"
        )
        for name, meaning, named in found.differences():
            if named.count:
                more = f" and {named.count - _MOST_SHOWN:,} more" if named.count > _MOST_SHOWN else ""
                click.echo(
                    f"      {name}: {named.count:,} {meaning}: {', '.join(named.ids[:_MOST_SHOWN])}{more}"
                )
        for said in _remarks(found):
            click.echo(f"      {said}")


def _show_tables(tables: "Sequence[Compared]") -> None:
    for table in tables:
        mark = "ok  " if table.is_same else "FAIL"
        click.echo(
            f"{mark}  {table.table}: {table.rows_here:,} rows here, {table.rows_there:,} at the destination"
        )


def _remarks(found: "Comparison") -> list[str]:
    """What is no difference, but worth knowing."""
    remarks = [
        (
            found.not_due,
            "listed ones are newer, or older, than what a sync claims to have so far: not judged",
        ),
        (found.expired, "are older than the oldest that the API lists: expired, no difference"),
        (found.unsure, "stand in seconds that the server would not list whole, or have no time: not judged"),
    ]
    said = [f"{number:,} {what}." for number, what in remarks if number]
    return said + ([f"What is here and not listed was not judged: {found.doubt}."] if found.doubt else [])


def _as_json(
    whole: "Wholeness",
    checks: "Sequence[CheckResult]",
    compared: "Sequence[Comparison]",
    tables: "Sequence[Compared]",
    checks_there: "Sequence[CheckResult]",
) -> dict[str, Any]:
    return {
        "warehouse": str(whole.files.published),
        "is_sound": not any(check.failing_rows for check in (*checks, *checks_there))
        and all(each.is_sound for each in compared)
        and all(table.is_same for table in tables),
        "checks": [_check_as_json(check) for check in checks],
        "not_read": [str(whole.files.working)] if whole.unread else [],
        "against_api": [each.as_json() for each in compared],
        "destination": [vars(table) for table in tables],
        "destination_checks": [_check_as_json(check) for check in checks_there],
    }


def _check_as_json(check: "CheckResult") -> dict[str, Any]:
    return {
        "name": check.name,
        "description": check.description,
        "failing_rows": check.failing_rows,
        "sample": list(check.sample),
    }


def _judge(
    whole: "Wholeness",
    checks: "Sequence[CheckResult]",
    compared: "Sequence[Comparison]",
    tables: "Sequence[Compared]",
    checks_there: "Sequence[CheckResult]",
) -> None:
    """Raises Unmet, which exits with 3, if anything is not as it should be."""
    from stored_completions.errors import Unmet

    said = [*_failed(checks), *_failed(checks_there, _THERE)]
    if whole.published or whole.working:
        said.append(whole.remedy())
    said += [
        f"Source {each.source} differs from the API's list: `stored-completions sync --full` reads it anew."
        for each in compared
        if not each.is_sound
    ]
    different = [table.table for table in tables if not table.is_same]
    if different:
        said.append(
            f"The destination differs in {', '.join(different)}: sync once more if it is only behind; else somebody wrote "
            f"there, and its dataset is to be dropped, which lets the next sync ship everything anew."
        )
    if said:
        raise Unmet(" ".join(said))


def _failed(checks: "Sequence[CheckResult]", where: str = "") -> list[str]:
    """A sentence on those that failed, if any did."""
    names = [check.name for check in checks if check.failing_rows]
    return [f"{len(names)} of {len(checks)} checks failed{where} ({', '.join(names)})."] if names else []
