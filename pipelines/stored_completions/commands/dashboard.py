"""The command `dashboard`: the warehouse as one page, written to a file that replaces the old one in one step."""

from datetime import UTC, datetime
from pathlib import Path

import click

from stored_completions.commands.options import warehouse_option
from stored_completions.commands.output import replacing

SUFFIXES = (".html", ".htm")
DAYS = "2026-01-31, 2026-01, 2026, today, yesterday, 7d, 2w, this- or last-week, -month, -year"


@click.command(short_help="The reports as one page that anyone can open.")
@click.option("--since", metavar="DAY", help=f"First day: {DAYS}.  [default: 30d]")
@click.option("--until", metavar="DAY", help="Last day, in the same words.  [default: today]")
@click.option(
    "--timezone", default="UTC", show_default=True, metavar="ZONE", help="Whose days, e.g. Europe/Berlin."
)
@click.option(
    "--top",
    default=10,
    show_default=True,
    type=click.IntRange(1, 1000),
    metavar="N",
    help="How many rows a list has; the rest is summed up.",
)
@click.option(
    "--metadata-key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Show spend by this metadata key; repeatable.  [default: the three with the largest cost]",
)
@click.option("--title", default="Stored completions", show_default=True, help="What the page is called.")
@click.option(
    "--with-content",
    is_flag=True,
    help="Show what the costliest completions answered.  [default: no message content]",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="dashboard.html",
    show_default=True,
    metavar="PATH",
    help="The file to write, .html or .htm.",
)
@warehouse_option
def dashboard(
    warehouse: Path, since: str | None, until: str | None, timezone: str, top: int, keys: tuple[str, ...],
    title: str, with_content: bool, output: Path,
) -> None:  # fmt: skip
    """Write the reports as one HTML page: spend, tokens, metadata, what the costs rest on, and how answers end.

    The page is one file that needs nothing else: no network, no server. Open it in any browser, mail it, print it.
    It has no message content unless --with-content is given; metadata and completion ids it has.

    \b
    Examples:
      stored-completions dashboard
      stored-completions dashboard --since last-month --until last-month --output october.html
      stored-completions dashboard --metadata-key team --metadata-key environment --timezone Europe/Berlin
    """
    import duckdb

    from stored_completions import query
    from stored_completions.dashboard import Scope
    from stored_completions.dashboard import dashboard as make
    from stored_completions.errors import UsageError, WarehouseError
    from stored_completions.reports import asking as reports
    from stored_completions.reports.periods import period

    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--output takes a name that ends in {' or '.join(SUFFIXES)}, not {output.name!r}.")
    now = datetime.now(UTC)
    with query.reading(warehouse) as connection:
        today = reports.today(connection, now, timezone)
        days = period(since if since or until else "30d", until, today)
        scope = Scope(days, timezone, top, tuple(dict.fromkeys(keys)))
        try:
            page = make(connection, scope, title=title, now=now, with_content=with_content)
        except duckdb.CatalogException as error:
            raise WarehouseError(
                "This warehouse was published by another version of stored-completions, sync it once with this one: "
                f"{str(error).splitlines()[0]}"
            ) from None
    with replacing(output) as writing:
        writing.write_text(page, encoding="utf-8")
    click.echo(f"{output.absolute()} ({len(page.encode()) / 1000:,.0f} kB)")
