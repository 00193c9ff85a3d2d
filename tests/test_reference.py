"""sql/README.md is what the program says today, and every example has the answer that is kept there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from given import warehouse
from reference import dbt, demo
from reference.entities import diagram
from reference.page import page
from reference.relations import problems, relations
from stored_completions import models, query
from stored_completions.tables import TABLES, Column, Table

EXAMPLES = models.models("examples")


@pytest.fixture(scope="module")
def synced_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBPyConnection]:
    with query.reading(demo.make(tmp_path_factory.mktemp("demo"))) as connection:
        yield connection


def test_nothing_lacks_a_description_or_an_example(synced_demo: DuckDBPyConnection) -> None:
    assert problems(synced_demo) == []


def test_the_page_and_its_answers_are_those_of_today(synced_demo: DuckDBPyConnection) -> None:
    kept = (models.sql_folder() / "README.md").read_text(encoding="utf-8")
    assert page(synced_demo) == kept, "sql/README.md is behind: run `make reference`"


def test_the_sources_of_dbt_are_those_of_today(synced_demo: DuckDBPyConnection) -> None:
    kept = dbt.PATH.read_text(encoding="utf-8")
    assert dbt.sources(relations(synced_demo)) == kept, "sql/dbt/sources.yml is behind: run `make reference`"


def test_a_limit_is_kept_over_every_view(synced_demo: DuckDBPyConnection) -> None:
    """DuckDB 2.0 forgets it over some common table expressions that it materialises."""
    views = [model.relation for model in models.models("marts")]
    found = {view: len(synced_demo.execute(f"select * from {view} limit 1").fetchall()) for view in views}
    assert found == dict.fromkeys(views, 1)


def test_there_are_twenty_questions() -> None:
    assert len({example.description for example in EXAMPLES}) >= 20


def test_what_lacks_is_told_with_the_remedy(tmp_path: Path) -> None:
    examples = tmp_path / "examples"
    examples.mkdir()
    connection = warehouse()
    models.create_views(connection)
    without = problems(connection, tmp_path)
    assert [said for said in without if said.startswith("chat.choices ")] == [
        "chat.choices has no example: add sql/examples/NAME.sql with `-- about: chat.choices` "
        "(reference/__init__.py says how)."
    ]
    (examples / "a.sql").write_text("-- All answers.\n-- about: chat.choices\nselect 1 from chat.choices\n")
    (examples / "b.sql").write_text("-- How many?\n-- about: chat.nothing\nselect 1 from chat.choices\n")
    (examples / "c.sql").write_text("-- How many?\n-- about: chat.usage\nselect 1 from chat.choices\n")
    connection.execute("create table chat.stranger (a integer)")
    connection.execute("alter table chat.sources add column colour text")
    assert set(problems(connection, tmp_path)) - set(without) == {
        "chat.stranger is described nowhere: add it to tables/, or its file under sql/.",
        "chat.sources.colour is described nowhere.",
        "sql/examples/a.sql: the header is no question, it must end in a question mark.",
        "sql/examples/b.sql: about names chat.nothing, which is no table or view.",
        "sql/examples/c.sql: about names chat.usage, which the select does not read.",
    }


def test_a_table_hangs_on_the_longest_part_of_its_key() -> None:
    """Mermaid itself (11.17) drew this page's diagram; it is too heavy to be asked each time."""
    extra = Table("notes", "", ("completion_id", "choice_index", "place"), (Column("place", "bigint", ""),))
    drawn = diagram((*TABLES, extra)).splitlines()
    assert drawn[0] == "erDiagram"
    assert '    choices ||--o{ notes : "completion_id, choice_index"' in drawn
    assert '    logprobs ||--o{ top_logprobs : "completion_id, choice_index, kind, token_index"' in drawn
    assert '    completions ||--o| usage : "completion_id"' in drawn
    assert "        bigint place PK" in drawn
    assert "    notes {" in drawn
    assert "    quarantine {" not in drawn
    grammar = r'erDiagram|    \w+ (\|\||}o)--o[{|] \w+ : "[\w, ]+"|    \w+ {|        \w+ \w+( PK)?|    }'
    assert [line for line in drawn if not re.fullmatch(grammar, line)] == []
