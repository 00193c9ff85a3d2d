"""`purge`: what is to be erased, asked back once, and what came of it."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stored_completions.commands.options import destination_option, warehouse_option
from stored_completions.errors import UsageError
from stored_completions.wording import counted

if TYPE_CHECKING:
    from stored_completions.content.erasing import Which
    from stored_completions.content.purging import Found, Purged


@click.command(short_help="Erase the content of completions for good.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--older-than",
    metavar="TIME",
    help="All completions created longer ago than this, e.g. 90d.  [default: only those named]",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be erased.  [default: no]")
@click.option("--yes", is_flag=True, help="Do not ask back.  [default: ask on a terminal]")
@click.option("--json", "as_json", is_flag=True, help="Say what was erased as one JSON object on stdout.")
@destination_option
@warehouse_option
def purge(
    warehouse: Path,
    ids: tuple[str, ...],
    older_than: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    destination: str | None,
) -> None:
    """Erase the content of completions from the warehouse and from everything beside it, for good.

    Answers, tool arguments, input messages, tokens and the values of metadata become `[dropped]`; identifiers,
    enumerations, usage and other numbers stay, so that costs do. The published file, the sync's own and all that it
    keeps beside them are written anew, and no sync brings the content back. `-` takes ids from stdin, one a line,
    as `query` prints them.

    What is beyond reach: the API itself keeps its copy until that is deleted there or expires; whoever has the file
    open keeps the old one until it is closed; and backups, exports and pages of yours are yours.

    \b
    Examples:
      stored-completions purge chatcmpl-abc chatcmpl-def
      stored-completions purge --older-than 90d --yes
      stored-completions query --format csv "select completion_id from metadata where value = 'acme'" > acme.csv
      stored-completions purge --dry-run - < acme.csv
    """
    from stored_completions.config import destination as configured
    from stored_completions.content.purging import look
    from stored_completions.content.purging import purge as run

    which = _which(ids, older_than)
    found = look(warehouse, which)
    if dry_run or not found:
        _show_found(found, as_json)
        return
    if not yes:
        _confirm(found)
    done = run(
        warehouse,
        which,
        say=lambda sentence: click.echo(sentence, err=True),
        destination=configured({"destination": destination}, os.environ, Path.cwd()),
    )
    if as_json:
        click.echo(json.dumps(done.as_json()))
        return
    _show(done)


def _which(ids: tuple[str, ...], older_than: str | None) -> "Which":
    from stored_completions.content.erasing import Which
    from stored_completions.values import with_unit

    named = [*ids]
    if "-" in named:
        named.remove("-")
        named += [line.strip() for line in sys.stdin if line.strip() not in ("", "completion_id")]
    if not named and older_than is None:
        raise click.UsageError("purge takes ids (`-` reads them from stdin), --older-than, or both.")
    age = None if older_than is None else timedelta(seconds=with_unit("--older-than", older_than))
    return Which(tuple(dict.fromkeys(named)), None if age is None else datetime.now(UTC) - age)


def _show_found(found: "Found", as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found.as_json()))
    elif not found:
        when = f" created before {_time(found.before)}" if found.before and not found.has_named else ""
        click.echo(f"There is nothing{when} to purge in {found.warehouse}.")
    else:
        click.echo(f"A purge would erase {_erased(found)}{_noted(found, 'note')}.")


def _confirm(found: "Found") -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "purge erases for good, and here is nobody to ask: say --yes, or look first with --dry-run."
        )
    click.confirm(
        f"This erases for good {_erased(found)}{_noted(found, 'notes')}. Go on?", abort=True, err=True
    )


def _erased(found: "Found") -> str:
    chosen = counted(len(found.completions), "completion")
    if found.before:
        named = ", named or" if found.has_named else ""
        chosen += f"{named} created before {_time(found.before)}{',' if named else ''}"
    parts = [f"the content of {chosen if found.completions else 'no completion'} in {found.warehouse}"]
    parts += [f"that of {counted(found.quarantined, 'object')} in quarantine"] if found.quarantined else []
    parts += [f"and the same in {path}" for path in found.kept_files]
    parts += [f"all of {path}, which cannot be read" for path in found.damaged_files]
    parts += ["what a purge that died has left"] if found.is_unfinished else []
    return "; ".join(parts)


def _noted(found: "Found", note: str) -> str:
    return f", and {note} {_unknown(found.missing)}" if found.missing else ""


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _show(done: "Purged") -> None:
    whose = "its" if done.completions == 1 else "their"
    click.echo(f"The content of {counted(done.completions, 'completion')} is erased; {whose} usage stays.")
    if done.quarantined:
        click.echo(f"That of {counted(done.quarantined, 'object')} in quarantine is erased too.")
    if done.missing:
        click.echo(f"Noted: {_unknown(done.missing)}.")
    for path in done.rewritten_files:
        click.echo(f"{path} was written anew without it.")
    for path in done.removed_files:
        click.echo(f"{path} could not be read and was removed.")
    click.echo(done.warehouse)


def _unknown(missing: list[str]) -> str:
    shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    what = "id that is" if len(missing) == 1 else "ids that are"
    return f"{len(missing):,} {what} not in the warehouse ({shown}), never to be loaded with content"
