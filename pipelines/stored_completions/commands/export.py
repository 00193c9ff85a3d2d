"""`export`: which completions become examples, in which format, and what was left out."""

import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from stored_completions.commands.options import warehouse_option
from stored_completions.commands.output import replacing

_FEWEST = 10  # that OpenAI fine-tunes with


@click.command(short_help="Examples for fine-tuning or evaluation, as JSONL.")
@click.argument("kind", type=click.Choice(["fine-tuning", "evals"]))
@click.option("--model", metavar="MODEL", help="Only answers of this model.  [default: all]")
@click.option(
    "--metadata", multiple=True, metavar="KEY=VALUE", help="Only with this pair; repeatable.  [default: all]"
)
@click.option(
    "--finish-reason",
    multiple=True,
    metavar="WORD",
    help="Only answers that ended so; repeatable.  [default: stop, tool_calls, function_call]",
)
@click.option(
    "--max-perplexity",
    type=click.FloatRange(min=1),
    metavar="NUMBER",
    help="Only answers the model was at least so sure of; 1 is sure.  [default: all, with or without logprobs]",
)
@click.option("--since", metavar="DAY", help="First UTC day, as for reports.  [default: everything]")
@click.option("--until", metavar="DAY", help="Last UTC day.  [default: today, with --since]")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Write to this file.  [default: stdout]",
)
@warehouse_option
def export(
    warehouse: Path, kind: str, model: str | None, metadata: tuple[str, ...], finish_reason: tuple[str, ...],
    max_perplexity: float | None, since: str | None, until: str | None, output: Path | None,
) -> None:  # fmt: skip
    """Write completions as examples, one JSON object a line: input messages and the answer.

    fine-tuning gives OpenAI's chat format: {"messages": [...], "tools": [...]}, the answer last. evals gives
    {"item": {...}}: messages, answer, tool_calls, completion_id, choice_index, model, metadata.

    The input must be in the warehouse: `stored-completions sync --messages`. Answers without it, completions that are
    deleted, and what was stored without its content are left out; stderr says how many, and why.

    \b
    Examples:
      stored-completions export fine-tuning --metadata feature=ticket-triage --output triage.jsonl
      stored-completions export evals --model gpt-4o-2024-08-06 --since 30d > items.jsonl
      stored-completions export fine-tuning --max-perplexity 1.2 --finish-reason stop --output sure.jsonl
    """
    from stored_completions import query
    from stored_completions.examples import ENDED_WELL, Wanted, check, lines
    from stored_completions.reports.asking import today
    from stored_completions.reports.periods import period
    from stored_completions.values import pairs

    left_out: Counter[str] = Counter()
    with query.reading(warehouse) as connection:
        days = period(since, until, today(connection, datetime.now(UTC)))
        wanted = Wanted(model, pairs(metadata), finish_reason or ENDED_WELL, days, max_perplexity)
        check(connection, wanted)
        written = _written(lines(connection, kind, wanted, left_out), output)
    given = (("--model", model), ("--metadata", metadata), ("--finish-reason", finish_reason),
             ("--max-perplexity", max_perplexity), ("--since", since), ("--until", until))  # fmt: skip
    filters = [name for name, value in given if value]
    for sentence in _sentences(kind, written, output, left_out, filters):
        click.echo(sentence, err=True)


def _written(examples: Iterable[bytes], output: Path | None) -> int:
    """Writes them, to a file whole or not at all; how many there were."""
    if output is None:
        return _copied(examples, sys.stdout.buffer)
    with replacing(output) as writing, writing.open("wb") as file:
        return _copied(examples, file)


def _copied(examples: Iterable[bytes], file: BinaryIO) -> int:
    number = 0
    for example in examples:
        file.write(example + b"\n")
        number += 1
    file.flush()
    return number


def _sentences(
    kind: str, written: int, output: Path | None, left_out: Counter[str], filters: list[str]
) -> list[str]:
    from stored_completions.examples import NO_MESSAGES

    where = f" written to {output}" if output else ""
    said = [f"{written:,} example{'' if written == 1 else 's'}{where}."]
    if filters and not written and not left_out:
        together = " together" if len(filters) > 1 else ""
        said.append(f"No answer matches {' and '.join(filters)}{together}.")
    if left_out:
        parts = [f"{count:,} {why}" for why, count in left_out.most_common()]
        said.append(f"Answers left out: {', '.join(parts)}.")
    if left_out[NO_MESSAGES]:
        said.append("Input messages are read by `stored-completions sync --messages`.")
    if kind == "fine-tuning" and 0 < written < _FEWEST:
        said.append(f"OpenAI fine-tunes with {_FEWEST} examples at least.")
    return said
