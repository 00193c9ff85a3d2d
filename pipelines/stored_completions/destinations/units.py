"""What is shipped together: a unit is the smallest part of a warehouse that is replaced at a destination.

A completion with everything under it is one; so is a row of a table that only grows; a small table is one as a
whole. `version` changes whenever something in the unit does.
"""

from dataclasses import dataclass

from stored_completions.tables import (
    ATTACHMENTS,
    BOOKKEEPING,
    COMPLETIONS,
    MESSAGES,
    PROMPTS,
    PUBLICATION,
    PURGES,
    QUARANTINE,
    REFERENCE_TABLES,
    SYNC_RUNS,
    TABLES,
    Column,
    Table,
)

LOADS = Table(
    "_working_loads",
    "Load packages of the working file, as dlt notes them in _dlt_loads there.",
    (),
    (
        Column("load_id", "text", "the package"),
        Column("schema_name", "text", "its schema"),
        Column("status", "bigint", "0: it ended"),
        Column("inserted_at", "timestamp", "when it ended"),
        Column("schema_version_hash", "text", "its schema's version"),
    ),
)
STATE = Table(
    "_working_state",
    "State of the working file, cursors included, as dlt notes it in _dlt_pipeline_state there.",
    (),
    (
        Column("version", "bigint", "number of the state"),
        Column("engine_version", "bigint", "version of its format"),
        Column("pipeline_name", "text", "the pipeline"),
        Column("state", "text", "the state, compressed"),
        Column("created_at", "timestamp", "when it was made"),
        Column("version_hash", "text", "its hash"),
        Column("_dlt_load_id", "text", "the load package that brought it"),
        Column("_dlt_id", "text", "the row"),
    ),
)
WORKING = {LOADS.name: "_dlt_loads", STATE.name: "_dlt_pipeline_state"}
"""Tables of dlt's in the working file, whose names at a destination are taken by dlt's own there."""

_NOT_SHIPPED = (PUBLICATION,)  # a destination has its own


@dataclass(frozen=True)
class Unit:
    """`key` is the column that names it in each of its `tables`; None: they are one unit as a whole.

    `versions` is SQL that gives `key`, `version`, and `stamp`: of the first table alone, NULL where there is none.
    """

    name: str
    tables: tuple[Table, ...]
    key: str | None
    versions: str

    @property
    def reads(self) -> tuple[str, ...]:
        """Tables of the working file without which there is nothing to ship."""
        return tuple(local(table) for table in self.tables)


def local(table: Table) -> str:
    """Its name in schema chat of the working file."""
    return WORKING.get(table.name, table.name)


def _columns(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns)


def _by_row(table: Table, version: str) -> Unit:
    key = table.key[0]
    sql = f"select {key} as key, {version} as version, null::varchar as stamp from chat.{table.name} as row"
    return Unit(table.name, (table,), key, sql)


def _whole(table: Table) -> Unit:
    text = f"row({_columns(table)})::varchar"
    sql = (
        f"select '' as key, md5(coalesce(string_agg({text}, chr(10) order by {text}), '')) as version,"
        f" null::varchar as stamp from chat.{local(table)}"
    )
    return Unit(table.name, (table,), None, sql)


def _of_all(table: Table) -> str:
    return f"md5(row({_columns(table)})::varchar)"


_CHILDREN = tuple(table for table in TABLES if "completion_id" in table.key and table is not COMPLETIONS)
_COMPLETIONS = Unit(
    "completions",
    (COMPLETIONS, *_CHILDREN, MESSAGES, PROMPTS),
    "completion_id",
    "select completion_id as key,"
    " concat_ws('/', _dlt_load_id, coalesce(row_hash, ''), coalesce(epoch_us(messages_synced_at)::varchar, ''),"
    " coalesce(epoch_us(purged_at)::varchar, '')) as version,"
    " concat_ws('/', coalesce(epoch_us(last_seen_at)::varchar, ''), coalesce(epoch_us(deleted_at)::varchar, ''))"
    " as stamp from chat.completions left join chat.purges using (completion_id)",
)
_BY_ROW = (QUARANTINE, SYNC_RUNS, PURGES, ATTACHMENTS)
_LARGE = {ATTACHMENTS.name: "coalesce(media_type, '')"}  # named by its own content: a row never changes

SMALL: tuple[Unit, ...] = (
    *(_by_row(table, _LARGE.get(table.name, _of_all(table))) for table in _BY_ROW),
    *(
        _whole(table)
        for table in (*REFERENCE_TABLES, *BOOKKEEPING)
        if table not in (*_BY_ROW, MESSAGES, PROMPTS, *_NOT_SHIPPED)
    ),
)
BULK = _COMPLETIONS
STAMPS = Unit("stamps", (COMPLETIONS,), "completion_id", "")
"""A completion's own row alone: a full re-list stamps it, and all below it stays."""
LAST: tuple[Unit, ...] = (_whole(LOADS), _whole(STATE))
"""What says how far the sync is: only once everything before that is there."""
UNITS: dict[str, Unit] = {unit.name: unit for unit in (*SMALL, BULK, STAMPS, *LAST)}
SHIPPED: tuple[Table, ...] = tuple(
    dict.fromkeys(table for unit in (BULK, *SMALL, *LAST) for table in unit.tables)
)
