"""The empty warehouse that comes with the package: all that statements would make, and as they would make it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import duckdb
import pytest

from reference.blank import make
from stored_completions import blank, definitions, models, warehouse

_CATALOG = (
    "select schema_name, table_name, comment from duckdb_tables() order by all",
    "select schema_name, view_name, sql, comment from duckdb_views() where not internal order by all",
    "select schema_name, table_name, column_index, column_name, data_type, is_nullable, column_default, comment"
    " from duckdb_columns() where not internal order by all",
    "select schema_name, table_name, constraint_type, constraint_text from duckdb_constraints() order by all",
    "from chat.definitions",
)


def _catalog(connection: duckdb.DuckDBPyConnection) -> list[list[tuple[object, ...]]]:
    return [connection.execute(question).fetchall() for question in _CATALOG]


@contextmanager
def _filled(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(warehouse.connect(path, read_only=False)) as connection:
        blank.fill(connection, path.parent)
        yield connection


@pytest.mark.parametrize("name", ["w.duckdb", "blank.db", 'a "quoted" name.duckdb'])
def test_the_empty_warehouse_is_the_one_that_statements_make(tmp_path: Path, name: str) -> None:
    make(tmp_path / "made.duckdb")
    with closing(duckdb.connect(tmp_path / "made.duckdb", read_only=True)) as connection:
        made = _catalog(connection)
    with _filled(tmp_path / name) as connection:
        assert _catalog(connection) == made, "blank.duckdb.gz is behind: run `make blank`"
        assert connection.execute(
            "select count(*) from duckdb_databases() where not internal"
        ).fetchall() == [(1,)]
    assert sorted(path.name for path in tmp_path.glob("*")) == sorted(["made.duckdb", name])


def test_it_holds_no_row_but_the_mark_of_its_sql(tmp_path: Path) -> None:
    with _filled(tmp_path / "w.duckdb") as connection:
        tables = connection.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        counts = {name: models.count(connection, f"from {name}") for (name,) in tables}
        assert {name: rows for name, rows in counts.items() if rows} == {"chat.definitions": 1}
        assert definitions.are_outdated(connection), "its prices are yet to come"


def test_what_has_tables_is_left_as_it_is(tmp_path: Path) -> None:
    with _filled(tmp_path / "w.duckdb") as connection:
        connection.execute("drop view marts.unpriced_models")
        before = _catalog(connection)
        blank.fill(connection, tmp_path)
        assert _catalog(connection) == before


def test_one_of_other_sql_is_brought_up_to_date(tmp_path: Path) -> None:
    with _filled(tmp_path / "w.duckdb") as connection:
        new = _catalog(connection)[:-1]
        definitions.note(connection, uuid4())
        connection.execute("create or replace view marts.threads as select 1 as other")
        connection.execute("comment on table chat.completions is null")
        connection.execute("alter table reports.turns alter completion_id type blob")
        definitions.refresh(connection)
        assert not definitions.are_outdated(connection)
    with closing(duckdb.connect(tmp_path / "w.duckdb", read_only=True)) as connection:
        assert _catalog(connection)[:-1] == new
