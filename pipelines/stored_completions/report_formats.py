"""An answer as text: the same rows as table, JSON, CSV and Markdown.

Money is exact in JSON (as text, since JSON's readers would make a binary fraction of a number) and in
CSV. It is rounded half-even for people, to places that the text names.
"""

import csv
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stored_completions.money import percent, places, rounded
from stored_completions.report_sums import EXACT, Column
from stored_completions.reports import NONE, Answer, Row
from stored_completions.tabular import printable

FORMATS = ("table", "json", "csv", "markdown")
SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown", ".txt": "table"}

_PARTIAL = ("cost_usd", "spent_usd", "projected_usd")
_UNKNOWN = "—"
_NARROWEST = 12
_GAP = 2


def text(answer: Answer, kind: str, width: int = 80) -> str:
    """The whole answer, ending in a line feed; `width` is of a table only."""
    if kind == "json":
        return json.dumps(as_json(answer), indent=1, ensure_ascii=False) + "\n"
    if kind == "csv":
        return _csv(answer)
    if kind == "markdown":
        return _markdown(answer)
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    draw(answer, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def as_json(answer: Answer) -> dict[str, Any]:
    period, previous = answer.question.period, answer.question.previous
    return {
        "report": answer.report,
        "by": list(answer.by),
        **answer.details,
        "timezone": answer.question.timezone,
        "since": _plain(period.first),
        "until": _plain(period.last),
        "previous": {"since": _plain(previous.first), "until": _plain(previous.last)} if previous else None,
        "rows": [_object(row) for row in answer.rows],
        "total": _object(answer.total),
        "basis": [{name: _plain(value) for name, value in each.items()} for each in answer.basis],
        "unpriced": [{name: _plain(value) for name, value in each.items()} for each in answer.unpriced],
        "notes": answer.notes,
    }


def draw(answer: Answer, console: Console) -> None:
    """Prints the table and its sentences, as wide as the console."""
    say = console.print
    if answer.is_empty:
        say(Text(" ".join(answer.notes)))
        return
    columns, left_out = _fitting(answer, console.width)
    heading = Text(f"{answer.title}, {_scope(answer)}", style="bold")
    say(heading)
    say()
    say(_table(answer, columns))
    say()
    for note in [*answer.notes, *_legend(answer, left_out)]:
        say(Text(note))


def _csv(answer: Answer) -> str:
    """`row` says what a line is, so that nobody adds the total to its parts."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["row", *(column.name for column in answer.columns)])
    for row in _all_rows(answer):
        labels = [_label(row, column) for column in answer.columns[: len(answer.by)]]
        rest = [_plain(row.values[column.name]) for column in answer.columns[len(answer.by) :]]
        writer.writerow([row.kind, *labels, *("" if value is None else value for value in rest)])
    return stream.getvalue()


def _markdown(answer: Answer) -> str:
    if answer.is_empty:
        return f"{_escaped(' '.join(answer.notes))}\n"
    columns = _telling(answer)
    cells = _cells(answer, columns)
    lines = [f"### {_escaped(answer.title)}, {_escaped(_scope(answer))}", ""]
    lines.append(f"| {' | '.join(_escaped(column.name) for column in columns)} |")
    lines.append(f"| {' | '.join('---' if column.is_text else '---:' for column in columns)} |")
    lines += [f"| {' | '.join(map(_escaped, row))} |" for row in zip(*cells, strict=True)]
    return "\n".join([*lines, "", *(f"{_escaped(note)}\n" for note in [*answer.notes, *_legend(answer, [])])])


def _object(row: Row) -> dict[str, Any]:
    return {"row": row.kind} | {name: _plain(value) for name, value in row.values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{EXACT.normalize(value):f}"
    return value if isinstance(value, str | int | float) or value is None else str(value)


def _all_rows(answer: Answer) -> list[Row]:
    return [] if answer.is_empty else [*answer.rows, answer.total]


def _scope(answer: Answer) -> str:
    previous = answer.question.previous
    compared = f", compared with {previous}" if previous else ""
    return f"{answer.question.period} ({answer.question.timezone}){compared}"


def _telling(answer: Answer) -> list[Column]:
    """The columns that say something: a quiet one needs a value that is neither unknown nor 0."""
    rows = _all_rows(answer)
    return [
        column
        for column in answer.columns
        if not column.quiet or any(row.values[column.name] for row in rows)
    ]


def _fitting(answer: Answer, width: int) -> tuple[list[Column], list[str]]:
    """The columns that a width has room for, and the names of those it has not."""
    columns, left_out = _telling(answer), []
    while _least_width(answer, columns) > width:
        optional = [column for column in columns if column.rank]
        if not optional:
            break
        last = max(reversed(optional), key=lambda column: column.rank)
        columns.remove(last)
        left_out.append(last.name)
    return columns, [column.name for column in answer.columns if column.name in left_out]


def _least_width(answer: Answer, columns: Sequence[Column]) -> int:
    widths = []
    for column, cells in zip(columns, _cells(answer, columns), strict=True):
        widest = max(map(len, cells))
        least = min(widest, _NARROWEST if column.name.startswith("metadata:") or len(answer.by) > 2 else 24)
        widths.append(max(least if column.is_text else widest, *map(len, _title(column).split("\n"))))
    return sum(widths) + _GAP * (len(widths) - 1)


def _table(answer: Answer, columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    height = max(_title(column).count("\n") for column in columns)
    for column in columns:
        is_label = column.is_text
        table.add_column(
            Text("\n" * (height - _title(column).count("\n")) + _title(column)),
            justify="left" if is_label else "right",
            no_wrap=not is_label,
            overflow="fold",
        )
    rows = list(zip(*_cells(answer, columns), strict=True))
    for row in rows[:-1]:
        table.add_row(*map(Text, row))
    table.add_section()
    table.add_row(*map(Text, rows[-1]), style="bold")
    return table


def _title(column: Column) -> str:
    """A column's name on as many lines as it has words, so that it is no wider than its numbers."""
    name = column.name.replace("unpriced_completions", "unpriced")
    return name if column.is_text else name.replace("_", "\n")


def _cells(answer: Answer, columns: Sequence[Column]) -> list[list[str]]:
    """The text of every cell, column by column."""
    return [[_cell(answer, row, column) for row in _all_rows(answer)] for column in columns]


def _cell(answer: Answer, row: Row, column: Column) -> str:
    value = row.values[column.name]
    if column.kind == "label":
        return printable(_label(row, column))
    if value is None:
        return _UNKNOWN
    if column.kind == "money":
        mark = "*" if column.name in _PARTIAL and row.values.get("unpriced_completions") else ""
        return f"{rounded(value, _places(answer, column))}{mark}"
    if column.kind in ("share", "change"):
        return percent(value, signed=column.kind == "change")
    return f"{value:,}" if column.kind == "count" else str(value)


def _label(row: Row, column: Column) -> str:
    value = row.values[column.name]
    if row.kind == "total":
        return "Total" if column.name == next(iter(row.values)) else ""
    return NONE if value is None else str(value)


def _places(answer: Answer, column: Column) -> int:
    return 6 if column.name == "usd_per_completion" else places(_totals(answer))


def _totals(answer: Answer) -> list[Decimal | None]:
    return [answer.total.values[column.name] for column in answer.columns if column.name in _PARTIAL]


def _legend(answer: Answer, left_out: Sequence[str]) -> list[str]:
    said = []
    if totals := _totals(answer):
        digits = places(totals)
        said.append(f"US dollars, rounded half-even to {digits} places; json and csv have every digit.")
    if left_out:
        said.append(f"No room for {', '.join(left_out)}: a wider terminal or another --format shows them.")
    return said


def _escaped(value: str) -> str:
    for mark in "\\`*_<>[]|":
        value = value.replace(mark, f"\\{mark}")
    return " ".join(value.split("\n"))
