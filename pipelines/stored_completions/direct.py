"""dlt's DuckDB destination, to which rows come straight from Arrow: nothing is written to be read again.

dlt goes on as ever, with a package of a file and a job, its schema, its state and its mark in `_dlt_loads`. But the
file has the columns of one table alone, and its job inserts the rows of all tables, which wait in memory.

Nothing is left to look up either. dlt asks for its destination's configuration a hundred times a round, and each time
looks for every field of it, and of the credentials, by ten names in the environment and in files: a third of what a
small round costs.
"""

from typing import Any

import duckdb
import pyarrow as pa
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import HasFollowupJobs, LoadJob, RunnableLoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.normalizers.naming import NamingConvention
from dlt.destinations.impl.duckdb import factory
from dlt.destinations.impl.duckdb.configuration import DuckDbClientConfiguration, DuckDbCredentials
from dlt.destinations.impl.duckdb.duck import DuckDbClient

from stored_completions.room import MakeRoom

Waiting = dict[str, pa.Table]
"""Rows of the package under way by table, until they are inserted."""


def destination(connection: duckdb.DuckDBPyConnection, waiting: Waiting, make_room: MakeRoom) -> Any:
    """A destination for dlt: the open database, into which the rows in `waiting` go, of whatever table a package brings.

    `make_room` is called with the rows of a table before they are inserted.
    """
    return _Direct(connection, waiting, make_room)


class _Direct(factory.duckdb):
    """DuckDB to dlt, which finds it by that type in what it stored before; the caller closes the connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, waiting: Waiting, make_room: MakeRoom) -> None:
        credentials = DuckDbCredentials(connection)
        credentials.resolve()
        super().__init__(credentials)
        self._ours = {"waiting": waiting, "make_room": staticmethod(make_room)}
        self._capabilities: dict[type | None, DestinationCapabilitiesContext] = {}

    @property
    def destination_type(self) -> str:
        return "dlt.destinations.duckdb"

    def capabilities(
        self, config: DuckDbClientConfiguration | None = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        """What depends on the kind of names alone is found out once."""
        if config is not None:
            return super().capabilities(config, naming)
        kind = type(naming) if naming else None
        if kind not in self._capabilities:
            self._capabilities[kind] = super().capabilities(None, naming)
        return self._capabilities[kind].copy()

    @property
    def client_class(self) -> type[DuckDbClient]:
        return type("DirectClient", (_Client,), self._ours)


class _Client(DuckDbClient):
    waiting: Waiting
    make_room: MakeRoom

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """dlt's own job for dlt's own tables."""
        if table["name"] in self.schema.dlt_table_names():
            return super().create_load_job(table, file_path, load_id, restore)
        return _Job(file_path)


class _Job(RunnableLoadJob, HasFollowupJobs):
    """Inserts the rows of each table, in a transaction of its own, as dlt's jobs do that read a file each."""

    _job_client: _Client

    def run(self) -> None:
        client = self._job_client
        connection = client.sql_client.native_connection
        for name in list(client.waiting):
            table = client.sql_client.make_qualified_table_name(name)
            client.make_room(client.waiting[name])
            connection.register("rows", client.waiting[name])
            client.sql_client.execute_sql(f"insert into {table} by name select * from rows")
            connection.unregister("rows")
            del client.waiting[name]
