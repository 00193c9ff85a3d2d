"""Rows for the eye: a table as wide as the terminal, or records one below the other; and values as text.

Numbers, times and flags never wrap. Text folds, but never to less than `_NARROWEST` columns, and a
header folds at its underscores. Only rows that do not fit even so are written as records.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stored_completions.formats import blob

_NARROWEST = 20
_GAP = 2
_NUMBER = (int, float, Decimal)
_UNBROKEN = (*_NUMBER, date, time, UUID)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class _Column:
    """One column as text; `is_fixed` says that it must not be folded."""

    name: str
    cells: list[Text]
    is_number: bool
    is_fixed: bool

    @property
    def width(self) -> int:
        return max(
            (cell_len(line) for cell in self.cells for line in cell.plain.split("\n")),
            default=0,
        )

    def narrowest(self, name: str) -> int:
        least = self.width if self.is_fixed else min(self.width, _NARROWEST)
        return max(least, *map(cell_len, name.split("\n")))


def draw(
    console: Console, names: Sequence[str], rows: Iterable[Sequence[Any]], *, grouped: bool = False
) -> None:
    """Prints rows for a person; `grouped` writes 1234567 as 1,234,567."""
    listed = [list(row) for row in rows]
    columns = [_column(name, [row[at] for row in listed], grouped) for at, name in enumerate(names)]
    drawn = _table(columns, console)
    with console.capture() as captured:
        console.print(_records(columns) if drawn is None else drawn)
    console.file.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def pairs(console: Console, values: Iterable[tuple[str, str]]) -> None:
    """Prints names and values, one pair a line; a long value is left to the terminal, to be copied whole."""
    listed = list(values)
    width = max((len(name) for name, _ in listed), default=0) + 1
    for name, value in listed:
        line = Text.assemble((f"{name + ':':<{width}}", "bold"), "  ", printable(value))
        console.print(line, soft_wrap=True)


def at_utc(value: datetime) -> str:
    """A time as people read it, e.g. 2026-11-23 18:59:35, with fractions where there are any."""
    return str((value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None))


def printable(said: str) -> str:
    """The text with what could move a cursor or hide other text written as escapes; line feeds stay."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), said)


def text(value: Any) -> str:
    """A value as a person reads it; NULL is not one."""
    if isinstance(value, bytes):
        return blob(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return at_utc(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_nested, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_nested(key)}: {_nested(item)}' for key, item in value.items())}}}"
    return str(value)


def _column(name: str, values: Sequence[Any], grouped: bool) -> _Column:
    known = [value for value in values if value is not None]
    is_number = bool(known) and all(
        isinstance(value, _NUMBER) and not isinstance(value, bool) for value in known
    )
    is_fixed = all(isinstance(value, _UNBROKEN) for value in known)
    places = _places(known) if is_number else None
    cells = [_cell(value, grouped, places) for value in values]
    return _Column(printable(name).replace("\n", " "), cells, is_number, is_fixed)


def _cell(value: Any, grouped: bool, places: int | None) -> Text:
    if value is None:
        return Text("NULL", style="dim")
    if isinstance(value, float):
        return Text(_float(value, grouped, places))
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Text(f"{value:,}" if grouped else f"{value:f}" if isinstance(value, Decimal) else str(value))
    return Text(printable(text(value)))


def _nested(value: Any) -> str:
    return "NULL" if value is None else repr(value) if isinstance(value, str) else text(value)


def _float(value: float, grouped: bool, places: int | None) -> str:
    """Six digits, and never fewer than the integer part has."""
    if not math.isfinite(value) or (value and not 1e-4 <= abs(value) < 1e15):
        return f"{value:.6g}"
    digits = _decimals(value) if places is None else places
    return f"{value:{',' if grouped else ''}.{digits}f}"


def _decimals(value: float) -> int:
    """Decimals left of six digits once closing zeros are gone."""
    most = 5 - math.floor(math.log10(abs(value))) if value else 0
    return len(f"{value:.{max(0, most)}f}".rstrip("0").partition(".")[2])


def _places(values: Iterable[Any]) -> int | None:
    """Decimals that suit a whole column, so that its points stand below each other; None: each its own."""
    floats = [value for value in values if isinstance(value, float) and 1e-4 <= abs(value) < 1e15]
    most = max(map(_decimals, floats), default=0)
    return most if most <= 6 else None


def _table(columns: Sequence[_Column], console: Console) -> Table | None:
    """The first layout that fits; None when none does."""
    room = console.width - _GAP * (len(columns) - 1)
    names = [column.name for column in columns]
    folded = [_folded(column) for column in columns]
    for titles, may_fold in ((names, False), (folded, False), (folded, True)):
        widths = [
            column.narrowest(title) if may_fold else max(column.width, *map(cell_len, title.split("\n")))
            for column, title in zip(columns, titles, strict=True)
        ]
        if sum(widths) <= room:
            return _drawn(columns, titles, with_rule=console.is_terminal)
    return None


def _drawn(columns: Sequence[_Column], titles: Sequence[str], *, with_rule: bool) -> Table:
    box = SIMPLE_HEAD if with_rule else None
    table = Table(box=box, show_edge=False, pad_edge=False, padding=(0, _GAP - with_rule, 0, 0))
    height = max((title.count("\n") for title in titles), default=0)
    for column, title in zip(columns, titles, strict=True):
        header = Text("\n" * (height - title.count("\n")) + title)
        justify = "right" if column.is_number else "left"
        table.add_column(header, justify=justify, no_wrap=column.is_fixed, overflow="fold")  # type: ignore[arg-type]
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table


def _folded(column: _Column) -> str:
    """The column's name broken after underscores, as narrow as its values or its longest word."""
    words = re.findall(r"[^_ ]+[_ ]?|[_ ]", column.name)
    width = max(column.width, *map(cell_len, words)) if words else 0
    lines = [""]
    for word in words:
        if lines[-1] and cell_len(lines[-1] + word) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip(" ") for line in lines)


def _records(columns: Sequence[_Column]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for at, row in enumerate(zip(*(column.cells for column in columns), strict=True)):
        if at:
            grid.add_row()
        for column, cell in zip(columns, row, strict=True):
            grid.add_row(Text(column.name, style="bold"), cell)
    return grid
