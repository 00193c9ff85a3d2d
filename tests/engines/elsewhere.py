"""The tables of a DuckDB file on other engines, with the views on top: each answers a select with rows."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import delta_source
import duckdb
import postgres
import psycopg2
import s3
import spark
from deltalake import write_deltalake

from stored_completions import portable
from stored_completions.tables import BOOKKEEPING, REFERENCE_TABLES, TABLES, Table

Rows = list[tuple[Any, ...]]
Select = Callable[[str], Rows]
Engine = Callable[[duckdb.DuckDBPyConnection], AbstractContextManager[Select]]

_ALL = (*TABLES, *REFERENCE_TABLES, *BOOKKEEPING)
_POSTGRES = {
    "json": "text",
    "double": "double precision",
    "decimal": "numeric(18, 12)",
    "money": "numeric(38, 30)",
    "bool": "boolean",
    "timestamp": "timestamptz",
    "binary": "bytea",
}


@contextmanager
def on_postgres(warehouse: duckdb.DuckDBPyConnection) -> Iterator[Select]:
    with postgres.serving() as where, closing(psycopg2.connect(where)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("create schema chat; set timezone = 'UTC'")
        for table in _ALL:
            copy_to_postgres(warehouse, cursor, table)
        for statement in portable.statements("postgres"):
            cursor.execute(statement)

        def select(sql: str) -> Rows:
            cursor.execute(sql)
            return cursor.fetchall()

        yield select


def copy_to_postgres(warehouse: duckdb.DuckDBPyConnection, cursor: Any, table: Table) -> None:
    """The table as it is in DuckDB, without keys."""
    columns = ", ".join(f"{each.name} {_POSTGRES.get(each.type, each.type)}" for each in table.columns)
    cursor.execute(f"create table chat.{table.name} ({columns})")
    values = ", ".join(
        rf"'\x' || hex({each.name})" if each.type == "binary" else each.name for each in table.columns
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        rows = f"select {values} from chat.{table.name}"
        warehouse.execute(f"copy ({rows}) to '{path}' (header false, nullstr '', force_quote *)")
        with path.open("rb") as file:
            cursor.copy_expert(f"copy chat.{table.name} from stdin (format csv)", file)


@contextmanager
def on_spark(warehouse: duckdb.DuckDBPyConnection) -> Iterator[Select]:
    """Delta tables on S3, each read once by the executors, which keep it: the views read views many times."""
    with s3.serving() as access:
        for table in _ALL:
            columns = ", ".join(
                f"{each.name}::varchar as {each.name}" if each.type in ("text", "json") else each.name
                for each in table.columns  # some texts are stored as ENUM
            )
            rows = warehouse.sql(f"select {columns} from chat.{table.name}").to_arrow_table()
            write_deltalake(_uri(table), rows, storage_options=access)
        with spark.session(access) as session:
            session.sparkContext.addPyFile(delta_source.__file__)
            session.sql("create database chat")
            for table in _ALL:
                session.dataSource.register(delta_source.source(f"delta_{table.name}", _uri(table)))
                session.sql(f"create table chat.{table.name} using delta_{table.name}")
                session.sql(f"cache lazy table chat.{table.name}")
            for statement in portable.statements("spark"):
                session.sql(statement)
            session.sql("cache lazy table marts.completion_costs")
            yield lambda sql: [tuple(row) for row in session.sql(sql).collect()]


def _uri(table: Table) -> str:
    return f"s3://{s3.BUCKET}/chat/{table.name}"


ENGINES: dict[str, Engine] = {"postgres": on_postgres, "spark": on_spark}
