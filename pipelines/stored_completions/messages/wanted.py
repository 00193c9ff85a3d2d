"""Which completions of a warehouse still want their input messages, the oldest first: those expire first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from stored_completions.reader import Filter

_SETTLED_AFTER = "interval 1 hour"

_WANTED = (
    "completions.source = ? and completions.messages_synced_at is null and completions.deleted_at is null"
    " and completions.completion_id not in (select completion_id from chat.purges)"
)


@dataclass(frozen=True)
class Wanted:
    """A completion whose messages are to be read; `answers` are the hashes of its choices, `is_settled` says
    that a 404 is to be believed: a completion is not at once to be had wherever it is listed."""

    completion_id: str
    created_date: date | None
    answers: tuple[str | None, ...]
    is_settled: bool


def wanted(
    connection: duckdb.DuckDBPyConnection, source: str, query: Filter, *, most: int, left: int
) -> list[Wanted]:
    """At most so many of them, after the first `left`, which this run has asked for already."""
    condition, values = _condition(source, query)
    rows = connection.execute(
        f"select completion_id, created_date, coalesce(created_at < now() - {_SETTLED_AFTER}, true)"
        f" from chat.completions where {condition}"
        " order by created_at nulls last, completion_id limit ? offset ?",
        [*values, most, left],
    ).fetchall()
    answers = _answers(connection, {row[0]: row[1] for row in rows})
    return [Wanted(id_, day, tuple(answers.get(id_, ())), settled) for id_, day, settled in rows]


def count(connection: duckdb.DuckDBPyConnection, source: str, query: Filter) -> int:
    """How many there are."""
    condition, values = _condition(source, query)
    rows = connection.execute(f"select count(*) from chat.completions where {condition}", values).fetchall()
    return int(rows[0][0])


def _condition(source: str, query: Filter) -> tuple[str, list[Any]]:
    """Those that the filter lets through: nobody asked for the others."""
    condition, values = _WANTED, [source]
    if query.model is not None:
        condition, values = f"{condition} and completions.model = ?", [*values, query.model]
    for key, value in query.metadata.items():
        condition += (
            " and completions.completion_id in"
            " (select completion_id from chat.metadata where metadata.key = ? and metadata.value = ?)"
        )
        values += [key, value]
    return condition, values


def _answers(
    connection: duckdb.DuckDBPyConnection, days: Mapping[str, date | None]
) -> dict[str, list[str | None]]:
    known = [day for day in days.values() if day is not None]
    rows = connection.execute(
        "select completion_id, answer_hash from chat.choices"
        " where completion_id in (select unnest(?::varchar[]))"
        " and (created_date between ? and ? or created_date is null)"
        " order by completion_id, choice_index",
        [list(days), min(known, default=None), max(known, default=None)],
    ).fetchall()
    found: dict[str, list[str | None]] = {}
    for completion_id, answer_hash in rows:
        found.setdefault(completion_id, []).append(answer_hash)
    return found
