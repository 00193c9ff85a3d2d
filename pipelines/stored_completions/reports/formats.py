"""An answer as text: the same rows as table, JSON, CSV and Markdown.

Money is exact in JSON (as text, since JSON's readers would make a binary fraction of a number) and in
CSV. It is rounded half-even for people, to places that the text names.
"""

import csv
import io
import json
from decimal import Decimal
from typing import Any

from rich.console import Console

from stored_completions.reports.asking import Answer, Row
from stored_completions.reports.cells import all_rows, cells, label, legend, scope, telling
from stored_completions.reports.sums import EXACT
from stored_completions.reports.table import draw

SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown", ".markdown": "markdown", ".txt": "table"}


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


def _csv(answer: Answer) -> str:
    """`row` says what a line is, so that nobody adds the total to its parts."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["row", *(column.name for column in answer.columns)])
    for row in all_rows(answer):
        labels = [label(row, column) for column in answer.columns[: len(answer.by)]]
        rest = [_plain(row.values[column.name]) for column in answer.columns[len(answer.by) :]]
        writer.writerow([row.kind, *labels, *("" if value is None else value for value in rest)])
    return stream.getvalue()


def _markdown(answer: Answer) -> str:
    if answer.is_empty:
        return f"{_escaped(' '.join(answer.notes))}\n"
    columns = telling(answer)
    texts = [cells(answer, column) for column in columns]
    lines = [f"### {_escaped(answer.title)}, {_escaped(scope(answer))}", ""]
    lines.append(f"| {' | '.join(_escaped(column.name) for column in columns)} |")
    lines.append(f"| {' | '.join('---' if column.is_text else '---:' for column in columns)} |")
    lines += [f"| {' | '.join(map(_escaped, row))} |" for row in zip(*texts, strict=True)]
    return "\n".join([*lines, "", *(f"{_escaped(note)}\n" for note in [*answer.notes, *legend(answer)])])


def _object(row: Row) -> dict[str, Any]:
    return {"row": row.kind} | {name: _plain(value) for name, value in row.values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{EXACT.normalize(value):f}"
    return value if isinstance(value, str | int | float) or value is None else str(value)


def _escaped(value: str) -> str:
    for mark in "\\`*_<>[]|":
        value = value.replace(mark, f"\\{mark}")
    return " ".join(value.split("\n"))
