"""dlt's DuckDB destination, to which rows come straight from Arrow: nothing is written to be read again.

dlt goes on as ever, with a package of a file and a job for each table, its schema, its state and its mark in
`_dlt_loads`. But such a file has the columns alone, and its job inserts the rows that wait in memory.
"""

from typing import Any

import duckdb
import pyarrow as pa
from dlt.common.destination.client import HasFollowupJobs, LoadJob, RunnableLoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.destinations.impl.duckdb import factory
from dlt.destinations.impl.duckdb.duck import DuckDbClient

Waiting = dict[str, pa.Table]
"""Rows of the package under way by table, until they are inserted."""


def destination(connection: duckdb.DuckDBPyConnection, waiting: Waiting) -> Any:
    """A destination for dlt: the open database, into which the rows in `waiting` go once their table's turn has come."""
    return _Direct(connection, waiting)


class _Direct(factory.duckdb):
    def __init__(self, connection: duckdb.DuckDBPyConnection, waiting: Waiting) -> None:
        super().__init__(connection)
        self._waiting = waiting

    @property
    def client_class(self) -> type[DuckDbClient]:
        return type("DirectClient", (_Client,), {"waiting": self._waiting})


class _Client(DuckDbClient):
    waiting: Waiting

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """dlt's own job for dlt's own tables."""
        if table["name"] in self.waiting:
            return _Job(file_path)
        return super().create_load_job(table, file_path, load_id, restore)


class _Job(RunnableLoadJob, HasFollowupJobs):
    """Inserts the rows of one table, in a transaction of its own, as dlt's job does that reads a file."""

    _job_client: _Client

    def run(self) -> None:
        client, name = self._job_client, self.load_table_name
        table = client.sql_client.make_qualified_table_name(name)
        connection = client.sql_client.native_connection
        connection.register("rows", client.waiting[name])
        client.sql_client.execute_sql(f"insert into {table} by name select * from rows")
        connection.unregister("rows")
        del client.waiting[name]
