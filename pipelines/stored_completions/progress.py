"""Progress of a sync on a terminal: pages, rows, rate, newest row. Quiet anywhere else."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Column


class Watcher(Protocol):
    """Hears how far a sync is: pages and rows, `newest` the newest `created` in unix seconds; how many of the
    completions that a full re-list did not show were asked for; and of how many the input messages were read."""

    def page(self, pages: int, rows: int, newest: int | None) -> None: ...
    def asked(self, done: int, ids: int) -> None: ...
    def messages(self, done: int, total: int) -> None: ...
    def say(self, sentence: str) -> None: ...


class Quiet:
    """Says nothing about pages; sentences worth knowing go to the console."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console

    def page(self, pages: int, rows: int, newest: int | None) -> None:
        pass

    def asked(self, done: int, ids: int) -> None:
        pass

    def messages(self, done: int, total: int) -> None:
        pass

    def say(self, sentence: str) -> None:
        if self._console:
            _print(self._console, sentence)


class _Together:
    """What several accounts that are read side by side show on one line."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._read: dict[str, tuple[int, int]] = {}
        self._asked: dict[str, tuple[int, int]] = {}

    def messages(self, source: str, done: int, total: int) -> None:
        self._asked[source] = (done, total)
        so_far = self._asked.values()
        self._watcher.messages(sum(asked[0] for asked in so_far), sum(asked[1] for asked in so_far))

    def page(self, source: str, pages: int, rows: int, newest: int | None) -> None:
        self._read[source] = (pages, rows)
        so_far = self._read.values()
        self._watcher.page(sum(read[0] for read in so_far), sum(read[1] for read in so_far), newest)

    def asked(self, done: int, ids: int) -> None:
        self._watcher.asked(done, ids)

    def say(self, source: str, sentence: str) -> None:
        self._watcher.say(f"{source}: {sentence}")


class _OneOf:
    def __init__(self, together: _Together, source: str) -> None:
        self._together = together
        self._source = source

    def page(self, pages: int, rows: int, newest: int | None) -> None:
        self._together.page(self._source, pages, rows, newest)

    def asked(self, done: int, ids: int) -> None:
        self._together.asked(done, ids)

    def messages(self, done: int, total: int) -> None:
        self._together.messages(self._source, done, total)

    def say(self, sentence: str) -> None:
        self._together.say(self._source, sentence)


def side_by_side(watcher: Watcher, sources: Sequence[str]) -> Sequence[Watcher]:
    """A watcher for each source, whose pages and rows are shown as one."""
    together = _Together(watcher)
    return [watcher] if len(sources) == 1 else [_OneOf(together, source) for source in sources]


@contextmanager
def watching(console: Console | None = None) -> Iterator[Watcher]:
    """A live line on a terminal, nothing but sentences elsewhere; on stderr unless told otherwise."""
    console = console or Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Quiet(console)
        return
    said = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis"))
    with Progress(SpinnerColumn(), said, console=console, transient=True) as progress:
        yield _Live(progress, console)


class _Live:
    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._task = progress.add_task("asking for the first page", total=None)

    def page(self, pages: int, rows: int, newest: int | None) -> None:
        elapsed = self._progress.tasks[0].elapsed or 0
        said = [f"{pages:,} page{'' if pages == 1 else 's'}", f"{rows:,} rows"]
        said += [f"{rows / elapsed:,.0f} rows/s"] if elapsed > 0.5 else []
        said += [f"up to {datetime.fromtimestamp(newest, UTC):%Y-%m-%d %H:%M:%S}"] if newest else []
        self._progress.update(self._task, description=", ".join(said))

    def asked(self, done: int, ids: int) -> None:
        said = f"{done:,} of {ids:,} completions that are not listed asked for by their id"
        self._progress.update(self._task, description=said)

    def messages(self, done: int, total: int) -> None:
        said = f"input messages of {done:,} completions of {total:,}"
        self._progress.update(self._task, description=said)

    def say(self, sentence: str) -> None:
        _print(self._console, sentence)


def _print(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
