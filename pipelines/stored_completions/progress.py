"""Progress of a sync on a terminal: pages, rows, rate, newest row. Quiet anywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Watcher(Protocol):
    """Hears how far a sync is; `newest` is the newest `created` in unix seconds."""

    def page(self, pages: int, rows: int, newest: int | None) -> None: ...
    def say(self, sentence: str) -> None: ...


class Quiet:
    """Says nothing about pages; sentences worth knowing go to the console."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console

    def page(self, pages: int, rows: int, newest: int | None) -> None:
        pass

    def say(self, sentence: str) -> None:
        if self._console:
            self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def watching(console: Console) -> Iterator[Watcher]:
    """A live line on a terminal, nothing but sentences elsewhere."""
    if not console.is_terminal:
        yield Quiet(console)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Live(progress, console)


class _Live:
    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._task = progress.add_task("asking for the first page", total=None)

    def page(self, pages: int, rows: int, newest: int | None) -> None:
        elapsed = self._progress.tasks[0].elapsed or 0
        rate = f", {rows / elapsed:,.0f} rows/s" if elapsed > 0.5 else ""
        until = f", up to {datetime.fromtimestamp(newest, UTC):%Y-%m-%d %H:%M:%S} UTC" if newest else ""
        self._progress.update(self._task, description=f"{pages:,} pages, {rows:,} completions{rate}{until}")

    def say(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)
