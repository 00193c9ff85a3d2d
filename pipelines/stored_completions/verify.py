"""Is the warehouse sound in itself? Every data test of `sql/checks`, and what SQL alone cannot see.

That is whether its files can be read at all, where the walks stand, which dlt's state knows, and whether
the tables that reports read are what their SQL gives today.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from stored_completions import damage, relisting, warehouse
from stored_completions.checks import SAMPLE, CheckResult, run_checks
from stored_completions.cursor import Cursor
from stored_completions.damage import Unreadable
from stored_completions.errors import WarehouseError
from stored_completions.reports import rollup
from stored_completions.store import Store
from stored_completions.warehouse import Files

_DAMAGED = (
    "Every block of the published copy and of the file that a sync works on is as DuckDB wrote it. "
    "Spoilt bytes would stay unnoticed until somebody asks for them."
)
_AHEAD = (
    "Every completion that a cursor has passed and still names is in the warehouse. "
    "A cursor that is ahead of the data would leave out for ever what lies between."
)
_STALE = (
    "The tables of schema reports are what their SQL gives. "
    "Reports, views of threads and those of the bill read them: what is stale there is wrong in all of these."
)


@dataclass(frozen=True)
class Wholeness:
    """What cannot be read of either file; `unread` says why the working file was not looked at, if it was not."""

    files: Files
    published: list[Unreadable]
    working: list[Unreadable]
    unread: str | None = None

    def check(self) -> CheckResult:
        rows: list[dict[str, object]] = [
            {"file": name, "relation": each.relation, "reason": each.reason}
            for name, found in (("published", self.published), ("working", self.working))
            for each in found
        ]
        return CheckResult("damaged_files", _DAMAGED, len(rows), tuple(rows))

    def remedy(self) -> str:
        """Which file lacks what, and what to do about it: it depends on whether the other one can be read."""
        pairs = ((self.files.published, self.published), (self.files.working, self.working))
        lacking = " ".join(
            f"{path} is damaged: {damage.named(found)} cannot be read." for path, found in pairs if found
        )
        has_other = self.unread is None and self.files.working.exists() and not self.working
        if not self.published or has_other:
            return (
                f"{lacking} `stored-completions sync --full` reads both files first, and goes on from the one that is "
                f"sound."
            )
        return (
            f"{lacking} Put a good older copy back as {self.files.published}, or move it away, and sync again: what the "
            f"API still lists is read anew then."
        )


def wholeness(files: Files) -> Wholeness:
    """Reads every block of both files. The lock is held meanwhile for the working file, so that no sync writes to it."""
    published = damage.find(files.published)
    working: list[Unreadable] = []
    unread = None
    try:
        with warehouse.held(files) as is_held:
            if not is_held:
                unread = "a sync is at work on it"
            elif files.working.exists():
                working = damage.find(files.working)
    except OSError as error:
        unread = (error.strerror or str(error)).lower()
    except WarehouseError as error:
        unread = str(error).rstrip(".")
    return Wholeness(files, published, working, unread)


def checks(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """Every check and how it went, by name."""
    results = [*run_checks(connection), _cursors(connection), _rollups(connection)]
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
    return CheckResult("cursors_ahead", _AHEAD, len(failing), tuple(failing[:SAMPLE]))


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
    return CheckResult("stale_reports", _STALE, len(failing), tuple(failing[:SAMPLE]))
