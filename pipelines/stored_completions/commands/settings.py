"""The commands `settings …`: what a sync is told, and a file to begin with."""

import os
from pathlib import Path

import click

from stored_completions.commands.options import Commands, until_closed


@click.group(cls=Commands, short_help="What a sync is told, and where that stands.")
def settings() -> None:
    """Say what a sync is told, and where that stands.

    Flags beat SOURCES__STORED_COMPLETIONS__... variables, these beat .dlt/secrets.toml, that beats .dlt/config.toml,
    and what the official SDK reads comes last. An empty value is not set.
    """


@settings.command("list", short_help="Every setting, its value, and where it stands.")
@click.option("--source", metavar="NAME", help="Only of this configured source.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="As one JSON list of objects.")
def list_settings(source: str | None, as_json: bool) -> None:
    """List every setting, its value, and the variable or file that says it. Of keys only whether they are set.

    \b
    Example:
      stored-completions settings list
    """
    from stored_completions import effective_settings
    from stored_completions.config import check_is_configured

    if source:
        check_is_configured(source, effective_settings.names(os.environ, Path.cwd()))
    found = effective_settings.rows(os.environ, Path.cwd(), source)
    with until_closed():
        if as_json:
            import json

            click.echo(json.dumps(found, indent=1, ensure_ascii=False, default=str))
            return
        from rich.console import Console

        from stored_completions.tabular import draw

        shown = [["not set" if value is None else value for value in row.values()] for row in found]
        draw(Console(highlight=False), list(found[0]), shown)


@settings.command(short_help="A file of settings to begin with.")
def example() -> None:
    """Print a .dlt/config.toml that names every setting with its default.

    \b
    Example:
      mkdir .dlt && stored-completions settings example > .dlt/config.toml
    """
    from stored_completions.effective_settings import EXAMPLE

    click.echo(EXAMPLE.read_text(encoding="utf-8"), nl=False)
