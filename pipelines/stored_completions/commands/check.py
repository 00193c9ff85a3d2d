"""`check`: what is wrong, before a sync."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from stored_completions.commands.options import (
    billing_options,
    destination_option,
    say,
    source_options,
    until_closed,
    warehouse_option,
)


@click.command(short_help="Key, endpoint, permissions, warehouse: what is wrong?")
@source_options
@billing_options
@destination_option
@warehouse_option
def check(warehouse: Path, **flags: Any) -> None:
    """Look at settings, key, endpoint, permissions and warehouse, and write nothing.

    Prints a line for each: ok, or FAIL with what is wrong and the remedy. The exit code is that of the first
    failure: 2 for settings and key, 1 for anything else.
    """
    from stored_completions.check import check as look
    from stored_completions.config import accounts

    failed = None
    for own in accounts(flags, os.environ, Path.cwd()):
        for finding in look(own, warehouse, say=say):
            mark = "ok  " if finding.error is None else "FAIL"
            with until_closed():
                click.echo(f"{mark}  {finding.what}: {finding.found}")
            failed = failed or finding.error
    if failed:
        sys.exit(failed.exit_code)
