"""`status`: how fresh and how full the warehouse is."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from stored_completions.commands.options import destination_option, until_closed, warehouse_option


@click.command(short_help="How fresh and how full the warehouse is.")
@click.option(
    "--max-age",
    metavar="TIME",
    help="Exit 3 unless a sync, of several configured accounts one of each, ended well within this time, e.g. 90m, 2h or "
    "1d.  [default: any age]",
)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, times in ISO 8601.")
@destination_option
@warehouse_option
def status(warehouse: Path, max_age: str | None, as_json: bool, destination: str | None) -> None:
    """Say how fresh and how full the warehouse is, and how the last runs went. Writes nothing.

    \b
    Example, for a monitor:
      stored-completions status --max-age 2h > /dev/null || echo "the sync is behind"
    """
    from rich.console import Console

    from stored_completions.config import destination as chosen
    from stored_completions.config import parts
    from stored_completions.overview import show
    from stored_completions.status import check_age
    from stored_completions.status import status as read
    from stored_completions.values import with_unit

    most = None if max_age is None else with_unit("--max-age", max_age)
    target = chosen({"destination": destination}, os.environ, Path.cwd())
    found = read(warehouse, destination=target, configured=parts(os.environ, Path.cwd()))
    with until_closed():
        if as_json:
            click.echo(json.dumps(found.as_json()))
        else:
            show(found, Console(highlight=False))
    if most is not None:
        check_age(found, most, datetime.now(UTC))
