"""A report: a question with its parameters, and rows that add up to the whole as its answer.

    with query.reading(path) as connection:
        answer = ask(connection, COSTS, Question(dimensions(["day,model"]), Period(first, last)))

The rows of an answer are the same whatever format they are written in, see `report_formats`.
"""

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import duckdb

from stored_completions.errors import UsageError, WarehouseError
from stored_completions.reports import notes as report_notes
from stored_completions.reports.catalog import Column, Definition
from stored_completions.reports.dimensions import BY_WORD, REASON, TOOL, Dimension
from stored_completions.reports.gaps import gap
from stored_completions.reports.periods import Period
from stored_completions.reports.sql import UTC, Days, grouped, is_rolled_up
from stored_completions.reports.sums import Sums, Values, amounts, merged, ratio

NONE = "(none)"
OTHERS = "(others)"
MOST_KEYS = 12

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Question:
    """What to take a report apart by, over which days of which time zone; of groups that `top` cuts off
    the rest is summed. `is_compared` asks for the period before, too."""

    by: tuple[Dimension, ...] = ()
    period: Period = field(default_factory=Period)
    timezone: str = UTC
    top: int | None = None
    is_compared: bool = True

    @property
    def previous(self) -> Period | None:
        return self.period.previous if self.is_compared else None


@dataclass(frozen=True)
class Row:
    """`kind` is group, others or total; `values` has every column of the answer, in order."""

    kind: str
    values: Values


@dataclass(frozen=True)
class Answer:
    """Rows, their total, and the sentences that must stand beside them.

    `basis` has completions and cost by price_basis and usage_basis, `unpriced` the completions left out
    by model and unpriced_reason: what the total rests on, whatever the rows are grouped by. `details`
    is what one report says beside its rows.
    """

    report: str
    title: str
    question: Question
    by: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: list[Row]
    total: Row
    basis: list[Values]
    unpriced: list[Values]
    notes: list[str]
    is_empty: bool
    details: dict[str, Any] = field(default_factory=dict)


def today(connection: duckdb.DuckDBPyConnection, now: datetime, timezone: str = UTC) -> date:
    """The day that a time falls on in a time zone; UsageError for a zone that is none."""
    check_timezone(connection, timezone)
    row = connection.execute("select cast(timezone(?, ?) as date)", [timezone, now]).fetchall()[0]
    assert isinstance(row[0], date)
    return row[0]


def ask(connection: duckdb.DuckDBPyConnection, definition: Definition, question: Question) -> Answer:
    """The answer; UsageError for a time zone or a metadata key that is not there."""
    check_timezone(connection, question.timezone)
    by = _by(definition, question)
    for dimension in by:
        if dimension.key is not None:
            check_key(connection, dimension.key)
    cut = gap(connection, question.period, question.previous, question.timezone)
    question = replace(question, is_compared=question.is_compared and cut is None)
    records = _records(connection, definition, question, by)
    now = _Groups(definition, by, (record for record in records if not record["is_previous"]))
    before = _Groups(definition, by, (record for record in records if record["is_previous"]))
    kept = now.largest(question.top)
    names = tuple(dimension.column for dimension in by)

    def row(kind: str, key: Key, sums: Sums, previous: Sums) -> Row:
        labels = dict(zip(names, map(_label, key), strict=True))
        return Row(
            kind, labels | _values(definition, sums, now.total, previous if question.previous else None)
        )

    shown, compared = now.folded(kept), before.folded(kept)
    return Answer(
        report=definition.name,
        title=definition.title,
        question=question,
        by=names,
        columns=(*(Column(name, "label") for name in names), *definition.columns),
        rows=[
            row("others" if _Others in map(type, key) else "group", key, sums, compared.get(key, {}))
            for key, sums in _in_order(definition, by, shown)
        ],
        total=row("total", (None,) * len(by), now.total, before.total),
        basis=report_notes.basis(now.records),
        unpriced=report_notes.unpriced(now.records),
        notes=report_notes.notes(
            connection,
            definition,
            question.period,
            now.records,
            now.total,
            [str(cut)] if cut else report_notes.gone(definition, _gone(shown, compared)),
        ),
        is_empty=not shown,
    )


def check_timezone(connection: duckdb.DuckDBPyConnection, timezone: str) -> None:
    """UsageError unless DuckDB knows a time zone of that name."""
    names = [row[0] for row in connection.execute("select name from pg_timezone_names()").fetchall()]
    if timezone not in names:
        close = difflib.get_close_matches(timezone, names, 1)
        hint = f"did you mean {close[0]}?" if close else "write a name like UTC or Europe/Berlin."
        raise UsageError(f"--timezone is {timezone!r}, which is no time zone: {hint}")


class _Others:
    """In a key, in the place of every value that `top` cuts off."""


_OTHERS = _Others()


class _Groups:
    """The sums of every group of one period, the rows of SQL they came from, and their total."""

    def __init__(self, definition: Definition, by: Sequence[Dimension], records: Iterable[Values]) -> None:
        self._definition = definition
        self._times = [dimension.is_time for dimension in by]
        self.records = list(records)
        self.sums = _merged_by(
            (tuple(record[f"value_{at}"] for at in range(len(by))), amounts(definition.facts, record))
            for record in self.records
        )
        self.total = merged(self.sums.values())

    def largest(self, top: int | None) -> set[Key] | None:
        """The `top` largest combinations of everything but time (of times, if there is nothing else)."""
        if top is None:
            return None
        ranked = _merged_by((self._rank(key), sums) for key, sums in self.sums.items())
        return set(
            sorted(ranked, key=lambda key: (_size(self._definition, ranked[key]), *map(_text, key)))[:top]
        )

    def folded(self, kept: set[Key] | None) -> dict[Key, Values]:
        """The groups, those that are not kept as one: as one a day, week or month where it is by time too."""
        if kept is None:
            return self.sums
        return _merged_by((self._folded(key, kept), sums) for key, sums in self.sums.items())

    def _rank(self, key: Key) -> Key:
        rank = tuple(value for value, is_time in zip(key, self._times, strict=True) if not is_time)
        return rank or key

    def _folded(self, key: Key, kept: set[Key]) -> Key:
        if self._rank(key) in kept:
            return key
        only_time = all(self._times)
        return tuple(
            value if is_time and not only_time else _OTHERS
            for value, is_time in zip(key, self._times, strict=True)
        )


def _by(definition: Definition, question: Question) -> tuple[Dimension, ...]:
    words = {REASON.word: REASON, TOOL.word: TOOL} | BY_WORD
    asked = question.by or tuple(words[word] for word in definition.default_by)
    return tuple(dict.fromkeys((*asked, *(words[word] for word in definition.always_by))))


def check_key(connection: duckdb.DuckDBPyConnection, wanted: str) -> None:
    """UsageError for a metadata key that no completion has, where others are."""
    rows = connection.execute(
        "select key from chat.metadata group by key order by count(*) desc, key"
    ).fetchall()
    keys = [row[0] for row in rows]
    if keys and wanted not in keys:
        close = difflib.get_close_matches(wanted, keys, 1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        more = f" and {len(keys) - MOST_KEYS:,} more" if len(keys) > MOST_KEYS else ""
        shown = ", ".join(map(repr, keys[:MOST_KEYS]))
        raise UsageError(f"No completion has the metadata key {wanted!r}. {hint}There are {shown}{more}.")


def _records(
    connection: duckdb.DuckDBPyConnection, definition: Definition, question: Question, by: Sequence[Dimension]
) -> list[Values]:
    days = Days(question.period, question.timezone, question.previous)
    statement = grouped(definition.facts, by, days, use_rollup=is_rolled_up(connection))
    try:
        result = connection.execute(statement.sql, statement.parameters)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise WarehouseError(
            f"This warehouse was published by another version of stored-completions, sync it once with this one: "
            f"{str(error).splitlines()[0]}"
        ) from None
    names = [column[0] for column in result.description]
    records = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    if definition.only_unpriced:
        return [record for record in records if record["unpriced_reason"] is not None]
    return records


def _merged_by(pairs: Iterable[tuple[Key, Values]]) -> dict[Key, Values]:
    parts = defaultdict(list)
    for key, values in pairs:
        parts[key].append(values)
    return {key: merged(several) for key, several in parts.items()}


def _values(definition: Definition, sums: Sums, total: Sums, previous: Sums | None) -> Values:
    """The columns in order; `previous` is None where there is no period to compare with."""
    main = sums.get(definition.main)
    before = None if previous is None else previous.get(definition.main)
    difference = None if main is None or before is None else main - before
    values = definition.values(sums) | {
        "share": ratio(main, total.get(definition.main)),
        definition.previous: before,
        "change": ratio(difference, before),
    }
    return {column.name: values[column.name] for column in definition.columns}


def _in_order(
    definition: Definition, by: Sequence[Dimension], groups: dict[Key, Values]
) -> list[tuple[Key, Values]]:
    """Times from old to new, everything else from large to small, within what stands before it in `by`."""
    sizes: dict[Key, Any] = {}
    for length in range(1, len(by) + 1):
        prefixes = _merged_by((key[:length], sums) for key, sums in groups.items())
        sizes |= {prefix: _size(definition, sums) for prefix, sums in prefixes.items()}

    def place(key: Key) -> list[Any]:
        return [
            (value is _OTHERS, value is None and dimension.is_time)
            + (() if dimension.is_time else sizes[key[: at + 1]])
            + (_text(value),)
            for at, (dimension, value) in enumerate(zip(by, key, strict=True))
        ]

    return [(key, groups[key]) for key in sorted(groups, key=place)]


def _size(definition: Definition, sums: Sums) -> tuple[bool, Any, Any]:
    """Sorts the largest first and the unknown last."""
    main, counted = sums.get(definition.main), sums.get("completions")
    return main is None, -(main or 0), -(counted or 0)


def _gone(shown: dict[Key, Values], compared: dict[Key, Values]) -> list[Values]:
    """The groups of the previous period that are not in this one."""
    return [sums for key, sums in compared.items() if key not in shown]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _label(value: Any) -> str | None:
    return None if value is None else OTHERS if value is _OTHERS else str(value)
