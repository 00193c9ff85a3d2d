"""The command line: each verb calls one function of the package, and says what came of it.

stdout carries results, stderr progress and sentences. Errors are one or two sentences and an exit
code; a traceback is a bug of ours.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from stored_completions import __version__
from stored_completions.errors import StoredCompletionsError

_stderr = Console(stderr=True, soft_wrap=True, highlight=False)


class _Commands(click.Group):
    """Turns our errors into sentences on stderr and their exit codes; lists commands in their order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StoredCompletionsError as error:
            _stderr.print(f"stored-completions: {error}", markup=False)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(130)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed or stopped (repeat it), 2 usage, settings or key, 3 a check or age is "
    "not met, 75 another sync is running, 130 Ctrl-C.",
)
@click.version_option(__version__, prog_name="stored-completions")
def cli() -> None:
    """Sync OpenAI's stored chat completions into DuckDB, exactly once, for SQL.

    Start with `demo`, which needs no key. With a key in OPENAI_API_KEY: `check`, then `sync`, then
    `query` or any DuckDB client.
    """


def _warehouse(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--warehouse",
        type=click.Path(dir_okay=False, path_type=Path),
        default="stored_completions.duckdb",
        envvar="STORED_COMPLETIONS_WAREHOUSE",
        show_default=True,
        show_envvar=True,
        help="The DuckDB file that analysts open.",
    )(command)


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where to read from. There is no flag for the key: it would stand in every list of processes."""
    options = [
        click.option("--base-url", help="Base URL of the API.  [default: OPENAI_BASE_URL, or OpenAI's]"),
        click.option("--api-version", help="Azure's api-version, e.g. preview."),
        click.option("--model", help="Only completions of this model, e.g. gpt-4o-mini-2024-07-18."),
        click.option(
            "--metadata",
            multiple=True,
            metavar="KEY=VALUE",
            help="Only completions with this pair; repeatable.",
        ),
        click.option(
            "--lookback", metavar="TIME", help="How late a row may appear and still be found.  [default: 1h]"
        ),
        click.option(
            "--page-size", type=click.IntRange(min=1), help="Completions per request.  [default: 100]"
        ),
        click.option(
            "--insecure-http", is_flag=True, default=None, help="Allow plain http to another machine."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@cli.command()
@click.option(
    "--completions", default=2_000, show_default=True, type=click.IntRange(min=1), help="Size of the account."
)
def demo(completions: int) -> None:
    """Do the whole job with no key: a local API with invented data, a sync, a report.

    Writes only stored_completions_demo.duckdb (and .stored_completions/) in this folder.
    """
    from stored_completions.demo import demo as run

    run(Path.cwd(), Console(highlight=False), completions=completions)


@cli.command()
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option(
    "--completions", default=2_000, show_default=True, type=click.IntRange(min=0), help="Size of the account."
)
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same account.")
@click.option("--per-second", type=click.IntRange(min=1), help="Exactly so many rows in each second.")
@click.option("--logprob-share", default=0.05, show_default=True, help="Share of rows with logprobs.")
@click.option("--tokens", type=click.IntRange(min=1), help="Tokens of each row with logprobs.")
@click.option("--top-logprobs", type=click.IntRange(0, 20), help="Alternatives of each token.")
@click.option(
    "--ndjson", type=click.Path(exists=True, dir_okay=False), help="Serve this file, a completion a line."
)
@click.option("--max-limit", type=click.IntRange(min=1), help="Largest page that is served.")
@click.option("--latency", default=0.0, show_default=True, help="Seconds before each answer.")
@click.option("--now", type=int, help="Stop the clock at this unix second.")
@click.option("--verbose", is_flag=True, help="Log each request to stderr.")
def sandbox(
    port: int, completions: int, seed: int, per_second: int | None, logprob_share: float, tokens: int | None,
    top_logprobs: int | None, ndjson: str | None, now: int | None, verbose: bool, **rules: Any,
) -> None:  # fmt: skip
    """Serve a local API with invented completions, to try things against.

    It behaves like the live service: newest first by default, ties within a second, an `after` that
    counts seconds, real error answers. Its clock can be set and faults can be ordered while it runs:

    \b
        curl -X POST localhost:8080/sandbox/clock -d '{"advance": 3600}'
        curl -X POST localhost:8080/sandbox/faults -d '[{"status": 500}]'
    """
    from stored_completions.sandbox import Account
    from stored_completions.sandbox.serve import serve

    if ndjson:
        account = Account.from_ndjson(ndjson)
    else:
        account = Account.generate(
            completions,
            seed=seed,
            until=(now or int(time.time())) - 60,
            per_second=per_second,
            logprob_share=logprob_share,
            tokens=tokens,
            top_logprobs=top_logprobs,
        )

    def announce(base_url: str) -> None:
        click.echo(base_url)
        _stderr.print(
            f"{len(account):,} completions. In another terminal:\n"
            f"  OPENAI_API_KEY=sk-sandbox OPENAI_BASE_URL={base_url} stored-completions sync --warehouse sandbox.duckdb\n"
            f"Ctrl-C ends it."
        )

    rules = {name: value for name, value in rules.items() if value is not None}
    serve(account, port=port, announce=announce, now=now, verbose=verbose, **rules)


@cli.command()
@_settings
@_warehouse
def check(warehouse: Path, **flags: Any) -> None:
    """Look at key, endpoint, permissions and warehouse, and write nothing."""
    from stored_completions.check import check as look
    from stored_completions.config import settings

    failed = None
    for finding in look(settings(flags, os.environ, Path.cwd()), warehouse):
        mark = "ok  " if finding.error is None else "FAIL"
        click.echo(f"{mark}  {finding.what}: {finding.found}")
        failed = failed or finding.error
    if failed:
        sys.exit(failed.exit_code)


@cli.command()
@_settings
@click.option(
    "--max-pages", type=click.IntRange(min=1), help="Stop after so many pages; the next sync goes on."
)
@click.option("--json", "as_json", is_flag=True, help="Say what was done as one JSON object on stdout.")
@_warehouse
def sync(warehouse: Path, max_pages: int | None, as_json: bool, **flags: Any) -> None:
    """Bring new and changed completions into the warehouse.

    The first run reads everything, from the oldest on; later ones what came since, and the look-back
    again, because rows can appear late. It can be stopped at any time, and repeated at any time.
    """
    from stored_completions.config import settings
    from stored_completions.progress import watching
    from stored_completions.sync import stopping
    from stored_completions.sync import sync as run

    own = settings(flags, os.environ, Path.cwd())
    with stopping() as stop, watching(_stderr) as watcher:
        report = run(own, warehouse, max_pages=max_pages, stop=stop, watcher=watcher)
    if as_json:
        click.echo(json.dumps(report.as_json()))
        return
    for sentence in report.sentences():
        click.echo(sentence)


@cli.command()
@click.option("--max-age", metavar="TIME", help="Exit 3 unless a sync ended well within this time, e.g. 2h.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@_warehouse
def status(warehouse: Path, max_age: str | None, as_json: bool) -> None:
    """Say how fresh and how full the warehouse is, and how the last runs went."""
    from stored_completions.config import duration
    from stored_completions.status import check_age, show
    from stored_completions.status import status as read

    most = None if max_age is None else duration("--max-age", max_age)
    found = read(warehouse)
    if as_json:
        click.echo(json.dumps(found.as_json(), default=str))
    else:
        show(found, Console(highlight=False))
    if most is not None:
        check_age(found, most, datetime.now(UTC))


@cli.command()
@click.argument("sql")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to x.parquet, x.csv or x.json."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "json"]),
    help="[default: table, and csv into a pipe]",
)
@_warehouse
def query(warehouse: Path, sql: str, output: Path | None, kind: str | None) -> None:
    """Run SQL on the warehouse, read-only. `-` reads the SQL from stdin.

    \b
        stored-completions query "from marts.daily_usage where created_date >= current_date - 7"
    """
    from stored_completions.query import export, reading, select, show

    statement = sys.stdin.read() if sql == "-" else sql
    with reading(warehouse) as connection:
        if output:
            click.echo(f"{export(connection, statement, output):,} rows written to {output}", err=True)
            return
        result = select(connection, statement)
    show(result, kind or ("table" if sys.stdout.isatty() else "csv"))


def main() -> None:
    """The console script."""
    cli.main(prog_name="stored-completions")
