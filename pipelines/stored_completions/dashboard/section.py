"""What a section is, and how its rows become a table and a chart: every chart is drawn from its table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Any, Literal
from zoneinfo import ZoneInfo

from stored_completions.dashboard import shown
from stored_completions.dashboard.axis import Axis
from stored_completions.reports.sums import EXACT

Row = Mapping[str, Any]
Kind = Literal["text", "usd", "count", "number", "share", "change", "time", "basis", "reason", "pairs", "id"]

OTHERS = "\0others"  # no name the API can send
_NUMBERS = ("usd", "count", "number", "share", "change")


@dataclass(frozen=True)
class Column:
    """A column of a ranked table; `bar` draws its values as bars under the first column, `is_name` colours a
    model as in the charts."""

    name: str
    label: str
    kind: Kind = "text"
    bar: bool = False
    is_name: bool = False


@dataclass(frozen=True)
class Series:
    """One colour of a chart: a class of page.css, and how it is filled."""

    name: str | None
    label: str
    colour: str
    fill: Literal["solid", "hatched", "crossed"] = "solid"


@dataclass(frozen=True)
class Stack:
    """Bars over time, one on the other: rows of `day`, `series` and `value`, in the order of `series`."""

    unit: Literal["usd", "count"]
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Section:
    """One part of the page. `sql` reads the tables of `facts`; a `stack` makes it a chart over time with its
    table behind a disclosure, `columns` a table that everyone sees.

    `summary` says in a sentence or two what there is to see, from the rows; `empty` is said when there are none.
    """

    id: str
    title: str
    sql: str
    summary: Callable[[list[dict[str, Any]]], str]
    empty: str
    columns: tuple[Column, ...] = ()
    stack: Stack | None = None
    note: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """`value` is the exact figure for machines, `kind` a class of page.css, `bar` a part of the longest bar."""

    text: str
    value: str | None = None
    kind: str = "text"
    bar: float | None = None
    colour: str = ""
    fill: str = "solid"


@dataclass(frozen=True)
class Table:
    caption: str
    headings: list[Cell]
    rows: list[list[Cell]]
    total: list[Cell] | None = None


@dataclass(frozen=True)
class Block:
    """A section as the template takes it; `chart` is what the script takes."""

    id: str
    title: str
    summary: str
    note: str = ""
    table: Table | None = None
    chart: dict[str, Any] | None = None
    legend: tuple[Series, ...] = ()


def ranked(section: Section, rows: Sequence[Row], colours: Mapping[str | None, str], zone: ZoneInfo) -> Table:
    """Rows as they come, with a cell for each column."""
    headings = [Cell(column.label, kind=_class(column.kind)) for column in section.columns]
    columns = [_cells(column, rows, colours, zone) for column in section.columns]
    measured = next((column.name for column in section.columns if column.bar), None)
    if measured:
        columns[0] = [
            replace(cell, bar=bar) for cell, bar in zip(columns[0], _bars(measured, rows), strict=True)
        ]
    return Table(section.title, headings, [list(row) for row in zip(*columns, strict=True)])


def _bars(measured: str, rows: Sequence[Row]) -> list[float]:
    """Each value as a part of the largest."""
    values = [float(row[measured] or 0) for row in rows]
    longest = max(values, default=0)
    return [value / longest if longest > 0 else 0.0 for value in values]


def _cells(
    column: Column, rows: Sequence[Row], colours: Mapping[str | None, str], zone: ZoneInfo
) -> list[Cell]:
    is_number = column.kind in _NUMBERS
    largest = max((abs(row[column.name] or 0) for row in rows), default=0) if is_number else 0
    text = _format(column.kind, largest, zone)

    def cell(row: Row) -> Cell:
        value = row[column.name]
        is_rest = column.name == "name" and row.get("is_rest", False)
        return Cell(
            text=f"{row['names']:,} others" if is_rest else text(value),
            value=shown.exact(value) if is_number and isinstance(value, int | Decimal) else None,
            kind=_class(column.kind),
            colour=("rest" if is_rest else colours.get(value, "rest")) if column.is_name else "",
        )

    return [cell(row) for row in rows]


def _class(kind: Kind) -> str:
    return "number" if kind in _NUMBERS else kind


def _format(kind: Kind, largest: Any, zone: ZoneInfo) -> Callable[[Any], str]:
    formats: dict[str, Callable[[Any], str]] = {
        "usd": lambda value: shown.usd(value, largest),
        "count": shown.count,
        "number": shown.number,
        "share": shown.share,
        "change": shown.change,
        "time": shown.local_time(zone),
        "basis": shown.basis,
        "reason": shown.reason,
        "pairs": shown.pairs,
        "text": shown.text,
        "id": shown.text,
    }
    return formats[kind]


@dataclass(frozen=True)
class Stacked:
    """Values by day and series; what is not there had no completions, None is not known."""

    axis: Axis
    series: tuple[Series, ...]
    values: dict[tuple[date, str | None], Decimal | int | None]

    def total(self, days: Iterable[date], names: Iterable[str | None]) -> Decimal | int | None:
        """The sum of what is known; None where nothing is."""
        chosen = list(names)
        return added(self.values.get((day, name)) for day in days for name in chosen)

    def has(self, days: Iterable[date], names: Iterable[str | None]) -> bool:
        """Whether there was anything, known or not."""
        chosen = list(names)
        return any((day, name) in self.values for day in days for name in chosen)


def stacked(stack: Stack, axis: Axis, rows: Sequence[Row]) -> Stacked:
    """Adds rows up by step of the axis and series; names without a series of their own go to the last one."""
    names = {series.name for series in stack.series}
    rest = stack.series[-1].name
    values: dict[tuple[date, str | None], Any] = {}
    for row in rows:
        key = (axis.step_of(row["day"]), row["series"] if row["series"] in names else rest)
        values[key] = added((values.get(key), row["value"]))
    used = {name for _, name in values}
    return Stacked(axis, tuple(series for series in stack.series if series.name in used), values)


def added(values: Iterable[Decimal | int | None]) -> Decimal | int | None:
    """The exact sum of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return reduce(_sum, known) if known else None


def _sum(one: Decimal | int, other: Decimal | int) -> Decimal | int:
    return (
        one + other
        if isinstance(one, int) and isinstance(other, int)
        else EXACT.add(Decimal(one), Decimal(other))
    )


def over_time(title: str, unit: str, data: Stacked) -> Table:
    """A row per step, a column per series, totals at the edges."""
    names = [series.name for series in data.series]
    total = data.total(data.axis.steps, names) or 0

    def text(value: Any) -> str:
        return shown.usd(value, total) if unit == "usd" else shown.count(value)

    def cell(days: Sequence[date], chosen: Sequence[str | None]) -> Cell:
        value = data.total(days, chosen)
        said = text(value) if data.has(days, chosen) else shown.NOTHING
        return Cell(said, shown.exact(value), kind="number")

    def line(label: str, days: Sequence[date]) -> list[Cell]:
        return [Cell(label), *(cell(days, [name]) for name in names), cell(days, names)]

    headings = [
        Cell(data.axis.heading),
        *(
            Cell(series.label, None, "number", colour=series.colour, fill=series.fill)
            for series in data.series
        ),
        Cell("Total", kind="number"),
    ]
    rows = [line(data.axis.label(step), [step]) for step in data.axis.steps]
    return Table(title, headings, rows, line("Total", data.axis.steps))


def chart(block_id: str, unit: str, data: Stacked) -> dict[str, Any]:
    """What page.js draws. Drawing takes floats: the figures to read are in the table."""
    return {
        "id": block_id,
        "unit": unit,
        "labels": [data.axis.short_label(step) for step in data.axis.steps],
        "titles": [data.axis.label(step) for step in data.axis.steps],
        "series": [
            {
                "label": series.label,
                "colour": series.colour,
                "fill": series.fill,
                "values": [_number(data.values.get((step, series.name))) for step in data.axis.steps],
            }
            for series in data.series
        ],
    }


def _number(value: Decimal | int | None) -> float | None:
    return None if value is None else float(value)
