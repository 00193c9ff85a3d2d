"""An answer as a table for the terminal: as many columns as it has room for, then its sentences.

Numbers never wrap, labels fold. Laid out here and not by rich, which takes a millisecond a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console
from rich.text import Text

from stored_completions.reports.asking import Answer
from stored_completions.reports.catalog import Column
from stored_completions.reports.cells import cells, legend, scope, telling

_GAP = "  "
_NARROWEST = 12


@dataclass
class _Shown:
    """One column: the lines of its title, its cells, and how wide it is."""

    column: Column
    title: list[str]
    cells: list[str]
    width: int

    @property
    def least(self) -> int:
        """What it cannot do with less than."""
        own = min(self.width, _NARROWEST) if self.column.is_text else self.width
        return max(own, *map(cell_len, self.title))

    def lines(self, cell: str) -> list[str]:
        if not self.column.is_text:
            return [" " * (self.width - cell_len(cell)) + cell]
        parts = [cell] if cell_len(cell) <= self.width else chop_cells(cell, self.width)
        return [set_cell_size(part, self.width) for part in parts or [""]]


def draw(answer: Answer, console: Console) -> None:
    """Prints the table and its sentences, as wide as the console, without blanks at the ends of lines."""
    with console.capture() as captured:
        _draw(answer, console)
    lines = captured.get().removesuffix("\n").split("\n")
    console.file.writelines(f"{line.rstrip()}\n" for line in lines)


def _draw(answer: Answer, console: Console) -> None:
    if answer.is_empty:
        console.print(Text(" ".join(answer.notes)))
        return
    columns, left_out = _fitting([_shown(answer, column) for column in telling(answer)], console.width)
    rows = list(_rows(columns))
    console.print(Text(f"{answer.title}, {scope(answer)}", style="bold"))
    console.print()
    console.print(Text("\n".join(_header(columns)), style="bold"), soft_wrap=True)
    if len(rows) > 1:
        console.print(Text("\n".join(rows[:-1])), soft_wrap=True)
    console.print(Text(rows[-1], style="bold"), soft_wrap=True)
    console.print()
    for note in [*answer.notes, *legend(answer, left_out)]:
        console.print(Text(note))


def _shown(answer: Answer, column: Column) -> _Shown:
    name = column.name.replace("unpriced_completions", "unpriced")
    title = [name] if column.is_text else name.split("_")
    shown = cells(answer, column)
    return _Shown(column, title, shown, max(map(cell_len, [*title, *shown])))


def _fitting(columns: list[_Shown], room: int) -> tuple[list[_Shown], list[str]]:
    """The columns that there is room for, narrowed to it, and the names of the others."""
    kept = list(columns)
    while sum(_wanted(each) for each in kept) + len(_GAP) * (len(kept) - 1) > room:
        optional = [each for each in kept if each.column.rank]
        if not optional:
            break
        kept.remove(max(reversed(optional), key=lambda each: each.column.rank))
    while (over := sum(each.width for each in kept) + len(_GAP) * (len(kept) - 1) - room) > 0:
        widest = max(
            (each for each in kept if each.width > each.least), key=lambda each: each.width, default=None
        )
        if widest is None:
            break
        widest.width = max(widest.least, widest.width - max(1, over // 2))
    return kept, [each.column.name for each in columns if each not in kept]


def _wanted(shown: _Shown) -> int:
    """A label folds before a number goes, but not at once to its narrowest."""
    return max(shown.least, min(shown.width, 2 * _NARROWEST))


def _header(columns: Sequence[_Shown]) -> Iterator[str]:
    height = max(len(each.title) for each in columns)
    titles = [[""] * (height - len(each.title)) + each.title for each in columns]
    yield from _lines(
        columns,
        [[each.lines(part)[0] for part in title] for each, title in zip(columns, titles, strict=True)],
    )


def _rows(columns: Sequence[_Shown]) -> Iterator[str]:
    """Each row, of one or more lines."""
    for row in zip(*(each.cells for each in columns), strict=True):
        folded = [each.lines(cell) for each, cell in zip(columns, row, strict=True)]
        yield "\n".join(_lines(columns, folded))


def _lines(columns: Sequence[_Shown], folded: Sequence[list[str]]) -> Iterator[str]:
    for at in range(max(map(len, folded))):
        parts = [
            part[at] if at < len(part) else " " * each.width
            for each, part in zip(columns, folded, strict=True)
        ]
        yield _GAP.join(parts).rstrip()
