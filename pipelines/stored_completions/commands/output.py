"""Where the answer of a report goes: in which format, onto the terminal, into a pipe or a file."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stored_completions.commands.options import Command, warehouse_option

if TYPE_CHECKING:
    from stored_completions.reports.asking import Answer

FORMATS = ("table", "json", "csv", "markdown")


def output_options(formats: tuple[str, ...], default: str) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        command = warehouse_option(command)
        command = click.option(
            "--output",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="PATH",
            help="Write to this file; its suffix names the format: .json, .csv, .md or .txt.",
        )(command)
        return click.option(
            "--format",
            "kind",
            type=click.Choice([*formats, "md"]),
            callback=_whole_word,
            help=f"How it is written.  [default: {default}]",
        )(command)

    return add


def _whole_word(_: click.Context, __: click.Parameter, kind: str | None) -> str | None:
    return "markdown" if kind == "md" else kind


def kind_of(kind: str | None, output: Path | None, default: str) -> str:
    """The format asked for, else the default; of a file that of its suffix, with which no other agrees."""
    from stored_completions.errors import UsageError
    from stored_completions.reports.formats import SUFFIXES

    if output is None:
        return kind or default
    named = SUFFIXES.get(output.suffix.lower())
    if named is None:
        raise UsageError(f"--output takes a name that ends in {', '.join(SUFFIXES)}, not {output.name!r}.")
    if kind in (None, named) or (kind == "line" and named == "table"):
        return kind or named
    good = " or ".join(suffix for suffix, each in SUFFIXES.items() if each == kind.replace("line", "table"))
    raise UsageError(f"--format {kind} goes into a file that ends in {good}, but {output.name!r} is {named}.")


def write(answer: "Answer", kind: str, output: Path | None, text: Callable[..., str]) -> None:
    if kind == "table" and output is None:
        from rich.console import Console

        from stored_completions.reports.table import draw

        draw(answer, Console(highlight=False))
    else:
        save(text(answer, kind), output)


def save(text: str, output: Path | None) -> None:
    """To stdout, or to a file that is replaced in one step."""
    if output is None:
        click.echo(text, nl=False)
        return
    with replacing(output) as writing:
        writing.write_text(text, encoding="utf-8")
    click.echo(f"written to {output}", err=True)


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A path beside `output` to write to; at the end it replaces `output` in one step, or is removed.

    Raises UsageError when there is no such folder, WarehouseError when the file cannot be written.
    """
    from stored_completions.errors import UsageError, WarehouseError

    folder = output.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder} to write {output.name} to.")
    writing = folder / f".{output.name}.{os.getpid()}"
    try:
        yield writing
        os.replace(writing, output)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise WarehouseError(f"Cannot write {output.name} to {folder}: {why}.") from None
    finally:
        with suppress(OSError):
            writing.unlink()
