"""Rows of cells as text: aligned for a terminal, or as Markdown."""

from collections.abc import Sequence

Cells = Sequence[str]


def aligned(header: Cells, rows: Sequence[Cells], words: int) -> str:
    """The first `words` columns to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(row, widths, words, "  ").rstrip() for row in (header, rule, *rows)) + "\n"


def markdown(header: Cells, rows: Sequence[Cells], words: int) -> str:
    marks = [":--" if place < words else "--:" for place in range(len(header))]
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, marks, *rows))


def _line(row: Cells, widths: Sequence[int], words: int, gap: str) -> str:
    cells = zip(row, widths, strict=True)
    return gap.join(
        cell.ljust(width) if place < words else cell.rjust(width) for place, (cell, width) in enumerate(cells)
    )
