"""Which destinations there are, what they are refused for, and text on its way; the rest is `make test-engines`."""

from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stored_completions import blank, warehouse
from stored_completions.destinations.arriving import digest_of, insert
from stored_completions.destinations.kinds import Target, chosen
from stored_completions.destinations.texts import escaped, unescaped
from stored_completions.destinations.units import SHIPPED, local
from stored_completions.errors import UsageError
from stored_completions.tables import Column

TEXT = Column("text", "text", "")


@pytest.mark.parametrize("name", [None, "", "duckdb", "DuckDB"])
def test_by_default_there_is_the_file_alone(name: str | None) -> None:
    assert chosen(name, None) is None


def test_names_are_those_of_dlt() -> None:
    assert chosen(" Postgres ", None) == Target("postgres", "chat")
    assert chosen("postgres", "mine") == Target("postgres", "mine")
    assert chosen("ducklake", None, "", "") == Target("ducklake", "chat")
    assert chosen("filesystem", None, "delta") == Target("filesystem", "chat")


def test_what_we_have_no_way_of_our_own_for_goes_through_dlt() -> None:
    for name in ("motherduck", "snowflake", "bigquery", "databricks", "clickhouse"):
        assert chosen(name, None) == Target(name, "chat", goes_through_dlt=True)
    assert chosen("postgres", None, None, "DLT") == Target("postgres", "chat", goes_through_dlt=True)
    for name, loader in (("ducklake", "dlt"), ("postgres", "copy")):
        with pytest.raises(UsageError, match=f"loader is '{loader}' for destination {name}"):
            chosen(name, None, None, loader)


@pytest.mark.parametrize(
    ("name", "dataset", "said"),
    [
        ("oracle", None, "it must be one of duckdb, postgres"),
        ("filesystem", None, "in plain parquet files nothing can be replaced"),
        ("postgres", 'x"; drop', "it must be a name of lower-case letters"),
        ("postgres", "Chat", "it must be a name of lower-case letters"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(name: str, dataset: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(name, dataset)


@given(st.lists(st.one_of(st.none(), st.text(alphabet="\0␀␛nea'\\é😀", max_size=12)), min_size=1))
def test_text_without_nul_is_read_back_as_it_was(texts: list[str | None]) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table sent as select unnest(?::varchar[]) as text", [texts])
        connection.execute(f"create table stored as select {escaped(TEXT)} from sent")
        stored = [row[0] for row in connection.execute("from stored").fetchall()]
        back = [row[0] for row in connection.execute(f"select {unescaped(TEXT)} from stored").fetchall()]
    assert back == texts
    assert not any("\0" in text for text in stored if text)
    assert len(set(stored)) == len(set(texts))


def test_every_text_leaves_and_comes_back_as_text_however_it_is_stored(tmp_path: Path) -> None:
    """Some are an ENUM or a UUID in the file, which destinations do not know."""
    with closing(warehouse.connect(tmp_path / "w.duckdb", read_only=False)) as connection:
        blank.fill(connection, tmp_path)
        for table in SHIPPED:
            said = {column.name: column.type for column in table.columns}
            leaving = connection.sql(
                f"select {', '.join(map(escaped, table.columns))} from chat.{local(table)}"
            ).to_arrow_table()
            texts = [field for field in leaving.schema if said[field.name] in ("text", "json")]
            assert {field.name: field.type for field in texts} == {field.name: pa.string() for field in texts}
            batches = iter(leaving.to_batches())
            before = digest_of(connection, f"from chat.{local(table)}", table)
            connection.execute(f"delete from chat.{local(table)}")
            insert(connection, f"chat.{local(table)}", table, batches, lambda _: None)
            assert digest_of(connection, f"from chat.{local(table)}", table) == before
