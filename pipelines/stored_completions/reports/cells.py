"""The cells of an answer as people read them; the same in a table and in Markdown."""

from collections.abc import Sequence
from decimal import Decimal

from stored_completions.money import percent, places, rounded
from stored_completions.reports.asking import NONE, Answer, Row
from stored_completions.reports.catalog import Column
from stored_completions.tabular import printable

_PARTIAL = ("cost_usd", "estimated_cost_usd", "spent_usd", "projected_usd")
_TOTALS = (*_PARTIAL, "usd", "billed_usd")
_UNKNOWN = "—"
_REMAINDER = Decimal("1e-9")  # less than a token of any model costs: what divisions leave


def all_rows(answer: Answer) -> list[Row]:
    return [] if answer.is_empty else [*answer.rows, answer.total]


def scope(answer: Answer) -> str:
    """Which days, whose, and compared with which."""
    previous = answer.question.previous
    compared = f", compared with {previous}" if previous else ""
    return f"{answer.question.period} ({answer.question.timezone}){compared}"


def telling(answer: Answer) -> list[Column]:
    """The columns that say something: a quiet one needs a value that is neither unknown nor 0, nor that of the
    column it stands beside."""
    rows = all_rows(answer)
    return [
        column
        for column in answer.columns
        if not column.quiet or any(_says_something(row, column) for row in rows)
    ]


def cells(answer: Answer, column: Column) -> list[str]:
    """A column's text, the total last."""
    digits = 6 if column.name == "usd_per_completion" else places(_totals(answer))
    return [_cell(row, column, digits) for row in all_rows(answer)]


def label(row: Row, column: Column) -> str:
    value = row.values[column.name]
    if row.kind == "total":
        return "Total" if column.name == next(iter(row.values)) else ""
    return NONE if value is None else str(value)


def legend(answer: Answer, left_out: Sequence[str] = ()) -> list[str]:
    """How the figures are written, and which columns were left out."""
    said = []
    if totals := _totals(answer):
        said.append(
            f"US dollars, rounded half-even to {places(totals)} places; json and csv have every digit."
        )
    if left_out:
        said.append(f"No room for {', '.join(left_out)}: a wider terminal or another --format shows them.")
    return said


def _says_something(row: Row, column: Column) -> bool:
    value = row.values[column.name]
    return bool(value) and (column.beside is None or value != row.values[column.beside])


def _cell(row: Row, column: Column, digits: int) -> str:
    value = row.values[column.name]
    if column.kind == "label":
        return printable(label(row, column)).replace("\n", "\\n")
    if value is None:
        return _UNKNOWN
    if column.kind == "money":
        value = value if abs(value) >= _REMAINDER else Decimal(0)
        mark = "*" if column.name in _PARTIAL and row.values.get("unpriced_completions") else ""
        return f"{rounded(value, digits)}{mark}"
    if column.kind in ("share", "change"):
        return percent(value, signed=column.kind == "change")
    if column.kind == "number":
        return f"{value:.3f}"
    return f"{value:,}" if column.kind == "count" else str(value)


def _totals(answer: Answer) -> list[Decimal | None]:
    return [answer.total.values[column.name] for column in answer.columns if column.name in _TOTALS]
