"""From when on a source is read without a gap: what its cursor says, written where analysts see it.

A filtered cursor says nothing of its source; one that was never read newest first has no gap.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import duckdb

from stored_completions.cursor import Cursor
from stored_completions.reader import Filter, cursor_key

Cursors = Mapping[str, Any]


def is_behind(connection: duckdb.DuckDBPyConnection, cursors: Cursors) -> bool:
    """Whether chat.sources says otherwise than the cursors do."""
    return bool(_changes(connection, cursors))


def refresh(connection: duckdb.DuckDBPyConnection, cursors: Cursors) -> None:
    """Writes covered_from of every source that has a cursor of its own."""
    for source, covered_from in _changes(connection, cursors).items():
        connection.execute(
            "update chat.sources set covered_from = ? where source = ?", [covered_from, source]
        )


def _changes(connection: duckdb.DuckDBPyConnection, cursors: Cursors) -> dict[str, datetime | None]:
    rows = connection.execute(
        "select source, base_url, epoch_us(covered_from) // 1000000 from chat.sources"
    ).fetchall()
    changes = {}
    for source, base_url, noted in rows:
        state = cursors.get(cursor_key(base_url, Filter(), source))
        second = noted if state is None else Cursor.from_json(state).covered_from
        if second != noted:
            changes[source] = None if second is None else datetime.fromtimestamp(second, UTC)
    return changes
