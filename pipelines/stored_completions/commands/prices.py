"""The commands `prices …`: which prices there are, why a model costs what it costs, what new ones would change."""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stored_completions.commands.options import Command, Commands, say, warehouse_option
from stored_completions.wording import counted

if TYPE_CHECKING:
    from stored_completions.prices.overrides import Overrides
    from stored_completions.prices.rows import PriceRow, PriceSet


@click.group(cls=Commands, short_help="The prices that costs are reckoned with.")
def prices() -> None:
    """Say which prices costs are reckoned with, and where each comes from.

    They come with the warehouse, which a sync renews them in: your price file before the built-in corrections
    before genai-prices, dated, by tier and by size of the request. Without a warehouse, the installed ones are meant.
    """


_format_option = click.option(
    "--format", "kind", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)


def _prices_option(text: str) -> Callable[[Command], Command]:
    return click.option(
        "--prices",
        "file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="PATH",
        help=text,
    )


def _at_option(command: Command) -> Command:
    return click.option(
        "--at", metavar="DAY", help="Prices of this UTC day, e.g. 2026-01-20.  [default: today]"
    )(command)


@prices.command("list", short_help="The prices in force on a day, or all of them.")
@click.option(
    "--model", metavar="MODEL", help="Only those that this model's name stands for.  [default: all]"
)
@_at_option
@click.option("--history", is_flag=True, help="Those of every day, not only of --at.")
@_format_option
@warehouse_option
def list_prices(warehouse: Path, model: str | None, at: str | None, history: bool, kind: str) -> None:
    """List prices in US dollars per million tokens (per_request: per request).

    A rate that is not shown is not known, or the same as that of plain input or output. `prices explain`, JSON and
    CSV name the source of each row.

    \b
    Example:
      stored-completions prices list --model gpt-5-2025-08-07 --history
    """
    from stored_completions.errors import UsageError
    from stored_completions.prices.sets import matched
    from stored_completions.prices.texts import listed

    day = _day(at)
    known = _price_set(warehouse)
    rows: Sequence[PriceRow] = known.prices
    if model is not None:
        rule = matched(known.rules, model)
        if rule is None:
            raise UsageError(
                f"No rule fits the model {model!r}: its completions have no cost (unknown_model)."
            )
        rows = [row for row in rows if row.price_model_id == rule.price_model_id]
    if not history:
        rows = [
            row
            for row in rows
            if (row.valid_from or date.min) <= day and (row.valid_to is None or day < row.valid_to)
        ]
    _print(list(map(listed, rows)), kind)
    if not rows:
        say(f"No prices {'of ' + model if model else 'at all'} on {day}; --history has those of other days.")


@prices.command(short_help="Why a model costs what it costs.")
@click.argument("model")
@click.option(
    "--tier", default="default", show_default=True, metavar="TIER", help="The service tier, or batch."
)
@_at_option
@click.option(
    "--input-tokens",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="Size of the request: some models cost more above a threshold.",
)
@click.option("--format", "kind", type=click.Choice(["table", "json"]), default="table", show_default=True)
@warehouse_option
def explain(warehouse: Path, model: str, tier: str, at: str | None, input_tokens: int, kind: str) -> None:
    """Say which rule a model's name fits, which price row that leads to, what it rests on, and who says so.

    \b
    Example:
      stored-completions prices explain gpt-5-2025-08-07 --tier flex --at 2026-01-20
    """
    from rich.console import Console

    from stored_completions.prices.sets import explain as look
    from stored_completions.prices.texts import as_object, hint, sentences
    from stored_completions.tabular import pairs

    known = _price_set(warehouse)
    found = look(known, model, tier, _day(at), input_tokens)
    if kind == "json":
        _print_json(as_object(found))
    else:
        pairs(Console(highlight=False), sentences(found))
    if said := hint(found, known):
        say(said)


@prices.command(short_help="What new prices would change in past totals.")
@_prices_option("A price file to try.  [default: the one that a sync in this folder would take]")
@_format_option
@warehouse_option
def diff(warehouse: Path, file: Path | None, kind: str) -> None:
    """Say what the installed price data would change in the totals of this warehouse, before a sync does so.

    Every completion is priced twice, which takes a while on millions. Nothing is written.
    """
    from stored_completions import query
    from stored_completions.money import dollars
    from stored_completions.prices.changes import diff as compare
    from stored_completions.prices.library import library_version
    from stored_completions.prices.sets import price_set
    from stored_completions.warehouse import Files, open_published

    with query.reading(warehouse) as connection:
        loaded = connection.execute(
            "select genai_prices_version, loaded_at, overrides from chat.price_sets order by loaded_at desc limit 1"
        ).fetchone()
    overrides = _overrides(file)
    if loaded and loaded[2] and overrides.text is None:
        say(
            "This warehouse has the prices of a price file, and here none is set: a sync without --prices drops them."
        )
    new = price_set(overrides)
    with open_published(Files(warehouse.absolute())) as connection:
        changes = compare(connection, new)
    _print(
        [
            {
                "model": change.model,
                "completions": change.completions,
                "old_usd": change.old_usd,
                "new_usd": change.new_usd,
                "difference_usd": change.difference_usd,
                "old_unpriced": change.old_unpriced,
                "new_unpriced": change.new_unpriced,
            }
            for change in changes
        ],
        kind,
    )
    now = f"genai-prices {loaded[0]}, loaded {loaded[1]:%Y-%m-%d}" if loaded else "no prices"
    total = sum((change.difference_usd for change in changes), Decimal(0))
    what = (
        f"{counted(len(changes), 'model')} would change, by {'-' if total < 0 else '+'}{dollars(abs(total))} in all"
        if changes
        else "No total would change"
    )
    say(
        f"{what}: from {now}, to genai-prices {library_version()}. Nothing was written; the next sync uses the new ones."
    )


@prices.command(short_help="A price file to begin with.")
def example() -> None:
    """Print a price file that shows everything one can say in it.

    \b
    Examples:
      stored-completions prices example > prices.toml
      stored-completions prices diff --prices prices.toml
      stored-completions sync --prices prices.toml
    """
    from stored_completions.prices.overrides import EXAMPLE

    click.echo(EXAMPLE.read_text(encoding="utf-8"), nl=False)


def _overrides(file: Path | None) -> "Overrides":
    """The price file that a sync with this flag would take."""
    from stored_completions.configuration import Configuration
    from stored_completions.prices import overrides as price_overrides

    found = Configuration({"prices": file}, os.environ, Path.cwd()).text("prices")
    return price_overrides.read(Path(found).expanduser()) if found else price_overrides.NONE


def _price_set(warehouse: Path) -> "PriceSet":
    """The prices that the warehouse is reported with, or the installed ones where there is no warehouse."""
    from stored_completions import query
    from stored_completions.prices import sets as all_prices

    if not warehouse.exists():
        say(f"There is no warehouse at {warehouse}: these are the installed prices.")
        return all_prices.price_set()
    with query.reading(warehouse) as connection:
        return all_prices.stored(connection)


def _day(word: str | None) -> date:
    from stored_completions.reports.periods import span

    today = datetime.now(UTC).date()
    return span("--at", word, today)[0] if word else today


def _print(rows: Sequence[dict[str, Any]], kind: str) -> None:
    if kind == "json":
        _print_json(rows)
        return
    from rich.console import Console

    from stored_completions.formats import csv_lines
    from stored_completions.tabular import draw

    if not rows:
        return
    names = list(rows[0])
    if kind == "csv":
        listed = ([None if value is None else _text(value) for value in row.values()] for row in rows)
        sys.stdout.writelines(f"{line}\n" for line in csv_lines(names, listed))
        return
    telling = [name for name in names if name != "source" and any(row[name] is not None for row in rows)]
    draw(Console(highlight=False), telling, [[row[name] for name in telling] for row in rows])


def _print_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=_text))


def _text(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
