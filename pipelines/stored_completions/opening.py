"""The working file as the next sync finds it: what a run left half done, and what an older version left out."""

import contextlib
import shutil

import duckdb

from stored_completions import schema, undo, warehouse
from stored_completions.publishing import mark_unpublished
from stored_completions.warehouse import Files


def opened(files: Files) -> duckdb.DuckDBPyConnection:
    """The working file, open for reading; before that, one of an older version gets what it lacks."""
    connection = warehouse.connect(files.working, read_only=True)
    if not schema.is_behind(connection):
        return connection
    connection.close()
    mark_unpublished(files)
    with contextlib.closing(warehouse.connect(files.working, read_only=False)) as connection:
        schema.renew(connection)
    return warehouse.connect(files.working, read_only=True)


def recover(files: Files) -> None:
    """Takes back what a load that was cut left, and what dlt would go on with."""
    if files.working.exists():
        with contextlib.closing(warehouse.connect(files.working, read_only=False)) as connection:
            undo.recover(connection)
    shutil.rmtree(files.dlt)
