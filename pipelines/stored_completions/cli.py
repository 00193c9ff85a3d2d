"""The command line: each verb calls one function of the package, and says what came of it.

stdout carries results, stderr progress and sentences. Errors are one or two sentences and an exit
code; a traceback is a bug of ours. What a verb needs is imported when it runs, so that help is quick.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stored_completions import __version__
from stored_completions.commands.dashboard import dashboard
from stored_completions.commands.export import export
from stored_completions.commands.options import (
    Commands,
    billing_options,
    content_options,
    sandbox_options,
    source_options,
    until_closed,
    warehouse_option,
)
from stored_completions.commands.prices import prices
from stored_completions.commands.purge import purge
from stored_completions.commands.reconcile import reconcile  # noqa: F401  (adds itself to report)
from stored_completions.commands.reports import report
from stored_completions.commands.verify import verify
from stored_completions.errors import Stopped

if TYPE_CHECKING:
    from stored_completions.run_report import Report


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


@cli.command(short_help="Bring new and changed completions into the warehouse.")
@source_options
@content_options
@click.option(
    "--max-pages",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop after so many pages; the next sync goes on from there.  [default: no limit]",
)
@click.option(
    "--since",
    metavar="DATE",
    help="How far back a first sync reads, e.g. 2026-01-31 (UTC) or 30d; given later, an earlier one reads further "
    "back.  [default: everything]",
)
@click.option(
    "--full",
    is_flag=True,
    help="List everything again: find old edits, and mark what was deleted at the API. A run that is cut goes on "
    "with the next --full.  [default: no]",
)
@click.option(
    "--confirm-deletions",
    is_flag=True,
    help="With --full, when it doubts the list: ask for each completion that is missing, and mark those that "
    "answer 404.  [default: no]",
)
@click.option(
    "--messages/--no-messages",
    default=None,
    help="Then read the input messages of completions that have none yet, a request for each.  [default: no]",
)
@click.option(
    "--max-messages",
    type=click.IntRange(min=1),
    metavar="N",
    help="Ask for the messages of so many completions at most; the next sync goes on from there.  "
    "[default: no limit]",
)
@click.option(
    "--prices",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Your own prices, a TOML file (`prices example` prints one).  [default: none]",
)
@billing_options
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Say what was done as one JSON object on stdout, also when the sync failed on its way "
    '("outcome": "failed"); stdout stays empty when it could not begin.',
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="STORED_COMPLETIONS_LOG_FORMAT",
    show_envvar=True,
    help="json: everything on stderr is one JSON object a line, for a log collector; progress is logged too.",
)
@warehouse_option
def sync(
    warehouse: Path,
    max_pages: int | None,
    as_json: bool,
    log_format: str,
    full: bool,
    confirm_deletions: bool,
    change_policy: bool,
    **flags: Any,
) -> None:
    """Bring new and changed completions into the warehouse.

    The first run reads everything, or back to --since: newest first, and a long list from several places at once.
    Later ones read what came since, and the look-back again, because completions can appear late. It can be
    stopped at any time (Ctrl-C or SIGTERM end it well, a second one at once) and repeated at any time: what is in
    the warehouse is there exactly once.

    With --messages the input messages follow, the oldest completions first, 8 requests at a time (setting
    in_flight) at a rate that the server bears. --max-pages does not bound them, --max-messages does.

    \b
    Examples:
      stored-completions sync
      stored-completions sync --messages --max-messages 10000
      stored-completions sync --since 30d
      stored-completions sync --model gpt-4o-mini-2024-07-18 --metadata team=support
      stored-completions sync --source eu --base-url https://eu.api.openai.com/v1
      OPENAI_ADMIN_KEY=sk-admin-... stored-completions sync --billing
      stored-completions sync --content drop --content metadata=keep
      stored-completions sync --full

    Sources with a part of their own in the configuration, [sources.stored_completions.NAME], are all synced, side by
    side, unless --source names one. One that fails stops no other; the exit code is then 1.
    """
    from stored_completions.lean import settle

    settle()

    from stored_completions.config import accounts
    from stored_completions.progress import watching
    from stored_completions.sync import stopping, sync_all
    from stored_completions.sync import sync as run

    if confirm_deletions and not full:
        raise click.UsageError("--confirm-deletions is for --full, which alone looks for deletions.")
    how: dict[str, Any] = {
        "change_policy": change_policy,
        "full": full,
        "confirm_deletions": confirm_deletions,
    }
    if log_format == "json":
        return _sync_for_machines(warehouse, as_json, flags | {"max_pages": max_pages}, **how)
    own, *others = accounts(flags | {"max_pages": max_pages}, os.environ, Path.cwd())
    with _failure_as_json(warehouse, as_json), stopping() as stop, watching() as watcher:
        if others:
            reports = sync_all([own, *others], warehouse, stop=stop, watcher=watcher, **how)
            _show_all(reports, as_json)
            return
        report = run(
            own,
            warehouse,
            max_pages=own.max_pages,
            stop=stop,
            watcher=watcher,
            **how,
        )
    if as_json:
        click.echo(json.dumps(report.as_json()))
        return
    for sentence in report.sentences():
        click.echo(sentence)


def _sync_for_machines(warehouse: Path, as_json: bool, flags: dict[str, Any], **wishes: Any) -> None:
    """The same with a log of JSON lines; `wishes` are options of `sync_all`."""
    from stored_completions.config import accounts
    from stored_completions.log_lines import logging_to
    from stored_completions.sync import stopping, sync_all

    with logging_to(sys.stderr) as lines, _failure_as_json(warehouse, as_json), stopping() as stop:
        own = accounts(flags, os.environ, Path.cwd())
        lines.begun([each.source for each in own])
        reports = sync_all(own, warehouse, stop=stop, watcher=lines, **wishes)
    for each in reports:
        lines.ended(each)
    if as_json:
        _print_as_json(reports)
    _exit_like(reports)


def _show_all(reports: "list[Report]", as_json: bool) -> None:
    """What became of each source."""
    if as_json:
        _print_as_json(reports)
    else:
        for report in reports:
            for sentence in report.sentences()[:-1] if report.failure is None else ():
                click.echo(f"{report.source}: {sentence}")
        click.echo(reports[-1].sentences()[-1])
    for report in reports:
        if report.failure is not None:
            click.echo(f"stored-completions: {report.source}: {report.failure}", err=True)
    _exit_like(reports)


def _print_as_json(reports: "list[Report]") -> None:
    runs = [report.as_json() for report in reports]
    click.echo(json.dumps(runs[0] if len(runs) == 1 else {"sources": runs}))


def _exit_like(reports: "list[Report]") -> None:
    """Exits as the only one would; of several that failed, as one that was stopped, else with 1."""
    failures = [report.failure for report in reports if report.failure is not None]
    if len(reports) == 1 and failures:
        sys.exit(failures[0].exit_code)
    if failures:
        sys.exit(next((failure.exit_code for failure in failures if isinstance(failure, Stopped)), 1))


@contextmanager
def _failure_as_json(warehouse: Path, as_json: bool) -> Iterator[None]:
    """Prints the report that a failing sync leaves in its journal; one that could not begin leaves none."""
    from stored_completions import journal
    from stored_completions.errors import Busy, StoredCompletionsError
    from stored_completions.warehouse import Files

    files = Files(warehouse.absolute())
    before = journal.read(files).last
    try:
        yield
    except StoredCompletionsError as error:
        last = journal.read(files).last
        if as_json and last is not None and last != before and not isinstance(error, Busy):
            click.echo(json.dumps(last))
        raise


@cli.command(short_help="How fresh and how full the warehouse is.")
@click.option(
    "--max-age",
    metavar="TIME",
    help="Exit 3 unless a sync ended well within this time, e.g. 90m, 2h or 1d.  [default: any age]",
)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, times in ISO 8601.")
@warehouse_option
def status(warehouse: Path, max_age: str | None, as_json: bool) -> None:
    """Say how fresh and how full the warehouse is, and how the last runs went. Writes nothing.

    \b
    Example, for a monitor:
      stored-completions status --max-age 2h > /dev/null || echo "the sync is behind"
    """
    from rich.console import Console

    from stored_completions.config import duration
    from stored_completions.status import check_age, show
    from stored_completions.status import status as read

    most = None if max_age is None else duration("--max-age", max_age)
    found = read(warehouse)
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
cli.add_command(verify)
cli.add_command(verify)
cli.add_command(purge)


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli.main(prog_name="stored-completions")
