"""The commands `report …` and `prices …`: words into a question, an answer into text."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from stored_completions.commands.options import Commands, until_closed
from stored_completions.commands.output import FORMATS, kind_of, output_options, save, write

BY = "day, week, month, model, tier, source, finish-reason, input-user or metadata:KEY"
DAYS = "2026-01-31, 2026-01, 2026, today, yesterday, 7d, 2w, this- or last-week, -month, -year"


@click.group(cls=Commands, short_help="What was used, what it cost, and how sure that is.")
def report() -> None:
    """Say what was used and what it cost, by anything, with what each sum rests on and leaves out.

    Days are whole days of --timezone, and --since and --until are both in the period: --since 2026-01 --until
    2026-01 is January, --since 7d the 7 days that end today. Without --since everything counts; with it, each row
    is compared with the period of equal length before.

    A completion without a known price is in no sum and never counts as 0; * marks sums that leave some out. JSON and
    CSV have every digit of money, JSON as text.
    """


_zone_option = click.option(
    "--timezone", default="UTC", show_default=True, metavar="ZONE", help="Whose days, e.g. Europe/Berlin."
)


def _report_command(name: str, short_help: str, default_by: str, text: str) -> None:
    """One command for each report; they differ in their columns only."""

    @click.option(
        "--by", multiple=True, metavar="WORDS", help=f"{BY}; several with commas.  [default: {default_by}]"
    )
    @click.option("--since", metavar="DAY", help=f"First day: {DAYS}.  [default: everything]")
    @click.option(
        "--until", metavar="DAY", help="Last day, in the same words.  [default: today, with --since]"
    )
    @_zone_option
    @click.option(
        "--top",
        type=click.IntRange(min=1),
        metavar="N",
        help="Only the N largest groups, the rest as (others); with a time, the N largest over all of it.",
    )
    @output_options(FORMATS, "table")
    def command(
        warehouse: Path, by: tuple[str, ...], since: str | None, until: str | None, timezone: str, top: int | None,
        kind: str | None, output: Path | None,
    ) -> None:  # fmt: skip
        from stored_completions import query
        from stored_completions.reports import asking as reports
        from stored_completions.reports import formats as report_formats
        from stored_completions.reports.catalog import DEFINITIONS
        from stored_completions.reports.dimensions import dimensions
        from stored_completions.reports.periods import period

        wanted = dimensions(by)
        written = kind_of(kind, output, "table")
        with query.reading(warehouse) as connection:
            today = reports.today(connection, datetime.now(UTC), timezone)
            question = reports.Question(wanted, period(since, until, today), timezone, top)
            answer = reports.ask(connection, DEFINITIONS[name], question)
        if answer.is_empty and written == "csv":
            click.echo(" ".join(answer.notes), err=True)
        write(answer, written, output, report_formats.text)

    command.__doc__ = text
    report.command(name, short_help=short_help)(command)


_report_command(
    "costs",
    "What it cost.",
    "model",
    """What completions cost, and how much of it is exact, an upper bound, unbounded, backdated or overridden.

    \b
    exact_usd        counted in full, at listed prices
    upper_bound_usd  only totals were stored (usage_basis no_details): it cost this or less
    unbounded_usd    the same, of a model that bills some tokens dearer (no_details_unbounded)
    backdated_usd    at a tier's price reckoned back to before it was listed (tier_backdated)
    override_usd     at prices that an override sets

    The last four can overlap; JSON has them taken apart as "basis".

    \b
    Examples:
      stored-completions report costs --by day,model --since 7d
      stored-completions report costs --by metadata:team --since last-month --until last-month --format csv
      stored-completions report costs --by month --timezone Europe/Berlin
    """,
)
_report_command(
    "tokens",
    "How many tokens, of which kinds.",
    "model",
    """Token counters. A sum leaves out the completions that did not say, and says how many they are.

    \b
    Example:
      stored-completions report tokens --by week,model --since 4w --top 5
    """,
)
_report_command(
    "models",
    "Each model: use, cost, cost of a completion.",
    "model",
    """Each model: completions, tokens, cost, cost of a completion, first and last day.

    --by takes models apart further; the model is always added.
    """,
)
_report_command(
    "finish-reasons",
    "How answers ended.",
    "finish-reason",
    """How answers ended; each answer of a completion counts. The finish reason is always added to --by.

    Refusals are known only where the API sent a refusal field: refusal_known says for how many answers.
    """,
)
_report_command(
    "tools",
    "Which tools are called, and with what arguments.",
    "tool",
    """Tool calls; the tool's name is always added to --by. A legacy function_call counts.

    \b
    invalid_arguments  are not JSON, cut off ones for example
    unfit_arguments    are JSON but do not fit the schema that the request gave for the tool
    judged_arguments   what both are out of: custom tools and tools without a usable schema are not judged
    repeated_calls     the same arguments once more in the same answer

    What the asking completions cost is in marts.tool_usage: one that calls two tools counts at both.

    \b
    Example:
      stored-completions report tools --by week --since 4w
    """,
)
_report_command(
    "confidence",
    "How sure models were of what they wrote.",
    "model",
    """How sure models were, from logprobs; answers without them are left out. Means are over tokens.

    \b
    tokens_outside_top         sent as -9999: not known, left out of all means
    perplexity                 exp(-mean_logprob): 1 is sure, 2 as unsure as a fair coin at each token
    mean_entropy               of the listed alternatives in nats, a lower bound
    mean_unlisted_probability  what those leave out

    \b
    Example:
      stored-completions report confidence --by metadata:feature,model --since 30d
    """,
)
_report_command(
    "unpriced",
    "What the costs leave out, and why.",
    "model,tier",
    """The completions that have no cost, by reason: what every cost report leaves out.

    \b
    Reasons: no_usage, unknown_model, no_token_price, no_created_date, inconsistent_usage, no_price_for_tier,
    no_audio_price; see `stored-completions prices explain MODEL`.
    """,
)


@report.command(short_help="A month's spending against a budget; exit 3 when over.")
@click.option(
    "--monthly",
    multiple=True,
    required=True,
    metavar="USD|NAME=USD",
    help="Budget of the whole month, e.g. 500, or of one value of --by, e.g. search=200; repeat it for several.",
)
@click.option(
    "--by",
    metavar="WORD",
    help="Also show the parts: metadata:team, model, tier, source ...  [default: none]",
)
@click.option(
    "--warn",
    default=0.8,
    show_default=True,
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Status warn from this share of the budget on.",
)
@click.option(
    "--on",
    type=click.Choice(["spent", "projected"]),
    default="spent",
    show_default=True,
    help="What must not exceed the budget: what is spent, or what the month comes to at this rate.",
)
@click.option(
    "--month", metavar="MONTH", help="The month, e.g. 2026-01 or last-month.  [default: this month]"
)
@_zone_option
@output_options(("line", *FORMATS), "table, and without --by one line into a pipe")
def budget(
    warehouse: Path, monthly: tuple[str, ...], by: str | None, warn: float, on: str, month: str | None,
    timezone: str, kind: str | None, output: Path | None,
) -> None:  # fmt: skip
    """Compare a month's spending with a budget. Made for a scheduler: exit 3 when it is over.

    Over means spent (or, with --on projected, projected) is more than a budget, the whole or a part's. A budget of
    completions none of which has a price is unknown, and exits 3 too; so is one of a name without completions in the
    month, and of a month that the warehouse has nothing of. Below that, the status is warn from --warn on
    or where the projection exceeds the budget, else ok, and the exit code 0.

    The projection is a run rate: what was spent until the last sync, times the length of the month over the part
    that had passed. It knows no weekdays, so early in a month it is rough, and on the first day there is none.

    \b
    Examples:
      stored-completions report budget --monthly 500
      stored-completions report budget --monthly 500 --monthly search=200 --by metadata:team --on projected
    """
    from stored_completions import query
    from stored_completions.errors import UsageError
    from stored_completions.reports import asking as reports
    from stored_completions.reports import budget as budgets
    from stored_completions.reports import formats as report_formats
    from stored_completions.reports.dimensions import dimensions
    from stored_completions.reports.periods import span

    whole, parts = budgets.amounts(monthly)
    taken_apart = dimensions([by]) if by else (None,)
    if len(taken_apart) > 1 or (taken_apart[0] and taken_apart[0].is_time):
        raise UsageError("report budget takes one --by, and none of day, week and month.")
    own = budgets.Budget(whole, parts, taken_apart[0], budgets.share(warn), on, timezone)
    now = datetime.now(UTC)
    written = kind_of(kind, output, "table" if by or sys.stdout.isatty() else "line")
    with query.reading(warehouse) as connection:
        day = span("--month", month or "this-month", reports.today(connection, now, timezone))[0]
        answer = budgets.ask(connection, own, day, now, _last_noted(warehouse))
    with until_closed():
        if written == "line":
            save(f"{budgets.line(answer)}\n", output)
        else:
            write(answer, written, output, report_formats.text)
    if not budgets.is_met(answer):
        sys.exit(3)


def _last_noted(warehouse: Path) -> datetime | None:
    """When the last sync began that ended well; one that found nothing new is only noted beside the warehouse."""
    from stored_completions import journal
    from stored_completions.run_report import TO_THE_END
    from stored_completions.warehouse import Files

    notes = journal.read(Files(warehouse.absolute()))
    runs = [*notes.runs, *([notes.last] if notes.last else [])]
    begun = [run["started_at"] for run in runs if run["outcome"] in TO_THE_END]
    return max(map(datetime.fromisoformat, begun), default=None)
