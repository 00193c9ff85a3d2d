"""`demo`: the whole job on invented data."""

from pathlib import Path

import click


@click.command(short_help="The whole job with no key: invented data, a sync, a report.")
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
