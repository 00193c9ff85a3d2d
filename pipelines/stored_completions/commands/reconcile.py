"""The command `report reconcile`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from stored_completions.commands.output import FORMATS, kind_of, output_options, write
from stored_completions.commands.reports import DAYS, report


@report.command("reconcile", short_help="The bill beside what is stored, and why they differ.")
@click.option(
    "--by",
    multiple=True,
    metavar="WORDS",
    help="day, week, month, project or model; several with commas.  [default: step by step, in all]",
)
@click.option("--since", metavar="DAY", help=f"First UTC day: {DAYS}.  [default: everything]")
@click.option(
    "--until", metavar="DAY", help="Last UTC day, in the same words.  [default: today, with --since]"
)
@click.option(
    "--top", type=click.IntRange(min=1), metavar="N", help="Only the N largest groups, the rest as (others)."
)
@output_options(FORMATS, "table")
def reconcile(
    warehouse: Path, by: tuple[str, ...], since: str | None, until: str | None, top: int | None,
    kind: str | None, output: Path | None,
) -> None:  # fmt: skip
    """Lead from what the stored completions cost to what the organization is billed, cause by cause.

    The bill is what `sync --billing` read with an admin key; without one coverage is unknown. The steps add up to the
    bill exactly. How each is found stands in the header of marts.reconciliation; what could not be compared, and why,
    stands below the table.

    \b
    not_stored    billed requests without a stored completion, at the bill's unit costs
    cached_share  cached input (cache writes, audio) that the stored rows do not tell
    tier, batch   charged at another tier than the completion names, or in the Batch API
    unpriced      stored, but without a price here: see `report unpriced`
    discount      the price level of the bill against the list
    day_shift     dated another day: adds up to nothing over time
    rest          what none of these explains

    \b
    Examples:
      stored-completions report reconcile --since last-month --until last-month
      stored-completions report reconcile --by project,model --since 30d --format csv
    """
    from stored_completions import query
    from stored_completions.reports import asking
    from stored_completions.reports import formats as report_formats
    from stored_completions.reports import reconcile as reconciliation
    from stored_completions.reports.periods import period

    wanted = reconciliation.words(by)
    written = kind_of(kind, output, "table")
    with query.reading(warehouse) as connection:
        today = asking.today(connection, datetime.now(UTC))
        answer = reconciliation.ask(connection, wanted, period(since, until, today), top)
    if answer.is_empty and written == "csv":
        click.echo(" ".join(answer.notes), err=True)
    write(answer, written, output, report_formats.text)
