"""`sync`: what it is told, for how many sources, and what came of it, for people and for machines."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stored_completions.commands.options import (
    billing_options,
    content_options,
    destination_option,
    source_options,
    warehouse_option,
)
from stored_completions.errors import Stopped

if TYPE_CHECKING:
    from stored_completions.run_report import Report


@click.command(short_help="Bring new and changed completions into the warehouse.")
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
    help="Your own prices, a TOML file (`prices example` prints one). They last until the next sync without it: the "
    "setting prices keeps them.  [default: none]",
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
@destination_option
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
    if full and flags["since"]:
        raise click.UsageError(
            "--since is for a sync without --full, which lists everything: leave one of them out."
        )
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
