"""The command line: each verb calls one function of the package, and says what came of it.

stdout carries results, stderr progress and sentences. Errors are one or two sentences and an exit
code; a traceback is a bug of ours. What a verb needs is imported when it runs, so that help is quick.
"""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import NoReturn

import click

from stored_completions import __version__
from stored_completions.commands.check import check
from stored_completions.commands.dashboard import dashboard
from stored_completions.commands.demo import demo
from stored_completions.commands.export import export
from stored_completions.commands.options import Commands
from stored_completions.commands.prices import prices
from stored_completions.commands.purge import purge
from stored_completions.commands.query import query
from stored_completions.commands.reconcile import reconcile  # noqa: F401  (adds itself to report)
from stored_completions.commands.reports import report
from stored_completions.commands.sandbox import sandbox
from stored_completions.commands.settings import settings
from stored_completions.commands.status import status
from stored_completions.commands.sync import sync
from stored_completions.commands.verify import verify
from stored_completions.commands.views import views


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done; 1 failed or stopped, safe to repeat; 2 usage, settings or key; 3 a check, budget or "
    "age is not met; 75 another sync is running; 130 Ctrl-C.",
)
@click.version_option(__version__, prog_name="stored-completions")
def cli() -> None:
    """Sync OpenAI's stored chat completions into DuckDB, exactly once, for SQL.

    \b
    Without a key:   stored-completions demo
    With a key:      export OPENAI_API_KEY=sk-...
                     stored-completions check
                     stored-completions sync
                     stored-completions query "select count(*) from chat.completions"

    Settings come from flags, then SOURCES__STORED_COMPLETIONS__... variables, then .dlt/secrets.toml and
    .dlt/config.toml ([sources.stored_completions]), then OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_ORG_ID and
    OPENAI_PROJECT_ID.
    """


for command in (
    demo,
    sandbox,
    check,
    sync,
    status,
    query,
    report,
    export,
    dashboard,
    prices,
    settings,
    verify,
    purge,
    views,
):
    cli.add_command(command)


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        cli.main(prog_name="stored-completions")
    except SystemExit as end:
        _leave(end)


def _leave(end: SystemExit) -> NoReturn:
    """Ends the process at once: to take down all that was imported costs a tenth of a sync of a few rows."""
    code = end.code or 0
    if isinstance(code, int):
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    raise end
