"""The bill beside what is stored, as an answer: from the cost of the stored completions, cause by cause, to the bill.

Its rows add up to the whole bill in every format: without `by` they are the steps, with it each group has
the steps as columns. Days are UTC, as the bill's are.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from stored_completions.errors import UsageError, WarehouseError
from stored_completions.reports.asking import OTHERS, Answer, Question, Row
from stored_completions.reports.catalog import Column
from stored_completions.reports.periods import Period
from stored_completions.reports.reconcile_notes import BY_COMPARISON, UNKNOWN, details, notes
from stored_completions.reports.sums import Values, merged, ratio

NAME = "reconcile"
TITLE = "From the stored completions to the bill"
CAUSES = {
    "unpriced_usd": "stored, but without a price here",
    "tier_usd": "at another tier than the completion names",
    "batch_usd": "in the Batch API",
    "cached_share_usd": "cached input that completions do not tell",
    "discount_usd": "discount or multiplier",
    "not_stored_usd": "requests that are not stored",
    "day_shift_usd": "dated another day",
    "rest_usd": "unexplained rest",
}
STORED = "stored completions, at their cost here"
ACCEPTED = "day, week, month, project or model"

_SUMS = (
    "billed_requests",
    "stored_completions",
    "stored_usd",
    *CAUSES,
    "compared_usd",
    "list_usd",
    "not_compared_usd",
    "billed_usd",
)
_COLUMNS = (
    Column("billed_requests", "count", 4),
    Column("stored_completions", "count", 5),
    Column("coverage", "share", 1),
    Column("stored_usd", "money"),
    *(Column(name, "money", 2 if name == "not_stored_usd" else 3, quiet=True) for name in CAUSES),
    Column("not_compared_usd", "money", 3, quiet=True),
    Column("billed_usd", "money"),
    Column("price_level", "share", 2, quiet=True),
)
_STEP = (Column("step", "label"), Column("usd", "money"))
_ROWS = """
select {words}
    comparison,
    cast(sum(billed_requests) as hugeint) as billed_requests,
    cast(sum(stored_completions) as hugeint) as stored_completions,
    sum(case when is_compared then stored_usd else 0 end) as stored_usd,
    sum(case when is_compared then billed_usd else 0 end) as compared_usd,
    sum(case when is_compared then billed_list_usd end) as list_usd,
    sum(case when is_compared then 0 else billed_usd end) as not_compared_usd,
    sum(billed_usd) as billed_usd,
    {causes}
from (
    select *, comparison = 'compared' as is_compared from marts.reconciliation
    where usage_date >= coalesce(cast($first as date), usage_date)
    and usage_date <= coalesce(cast($last as date), usage_date)
)
group by all
"""


@dataclass(frozen=True)
class Word:
    """One word of `--by`, and what it is in marts.reconciliation."""

    name: str
    expression: str
    is_time: bool = False


WORDS = {
    word.name: word
    for word in (
        Word("day", "cast(usage_date as varchar)", is_time=True),
        Word("week", "cast(cast(date_trunc('week', usage_date) as date) as varchar)", is_time=True),
        Word("month", "strftime(usage_date, '%Y-%m')", is_time=True),
        Word("project", f"coalesce(project_id, '{UNKNOWN}')"),
        Word("model", "model"),
    )
}


def words(texts: Iterable[str]) -> tuple[Word, ...]:
    """Words of `--by`, each of which may be several with commas between."""
    named = [part.strip().lower() for text in texts for part in text.split(",")]
    return tuple(dict.fromkeys(_word(name) for name in named))


def ask(
    connection: duckdb.DuckDBPyConnection, by: Sequence[Word], period: Period, top: int | None = None
) -> Answer:
    """The answer; an empty one, which says so, where no bill was read."""
    try:
        records = _records(connection, by, period)
    except (duckdb.CatalogException, duckdb.BinderException):
        raise WarehouseError(
            "This warehouse was published by another version of stored-completions: sync it once with this one."
        ) from None
    total = merged(records)
    names = tuple(word.name for word in by)
    rows = _groups(records, by, top) if by else _steps(records)
    labels = tuple(Column(name, "label") for name in names)
    return Answer(
        report=NAME,
        title=TITLE,
        question=Question((), period, is_compared=False),
        by=names or ("step",),
        columns=(*labels, *_COLUMNS) if by else _STEP,
        rows=rows,
        total=_total(total, names),
        basis=[],
        unpriced=[],
        notes=notes(connection, records, period),
        is_empty=not records,
        details=details(connection, records, total),
    )


def _word(name: str) -> Word:
    if name in WORDS:
        return WORDS[name]
    close = difflib.get_close_matches(name, WORDS, 1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise UsageError(f"--by takes {ACCEPTED} here, not {name!r}.{hint}")


def _records(connection: duckdb.DuckDBPyConnection, by: Sequence[Word], period: Period) -> list[Values]:
    """One for each group and comparison."""
    named = "".join(f"{word.expression} as value_{at}, " for at, word in enumerate(by))
    causes = ", ".join(f"sum({name}) as {name}" for name in CAUSES)
    result = connection.execute(
        _ROWS.format(words=named, causes=causes), {"first": period.first, "last": period.last}
    )
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _steps(records: Sequence[Values]) -> list[Row]:
    """The stored cost, each cause, and what of the bill could not be compared: together the bill."""
    if not records:
        return []
    total = merged([{name: record[name] for name in (*CAUSES, "stored_usd")} for record in records])
    steps = [(STORED, total.get("stored_usd")), *((said, total.get(name)) for name, said in CAUSES.items())]
    for comparison, said in BY_COMPARISON.items():
        left_out = sum(
            (each["billed_usd"] for each in records if each["comparison"] == comparison), Decimal(0)
        )
        steps += [(f"not compared: {said}", left_out)] if left_out else []
    return [Row("group", {"step": said, "usd": amount or Decimal(0)}) for said, amount in steps]


def _groups(records: Sequence[Values], by: Sequence[Word], top: int | None) -> list[Row]:
    """Times from old to new, everything else from the largest bill to the smallest."""
    groups = _merged_by(records, lambda record: tuple(record[f"value_{at}"] for at in range(len(by))))
    if top is not None:
        groups = _folded(groups, by, top)
    order = sorted(groups, key=lambda key: [_place(key[at], groups[key], word) for at, word in enumerate(by)])
    names = [word.name for word in by]
    return [
        Row(
            "others" if OTHERS in key else "group",
            dict(zip(names, key, strict=True)) | _values(groups[key]),
        )
        for key in order
    ]


def _folded(
    groups: dict[tuple[Any, ...], Values], by: Sequence[Word], top: int
) -> dict[tuple[Any, ...], Values]:
    """The `top` largest of all groups, the others as one."""
    kept = set(sorted(groups, key=lambda key: -groups[key]["billed_usd"])[:top])
    rest = (OTHERS,) * len(by)
    folded: dict[tuple[Any, ...], list[Values]] = {}
    for key, sums in groups.items():
        folded.setdefault(key if key in kept else rest, []).append(sums)
    return {key: merged(several) for key, several in folded.items()}


def _place(value: Any, sums: Values, word: Word) -> tuple[Any, ...]:
    if word.is_time:
        return (value == OTHERS, str(value))
    return (value == OTHERS, -sums["billed_usd"], str(value))


def _merged_by(records: Sequence[Values], key: Any) -> dict[tuple[Any, ...], Values]:
    parts: dict[tuple[Any, ...], list[Values]] = {}
    for record in records:
        parts.setdefault(key(record), []).append({name: record[name] for name in _SUMS})
    return {group: merged(several) for group, several in parts.items()}


def _total(total: Values, names: Sequence[str]) -> Row:
    if not names:
        return Row("total", {"step": None, "usd": total.get("billed_usd")})
    return Row("total", dict.fromkeys(names) | _values(total))


def _values(sums: Values) -> Values:
    """The columns of a group; its steps from stored_usd on add up to billed_usd."""
    level = ratio(sums.get("compared_usd"), sums.get("list_usd"))
    covered = ratio(sums.get("stored_completions"), sums.get("billed_requests"))
    values = {name: sums.get(name) for name in _SUMS} | {"price_level": level, "coverage": covered}
    return {column.name: values[column.name] for column in _COLUMNS}
