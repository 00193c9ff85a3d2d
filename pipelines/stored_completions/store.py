"""What the working file already holds, as a sync needs to know it, and what only a sync may write there."""

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from stored_completions.client import Endpoint
from stored_completions.completions import Known
from stored_completions.tables import BY_NAME, LOAD_ID, SYNC_RUNS

PIPELINE = "stored_completions"
RESOURCE = "completions"

_OWN_TABLES = (
    "create schema if not exists chat",
    "create table if not exists chat.publication"
    " (generation varchar, published_at timestamp with time zone, schema_version bigint)",
    "create table if not exists chat.sources (source varchar primary key, base_url varchar, project varchar,"
    " organization varchar, first_synced_at timestamp with time zone, last_synced_at timestamp with time zone,"
    " covered_from timestamp with time zone)",
)
_CHILDREN = [table.name for table in BY_NAME.values() if "completion_id" in table.key]


@dataclass(frozen=True)
class State:
    """dlt's state as the warehouse holds it: `basis` names the load package that wrote it."""

    basis: str | None
    cursors: dict[str, Any]


class Store:
    """Reads of the working file; on a new warehouse, where there is none yet, everything is empty."""

    def __init__(self, connection: duckdb.DuckDBPyConnection | None) -> None:
        self.connection = connection
        self.is_empty = connection is None or not self._rows(
            "select 1 from duckdb_tables() where schema_name = 'chat' and table_name = 'completions'"
        )

    def state(self) -> State:
        """The cursors in dlt's state, from the newest load package that ended."""
        rows = self._rows(
            "select state._dlt_load_id, state.state from chat._dlt_pipeline_state as state"
            " join chat._dlt_loads as loads on loads.load_id = state._dlt_load_id and loads.status = 0"
            " where state.pipeline_name = ? order by state._dlt_load_id desc limit 1",
            [PIPELINE],
        )
        if not rows:
            return State(None, {})
        state = json.loads(zlib.decompress(base64.b64decode(rows[0][1])))
        resources = state.get("sources", {}).get(PIPELINE, {}).get("resources", {})
        return State(rows[0][0], resources.get(RESOURCE, {}))

    def known(self, ids: Sequence[str], created: Sequence[int | None]) -> dict[str, Known]:
        """What the warehouse holds of these completions; `created` are their times in unix seconds.

        The times let DuckDB skip all but a few row groups, however large the table is.
        """
        times = [second for second in created if second is not None]
        if not ids:
            return {}
        inside = "created_at between to_timestamp(?) and to_timestamp(?)" if times else "false"
        untimed = "created_at is null" if len(times) < len(created) else "false"
        rows = self._rows(
            "select completion_id, row_hash, source, epoch_us(first_seen_at), epoch_us(messages_synced_at)"
            f" from chat.completions where ({inside} or {untimed}) and completion_id in (select unnest(?::varchar[]))",
            [*([min(times), max(times)] if times else []), list(ids)],
        )
        return {row[0]: Known(*row[1:]) for row in rows}

    def quarantined(self) -> set[str]:
        """Hashes of the objects that were set aside."""
        return {row[0] for row in self._rows("select sha256 from chat.quarantine")}

    def binding(self, source: str) -> tuple[str, str | None] | None:
        """Base URL and project that a source name is bound to."""
        rows = self._rows("select base_url, project from chat.sources where source = ?", [source])
        return rows[0] if rows else None

    def last_success(self, source: str) -> datetime | None:
        """When a sync of the source last ended well and had something to write."""
        rows = self._rows(
            "select max(finished_at) from chat.sync_runs where source = ? and outcome in ('done', 'nothing_new')",
            [source],
        )
        return rows[0][0] if rows else None

    def completions(self) -> int:
        return int(self._rows("select count(*) from chat.completions")[0][0]) if not self.is_empty else 0

    def _rows(self, sql: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        if self.connection is None:
            return []
        try:
            return self.connection.execute(sql, list(parameters)).fetchall()
        except duckdb.CatalogException:
            return []


def create_own_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """The tables that no load writes: what was published, and where each source is read from."""
    for statement in _OWN_TABLES:
        connection.execute(statement)


def recover(connection: duckdb.DuckDBPyConnection) -> None:
    """Undoes what a load that died left behind, so that what is known of a row holds for its children too.

    dlt commits table by table and marks the package last. Rows of a package without its mark: a new
    completion is removed whole (its page is read again, the cursor was not saved); one that was being
    rewritten loses its hash, which makes the next sync that sees it write it again, whole.
    """
    if not connection.execute("select 1 from duckdb_tables() where table_name = '_dlt_loads'").fetchall():
        return
    tables = {
        row[0]
        for row in connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'chat'"
        ).fetchall()
    }
    unfinished = f"{LOAD_ID} not in (select load_id from chat._dlt_loads)"
    touched = " union ".join(
        f"select completion_id from chat.{name} where {unfinished}" for name in _CHILDREN if name in tables
    )
    if not touched or "completions" not in tables:
        return
    connection.execute("begin")
    connection.execute(f"create temp table touched as {touched}")
    connection.execute(
        "create temp table unborn as select touched.completion_id from touched"
        " left join chat.completions as known on known.completion_id = touched.completion_id"
        " where known.completion_id is null"
        f" or (known.{unfinished} and known.first_seen_at = known.last_seen_at)"
    )
    for name in _CHILDREN:
        if name in tables:
            connection.execute(f"delete from chat.{name} where completion_id in (from unborn)")
    connection.execute("update chat.completions set row_hash = null where completion_id in (from touched)")
    connection.execute("drop table touched")
    connection.execute("drop table unborn")
    connection.execute("commit")


def bind(
    connection: duckdb.DuckDBPyConnection, source: str, endpoint: Endpoint, at: datetime, *, walked: bool
) -> None:
    """Binds a source name to where it was first synced from, and notes when it was last walked to the end."""
    connection.execute(
        "insert into chat.sources (source, base_url, project, organization, first_synced_at)"
        " select ?, ?, ?, ?, ? where ? not in (select source from chat.sources)",
        [source, endpoint.place, endpoint.project, endpoint.organization, at, source],
    )
    covered = (
        "update chat.sources set last_synced_at = ?, covered_from ="
        " (select min(created_at) from chat.completions as mine where mine.source = sources.source) where source = ?"
    )
    if walked:
        connection.execute(covered, [at, source])


def note_runs(connection: duckdb.DuckDBPyConnection, runs: Sequence[dict[str, Any]]) -> None:
    """Writes runs into sync_runs, replacing those that are there already."""
    names = [column.name for column in SYNC_RUNS.columns]
    marks = ", ".join("?" for _ in names)
    load_id = connection.execute("select max(load_id) from chat._dlt_loads").fetchall()[0][0]
    connection.execute("begin")
    for run in runs:
        connection.execute("delete from chat.sync_runs where run_id = ?", [run["run_id"]])
        values = [load_id if name == LOAD_ID else run.get(name) for name in names]
        connection.execute(f"insert into chat.sync_runs ({', '.join(names)}) values ({marks})", values)
    connection.execute("commit")


def close_dead_runs(connection: duckdb.DuckDBPyConnection) -> None:
    """Marks runs that still say running: whoever holds the lock knows that they are not."""
    connection.execute(
        "update chat.sync_runs set outcome = 'interrupted', detail = 'the process died' where outcome = 'running'"
    )


def prune(connection: duckdb.DuckDBPyConnection, keep: int = 10) -> None:
    """Forgets all but the newest of the states that dlt adds with every package."""
    connection.execute(
        "delete from chat._dlt_pipeline_state where _dlt_load_id not in"
        " (select _dlt_load_id from chat._dlt_pipeline_state order by _dlt_load_id desc limit ?)",
        [keep],
    )
