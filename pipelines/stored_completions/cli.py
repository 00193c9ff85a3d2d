"""The command line: each verb calls one function of the package, and says what came of it.

stdout carries results, stderr progress and sentences. Errors are one or two sentences and an exit
code; a traceback is a bug of ours. What a verb needs is imported when it runs, so that help is quick.
"""

import json
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

import click

from stored_completions import __version__
from stored_completions.commands.dashboard import dashboard
from stored_completions.commands.export import export
from stored_completions.commands.options import (
    Commands,
    billing_options,
    destination_option,
    sandbox_options,
    source_options,
    until_closed,
    warehouse_option,
)
from stored_completions.commands.prices import prices
from stored_completions.commands.purge import purge
from stored_completions.commands.reconcile import reconcile  # noqa: F401  (adds itself to report)
from stored_completions.commands.reports import report
from stored_completions.commands.settings import settings
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


@cli.command(short_help="The whole job with no key: invented data, a sync, a report.")
@click.option(
    "--completions",
    default=2_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many completions the invented account has.",
)
def demo(completions: int) -> None:
    """Do the whole job with no key: a local API with invented data, a sync, a report.

    Writes only stored_completions_demo.duckdb, and its state in .stored_completions/, in this folder; each demo
    starts anew. No setting is read and nothing leaves this machine.
    """
    from rich.console import Console

    from stored_completions.demo import demo as run

    run(Path.cwd(), Console(highlight=False), completions=completions)


@cli.command(short_help="Serve a local API to try things against.")
@sandbox_options
def sandbox(
    port: int, verbose: bool, now: int | None, max_limit: int | None, latency: float, **made: Any
) -> None:
    """Serve a local API with invented completions, to try things against. Ctrl-C ends it.

    The base URL is printed on stdout once it answers; any API key is accepted. It behaves like the live service:
    newest first by default, an `after` that counts whole seconds, rows of one second in changing order, real error
    answers. While it runs, its clock can be moved, faults ordered, and what was asked looked at:

    \b
      curl -X POST http://127.0.0.1:8080/sandbox/clock -d '{"advance": 3600}'
      curl -X POST http://127.0.0.1:8080/sandbox/faults -d '[{"fault": "status", "status": 500}]'
      curl http://127.0.0.1:8080/sandbox/status

    \b
    A fault spoils one request, or one whose path contains its "path":
      status (status, body, headers)  any answer of that status
      rate_limited (retry_after, retry_after_ms, retry_at)  a 429
      quota                           the 429 that no waiting mends
      cut (keep), reset (keep)        ends after a share of the body
      close                           ends without an answer
      html (status)                   a page, as from a proxy
      not_json, not_a_list            a 200 that is something else
      slow (seconds)                  the API's answer, late
      redirect (location, status)     to somewhere else
      none                            the API's answer, untouched

    \b
    Example, in another terminal:
      export OPENAI_API_KEY=sk-sandbox OPENAI_BASE_URL=http://127.0.0.1:8080/v1
      stored-completions sync --warehouse sandbox.duckdb
    """
    from stored_completions.errors import StoredCompletionsError
    from stored_completions.sandbox.serve import serve

    account = _account(now, **made)

    def announce(base_url: str) -> None:
        click.echo(base_url)
        sys.stdout.flush()
        click.echo(
            f"{len(account):,} completions. In another terminal:\n"
            f"  export OPENAI_API_KEY=sk-sandbox OPENAI_BASE_URL={base_url}\n"
            f"  stored-completions sync --warehouse sandbox.duckdb\n"
            f"Ctrl-C ends it.",
            err=True,
        )

    try:
        serve(
            account,
            port=port,
            announce=announce,
            now=now,
            verbose=verbose,
            max_limit=max_limit,
            latency=latency,
        )
    except OSError as error:
        raise StoredCompletionsError(
            f"Port {port} cannot be used ({error.strerror}): name another with --port, or take a free one with --port 0."
        ) from None


def _account(now: int | None, *, ndjson: str | None, completions: int, **kinds: Any) -> Any:
    from stored_completions.errors import UsageError
    from stored_completions.sandbox import Account

    if ndjson is None:
        return Account.generate(completions, until=(now or int(time.time())) - 60, **kinds)
    try:
        return Account.from_ndjson(ndjson)
    except (ValueError, EOFError, OSError) as error:
        raise UsageError(f"{ndjson} is no file of completions, one JSON object a line: {error}.") from None


@cli.command(short_help="Key, endpoint, permissions, warehouse: what is wrong?")
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
        for finding in look(own, warehouse, say=_say):
            mark = "ok  " if finding.error is None else "FAIL"
            with until_closed():
                click.echo(f"{mark}  {finding.what}: {finding.found}")
            failed = failed or finding.error
    if failed:
        sys.exit(failed.exit_code)


cli.add_command(sync)


@cli.command(short_help="How fresh and how full the warehouse is.")
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


@cli.command(short_help="Run SQL on the warehouse, read-only.")
@click.argument("sql")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "json"]),
    help="How rows are printed; a table shows 1,000 at most.  [default: table, and csv into a pipe]",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Write to this file, as its suffix says: .parquet, .csv, .json, or .ndjson with an object a line.",
)
@warehouse_option
def query(warehouse: Path, sql: str, output: Path | None, kind: str | None) -> None:
    """Run one SQL statement on the warehouse, read-only. `-` takes it from stdin.

    The SQL reaches the warehouse only: no other file, no network. To join other data, open the file in any DuckDB
    client. JSON has times in ISO 8601 (UTC), all digits of integers and decimals, and null for NaN; CSV has
    nothing for NULL and "" for an empty text.

    \b
    Examples:
      stored-completions query "select model, sum(total_tokens) from marts.daily_usage group by model"
      stored-completions query "select name, count(*) from chat.tool_calls group by name" --format json
      stored-completions query "from marts.completions_wide" --output completions.parquet
      stored-completions query - < report.sql
    """
    from stored_completions.query import export, run

    statement = sys.stdin.read() if sql == "-" else sql
    if output is None:
        run(warehouse, statement, kind or ("table" if sys.stdout.isatty() else "csv"))
    elif kind is not None:
        raise click.UsageError("--format is for printing; --output takes its format from the suffix.")
    else:
        rows = export(warehouse, statement, output)
        click.echo(f"{rows:,} row{'' if rows == 1 else 's'} written to {output}", err=True)


cli.add_command(report)
cli.add_command(export)
cli.add_command(dashboard)
cli.add_command(prices)
cli.add_command(settings)
cli.add_command(verify)
cli.add_command(purge)
cli.add_command(views)


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


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
