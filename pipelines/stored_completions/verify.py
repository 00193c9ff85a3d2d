"""Is the warehouse sound in itself? Every data test of `sql/checks`, and what SQL alone cannot see.

That is where the walks stand, which dlt's state knows, and whether the tables that reports read are
what their SQL gives today.
"""

from collections.abc import Iterator
from typing import Any

import duckdb

from stored_completions import models, relisting
from stored_completions.cursor import Cursor
from stored_completions.models import CheckResult
from stored_completions.reports import rollup
from stored_completions.store import Store

_SAMPLE = 5
_AHEAD = (
    "Every completion that a cursor has passed and still names is in the warehouse. "
    "A cursor that is ahead of the data would leave out for ever what lies between."
)
_STALE = (
    "The tables of schema reports are what their SQL gives. "
    "Reports read them: what is stale there is wrong in every cost."
)


def checks(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """Every check and how it went, by name."""
    results = [*models.run_checks(connection, _SAMPLE), _cursors(connection), _rollups(connection)]
    return sorted(results, key=lambda result: result.name)


def _cursors(connection: duckdb.DuckDBPyConnection) -> CheckResult:
    passed = {(key, mark.id): mark.created for key, cursor in _walks(connection) for mark in _marks(cursor)}
    ids = sorted({id_ for _, id_ in passed})
    rows = connection.execute(
        "select id from (select unnest(?::varchar[]) as id) where id not in (select completion_id from chat.completions)",
        [ids],
    ).fetchall()
    lost = {row[0] for row in rows}
    failing: list[dict[str, object]] = [
        {"cursor": key, "completion_id": id_, "created": created}
        for (key, id_), created in sorted(passed.items())
        if id_ in lost
    ]
    return CheckResult("cursors_ahead", _AHEAD, len(failing), tuple(failing[:_SAMPLE]))


def _walks(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, Cursor]]:
    state: dict[str, Any] = Store(connection).state().cursors
    for key, cursor in sorted(state.items()):
        yield key, Cursor.from_json(cursor)
    for each in relisting.all_under_way(connection):
        yield each.key, each.cursor


def _marks(cursor: Cursor) -> Iterator[Any]:
    yield from cursor.trail
    if cursor.position:
        yield cursor.position


def _rollups(connection: duckdb.DuckDBPyConnection) -> CheckResult:
    failing = rollup.stale_rows(connection)
    return CheckResult("stale_reports", _STALE, len(failing), tuple(failing[:_SAMPLE]))
