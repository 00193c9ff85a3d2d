"""Headers and the SQL below them, views and their comments, the layers."""

import re
from pathlib import Path

import duckdb
import pytest

from given import warehouse
from stored_completions import models
from stored_completions.models import Model
from stored_completions.tables import BOOKKEEPING, REFERENCE_TABLES, TABLES

GOOD = """-- Answers of a completion,
-- of which it has several.
-- grain: completion_id
-- columns:
--   completion_id  the completion's id
--   answers        how many,
--                  at least 1
select
    choices.completion_id,
    count(*) as answers
from chat.choices
group by choices.completion_id
"""

ALL = [model for layer in ("marts", "reports", "checks") for model in models.models(layer)]
EVERY_MODEL = pytest.mark.parametrize("model", ALL, ids=lambda model: model.relation)


def write(folder: Path, layer: str, name: str, text: str) -> None:
    (folder / layer).mkdir(exist_ok=True)
    (folder / layer / f"{name}.sql").write_text(text)


def test_a_file_is_parsed_into_header_and_select(tmp_path: Path) -> None:
    write(tmp_path, "marts", "answers", GOOD)
    assert models.models("marts", tmp_path) == [
        Model(
            name="answers",
            layer="marts",
            description="Answers of a completion, of which it has several.",
            grain=("completion_id",),
            columns={"completion_id": "the completion's id", "answers": "how many, at least 1"},
            sql=GOOD[GOOD.index("select") :].strip(),
        )
    ]


def test_the_sql_folder_is_found_in_the_checkout() -> None:
    assert models.sql_folder() == Path(__file__).resolve().parents[1] / "sql"
    assert {"completions_wide", "daily_usage", "finish_reasons", "freshness"} <= {
        model.name for model in models.models("marts")
    }
    assert len(models.models("checks")) >= 5


def test_every_header_is_true_of_its_select() -> None:
    connection = warehouse(
        completions=[{"completion_id": "a"}, {"completion_id": "b"}],
        choices=[{"completion_id": "a", "choice_index": index} for index in (0, 1)],
        sources=[{"source": "default"}],
    )
    models.create_views(connection)
    assert models.header_problems(connection) == []


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (
            GOOD.replace("--   answers        how many,\n--                  at least 1\n", ""),
            "the header lists completion_id; the select has completion_id, answers",
        ),
        (
            GOOD.replace(
                "    choices.completion_id,\n    count(*) as answers",
                "    count(*) as answers,\n    choices.completion_id",
            ),
            "the header lists completion_id, answers; the select has answers, completion_id",
        ),
        (
            GOOD.replace("-- Answers of a completion,\n-- of which it has several.\n", ""),
            "the header does not say what it is",
        ),
        (
            GOOD.replace("-- grain: completion_id\n", ""),
            "the header has no `-- grain:` line, which names the columns that no two rows have alike",
        ),
        (
            GOOD.replace("grain: completion_id", "grain: completion_id, model"),
            "the grain names model, which the select does not have",
        ),
        (
            GOOD.replace("grain: completion_id", "grain: answers"),
            "1 values of the grain answers have several rows",
        ),
        (
            GOOD.replace("    choices.completion_id,", "    null as completion_id,"),
            "1 values of the grain completion_id have several rows",
        ),
    ],
)
def test_a_header_that_is_not_true_is_told(tmp_path: Path, header: str, problem: str) -> None:
    connection = warehouse(choices=[{"completion_id": id, "choice_index": 0} for id in "ab"])
    write(tmp_path, "marts", "answers", header)
    assert models.header_problems(connection, tmp_path) == [f"marts/answers.sql: {problem}"]


def test_a_true_header_is_silent(tmp_path: Path) -> None:
    connection = warehouse(choices=[{"completion_id": id, "choice_index": 0} for id in "ab"])
    write(tmp_path, "marts", "answers", GOOD)
    assert models.header_problems(connection, tmp_path) == []


@EVERY_MODEL
def test_a_layer_reads_only_the_ones_that_it_may(model: Model) -> None:
    """Views may read the tables that are kept of other views."""
    may_read = {"chat", "marts", "reports"} if model.layer in ("marts", "checks") else {"chat", "marts"}
    assert model.reads
    assert {relation.partition(".")[0] for relation in model.reads} <= may_read


@EVERY_MODEL
def test_a_file_is_one_portable_select(model: Model) -> None:
    assert re.match(r"(with|select)\s", model.sql)
    assert ";" not in model.sql
    assert "\t" not in model.sql
    only_duckdb = r"group by all|try_cast|arg_min|arg_max|quantile_cont|asof|json_|::|\bfilter \(|qualify"
    assert not re.search(only_duckdb, model.sql)


def test_views_are_created_after_what_they_read() -> None:
    late = [
        Model("a", "marts", "", (), {}, "select * from marts.b"),
        Model("b", "marts", "", (), {}, "select * from marts.c, chat.usage"),
        Model("c", "marts", "", (), {}, "select * from chat.usage"),
    ]
    assert [view.name for view in models.in_order(late)] == ["c", "b", "a"]


def test_views_and_tables_are_described_in_the_warehouse() -> None:
    connection = warehouse()
    described_models = [*models.models("marts"), *models.models("reports")]
    described_tables = (*TABLES, *REFERENCE_TABLES, *BOOKKEEPING)
    models.comment_tables(connection)
    models.create_views(connection)
    models.create_views(connection)
    described = dict(
        connection.execute(
            "select schema_name || '.' || view_name, comment from duckdb_views() where schema_name = 'marts'"
            " union all select schema_name || '.' || table_name, comment from duckdb_tables()"
        ).fetchall()
    )
    assert described == {
        **{f"chat.{table.name}": table.description for table in described_tables},
        **{view.relation: f"{view.description} Grain: {', '.join(view.grain)}." for view in described_models},
    }
    columns = connection.execute(
        "select schema_name || '.' || table_name || '.' || column_name, comment from duckdb_columns()"
        " where schema_name in ('chat', 'marts', 'reports')"
    ).fetchall()
    assert dict(columns) == {
        **{
            f"chat.{table.name}.{column.name}": column.description
            for table in described_tables
            for column in table.columns
        },
        **{
            f"{view.relation}.{name}": text
            for view in described_models
            for name, text in view.columns.items()
        },
    }


def test_views_survive_a_copy_of_the_file_under_another_name(tmp_path: Path) -> None:
    source = warehouse(completions=[{"completion_id": "a"}])
    models.create_views(source)
    source.execute(f"attach '{tmp_path}/published.duckdb' as published")
    source.execute("copy from database memory to published")
    source.execute("detach published")
    with duckdb.connect(str(tmp_path / "published.duckdb"), read_only=True) as published:
        assert published.execute("select completion_id from marts.completions_wide").fetchall() == [("a",)]
        assert published.execute("select sum(completions) from marts.daily_usage").fetchall() == [(1,)]


def test_the_fingerprint_changes_with_any_file(tmp_path: Path) -> None:
    write(tmp_path, "marts", "answers", GOOD)
    before = models.fingerprint(tmp_path)
    assert models.fingerprint(tmp_path) == before
    write(tmp_path, "checks", "answers", GOOD)
    with_check = models.fingerprint(tmp_path)
    write(tmp_path, "checks", "answers", GOOD.replace("at least 1", "at least one"))
    assert len({before, with_check, models.fingerprint(tmp_path)}) == 3
