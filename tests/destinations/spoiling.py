"""What somebody else can do to a dataset: drop it, delete a row, or have written it with an older version."""

import os
from contextlib import closing
from typing import Any

from stored_completions.config import destination as configured
from stored_completions.destinations import through_dlt
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.opening import opened
from stored_completions.tables import COMPLETIONS, METADATA, PUBLICATION


def drop() -> None:
    """The whole dataset."""
    with closing(_opened()) as there:
        if _is_sql(there):
            _do(there, f'drop schema "{_dataset()}" cascade')
        else:
            there._dlt.fs_client.rm(there._dlt.dataset_path, recursive=True)


def delete(completion_id: str) -> None:
    """One row of completions."""
    where = f"completion_id = '{completion_id}'"
    with closing(_opened()) as there:
        if _is_sql(there):
            _do(there, f"delete from {there._name(COMPLETIONS)} where {where}")
        else:
            there._open(COMPLETIONS).delete(where)


def take_away(known: set[tuple[str, str]]) -> None:
    """Columns that version 1 did not have, of the tables that it had, and what dlt noted of them."""
    tables = {table for table, _ in known}
    with closing(_opened()) as there:
        if _is_sql(there):
            _do(there, f'drop schema if exists "{_target().marts}" cascade')
        for table in through_dlt.TABLES:
            gone = [column.name for column in table.columns if (table.name, column.name) not in known]
            if table.name in tables and gone:
                _drop_columns(there, table, gone)
            elif table.name not in tables and not table.name.startswith("_"):
                _drop_table(there, table)
        if _is_sql(there):
            _do(
                there,
                f'delete from "{_dataset()}"."_dlt_version"',
                f'update "{_dataset()}"."publication" set schema_version = 1',
            )
        else:
            there._open(PUBLICATION).update(updates={"schema_version": "1"})


def move_on() -> None:
    """As a sync of another machine does that took no notice of the lock."""
    with closing(_opened()) as there:
        if _is_sql(there):
            _do(there, f"update {there._name(PUBLICATION)} set generation = 'another'")
        else:
            there._open(PUBLICATION).update(updates={"generation": "'another'"})


def merge_files() -> int:
    """As whoever keeps a lake does now and then; how many files of metadata are left."""
    with closing(_opened()) as there:
        if _is_sql(there):
            _do(there, "call ducklake_merge_adjacent_files('lake')")
            found = there._rows(f"from ducklake_list_files('lake', 'metadata', schema => '{_dataset()}')")
            return len(found)
        for table in through_dlt.TABLES:
            there._open(table).optimize.compact()
        return len(there._open(METADATA).file_uris())


def _drop_columns(there: Any, table: Any, gone: list[str]) -> None:
    if _is_sql(there):
        _do(there, *(f'alter table {there._name(table)} drop column "{name}"' for name in gone))
        return
    from deltalake import write_deltalake

    rows = there._open(table).to_pyarrow_table().drop_columns(gone)
    options = there._storage_options
    write_deltalake(
        there._uri(table), rows, mode="overwrite", schema_mode="overwrite", storage_options=options
    )


def _drop_table(there: Any, table: Any) -> None:
    if _is_sql(there):
        _do(there, f"drop table {there._name(table)}")
    else:
        there._dlt.fs_client.rm(f"{there._dlt.dataset_path.rstrip('/')}/{table.name}", recursive=True)


def _is_sql(there: Any) -> bool:
    return hasattr(there, "_name")


def _do(there: Any, *statements: str) -> None:
    for statement in statements:
        if hasattr(there, "_sql"):
            there._sql.execute_sql(statement)
        else:
            there._do(statement)
    if hasattr(there, "_connection") and hasattr(there._connection(), "adbc_connection"):
        there._connection().commit()


def _opened() -> Any:
    return opened(_target())


def _dataset() -> str:
    return _target().dataset


def _target() -> Target:
    own = configured({}, os.environ, None)
    assert own is not None
    return own
