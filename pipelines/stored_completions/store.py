"""What the working file already holds, as a sync needs to know it, and what only a sync may write there."""

import base64
import json
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from stored_completions.completions import Known
from stored_completions.endpoint import Endpoint
from stored_completions.errors import UsageError
from stored_completions.tables import LOAD_ID, SYNC_RUNS

PIPELINE = "stored_completions"
RESOURCE = "completions"

_OWN_TABLES = (
    "create schema if not exists chat",
    "create table if not exists chat.publication"
    " (generation uuid, published_at timestamp with time zone, schema_version bigint)",
    "create table if not exists chat.sources (source varchar, base_url varchar, project varchar,"
    " organization varchar, first_synced_at timestamp with time zone, last_synced_at timestamp with time zone,"
    " covered_from timestamp with time zone, relisted_at timestamp with time zone,"
    " listed_from timestamp with time zone)",
    "create table if not exists chat.hash_keys"
    " (key_check varchar, salt varchar, first_used_at timestamp with time zone)",
)


@dataclass(frozen=True)
class State:
    """dlt's state as the warehouse holds it: `basis` names the newest load package that ended."""

    basis: str | None
    cursors: dict[str, Any]


@dataclass(frozen=True)
class Held(Known):
    """A completion in the warehouse, with its time in unix seconds (NULL: None) and its day."""

    created: int | None
    created_date: date | None
    is_deleted: bool = False


_HELD = (
    "select completion_id, row_hash, source, epoch_us(first_seen_at), epoch_us(messages_synced_at),"
    " epoch_us(created_at) // 1000000, created_date, deleted_at is not null from chat.completions where "
)

_SEARCHES = 3  # of all ids, which together cost as much as to read and sort their hashes


class Store:
    """Reads of the working file; on a new warehouse, where no load has ended yet, everything is empty."""

    def __init__(self, connection: duckdb.DuckDBPyConnection | None) -> None:
        self.connection = connection
        self.is_empty = not self._rows("select 1 from chat._dlt_loads where status = 0 limit 1")
        self._hashes: Sequence[int] | None = None
        self._searches = 0
        self._has_purges: bool | None = None

    def state(self) -> State:
        """The cursors in dlt's state, from the newest load package that ended."""
        rows = self._rows(
            "select state.state from chat._dlt_pipeline_state as state"
            " join chat._dlt_loads as loads on loads.load_id = state._dlt_load_id and loads.status = 0"
            " where state.pipeline_name = ? order by state._dlt_load_id desc limit 1",
            [PIPELINE],
        )
        if not rows:
            return State(None, {})
        state = json.loads(zlib.decompress(base64.b64decode(rows[0][0])))
        resources = state.get("sources", {}).get(PIPELINE, {}).get("resources", {})
        basis = self._rows("select max(load_id) from chat._dlt_loads where status = 0")[0][0]
        return State(basis, resources.get(RESOURCE, {}))

    def known(self, created: Mapping[str, int | None]) -> dict[str, Held]:
        """What the warehouse holds of these ids, whenever it says that they were created.

        `created` are their times in unix seconds as a column holds them: completions are nearly always
        found by them, in a few row groups of however large a table. The rest are new, or an id that came
        twice: all ids are looked through, a few times, and then their hashes, which are read once.
        """
        wanted = created if self._hashes is None else self._may_be_held(created)
        found = self._in_time(wanted)
        missing = {id_: at for id_, at in wanted.items() if id_ not in found}
        if missing and not self.is_empty:
            self._searches += 1
            if self._searches > _SEARCHES:
                missing = self._may_be_held(missing)
        if missing:
            found |= self._held("completion_id in (select unnest(?::varchar[]))", [list(missing)])
        return found

    def _in_time(self, created: Mapping[str, int | None]) -> dict[str, Held]:
        times = [second for second in created.values() if second is not None]
        found: dict[str, Held] = {}
        ids = "completion_id in (select unnest(?::varchar[]))"
        if times:
            within = f"created_at between to_timestamp(?) and to_timestamp(?) and {ids}"
            found |= self._held(within, [min(times), max(times), list(created)])
        if len(times) < len(created):
            found |= self._held(f"created_at is null and {ids}", [list(created)])
        return found

    def _held(self, condition: str, values: Iterable[Any]) -> dict[str, Held]:
        return {row[0]: Held(*row[1:]) for row in self._rows(_HELD + condition, values)}

    def _may_be_held(self, created: Mapping[str, int | None]) -> dict[str, int | None]:
        """Those of the ids whose hash is that of one in the warehouse."""
        if self.connection is None or self.is_empty or not created:
            return {}
        if self._hashes is None:
            self._hashes = _all_hashes(self.connection)
        hashes = self._rows("select hash(unnest(?::varchar[]))", [list(created)])
        pairs = zip(created.items(), hashes, strict=True)
        return {id_: at for (id_, at), (number,) in pairs if _holds(self._hashes, number)}

    def quarantined(self) -> set[str]:
        """Hashes of the objects that were set aside."""
        return {row[0] for row in self._rows("select sha256 from chat.quarantine")}

    def purged(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids whose content was erased on request, and is not to come back."""
        if self._has_purges is None:
            self._has_purges = bool(self._rows("select 1 from chat.purges limit 1"))
        wanted = "select completion_id from chat.purges where completion_id in (select unnest(?::varchar[]))"
        return {row[0] for row in self._rows(wanted, [list(ids)])} if self._has_purges else set()

    def purges(self) -> int:
        """How many completions were purged."""
        return sum(int(row[0]) for row in self._rows("select count(*) from chat.purges"))

    def binding(self, source: str) -> tuple[str, str | None] | None:
        """Base URL and project that a source name is bound to."""
        rows = self._rows("select base_url, project from chat.sources where source = ?", [source])
        return rows[0] if rows else None

    def check_binding(self, path: Path, source: str, endpoint: Endpoint) -> None:
        """Raises UsageError when a source of the warehouse at `path` is bound to another place than `endpoint`."""
        bound, here = self.binding(source), (endpoint.place, endpoint.project)
        if bound is not None and bound != here:
            raise UsageError(
                f"Source {source!r} of {path} was synced from {_place(*bound)}, not from {_place(*here)}: mixing two "
                f"accounts under one name would make its figures wrong. Name another source with --source, or another "
                f"file with --warehouse."
            )

    def last_success(self, source: str, filter_: str | None = None) -> datetime | None:
        """When a sync of the source and filter last ended well and had something to write."""
        rows = self._rows(
            "select max(finished_at) from chat.sync_runs where source = ? and filter is not distinct from ?"
            " and outcome in ('done', 'nothing_new')",
            [source, filter_],
        )
        return rows[0][0] if rows else None

    def messages(self) -> tuple[int, int]:
        """Completions whose input messages were read, and those whose messages can still be."""
        rows = self._rows(
            "select count(messages_synced_at),"
            " count(*) filter (messages_synced_at is null and deleted_at is null"
            " and completion_id not in (select completion_id from chat.purges)) from chat.completions"
        )
        return rows[0] if rows else (0, 0)

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


def bind(connection: duckdb.DuckDBPyConnection, source: str, endpoint: Endpoint, at: datetime) -> None:
    """Binds a source name to where it is synced from, if it is new."""
    connection.execute(
        "insert into chat.sources (source, base_url, project, organization, first_synced_at)"
        " select ?, ?, ?, ?, ? where ? not in (select source from chat.sources)",
        [source, endpoint.place, endpoint.project, endpoint.organization, at, source],
    )


def note_runs(connection: duckdb.DuckDBPyConnection, runs: Sequence[dict[str, Any]]) -> None:
    """Writes runs into sync_runs, replacing those that are there already, and what they say of their sources."""
    names = [column.name for column in SYNC_RUNS.columns]
    marks = ", ".join("?" for _ in names)
    load_id = connection.execute("select max(load_id) from chat._dlt_loads").fetchall()[0][0]
    connection.execute("begin")
    for run in runs:
        connection.execute("delete from chat.sync_runs where run_id = ?", [run["run_id"]])
        values = [load_id if name == LOAD_ID else run.get(name) for name in names]
        connection.execute(f"insert into chat.sync_runs ({', '.join(names)}) values ({marks})", values)
    connection.execute(
        "update chat.sources set last_synced_at = (select max(runs.started_at) from chat.sync_runs as runs"
        " where runs.source = sources.source and runs.outcome in ('done', 'nothing_new'))"
    )
    connection.execute("commit")


def prune(connection: duckdb.DuckDBPyConnection, last: str | None = None, keep: int = 10) -> None:
    """Forgets all but the newest of the states that dlt adds with every package.

    `last` is the package loaded last. Names of packages are times: one that is later than it was named by a clock
    that ran ahead, and its state would be taken for the newest until the time has come.
    """
    connection.execute("delete from chat._dlt_pipeline_state where _dlt_load_id > ?", [last])
    connection.execute(
        "delete from chat._dlt_pipeline_state where _dlt_load_id not in"
        " (select _dlt_load_id from chat._dlt_pipeline_state order by _dlt_load_id desc limit ?)",
        [keep],
    )


def _all_hashes(connection: duckdb.DuckDBPyConnection) -> Sequence[int]:
    """DuckDB's hash of every id, in order, eight bytes each."""
    sorted_ = connection.sql("select hash(completion_id) as number from chat.completions order by number")
    column = sorted_.to_arrow_table().column(0).combine_chunks()
    numbers = memoryview(column.buffers()[1] or b"").cast("B").cast("Q")
    return numbers[column.offset : column.offset + len(column)]


def _holds(numbers: Sequence[int], number: int) -> bool:
    at = bisect_left(numbers, number)
    return at < len(numbers) and numbers[at] == number


def _place(base_url: str, project: str | None) -> str:
    return f"{base_url}, project {project}" if project else base_url
