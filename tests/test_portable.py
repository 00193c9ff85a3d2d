"""The views and checks in other engines' SQL, as text: what is translated, and each rewrite. `make test-engines` runs them."""

import re

import duckdb
import pytest
import sqlglot
from click.testing import CliRunner

from stored_completions import models, portable, schema
from stored_completions.cli import cli
from stored_completions.portable.typed import table_schema, typed

ENGINES = pytest.mark.parametrize("dialect", ["postgres", "spark"])


def translated(sql: str, dialect: str) -> str:
    """What a select over the tables becomes, on one line."""
    return " ".join(portable.translated(typed(sql, table_schema()), dialect).split())


def test_a_view_runs_everywhere_or_says_whose_it_is() -> None:
    views = {view.relation: view for view in models.models("marts")}
    assert {view.engine for view in views.values()} == {None, "duckdb"}
    assert {"completion_costs", "completions_wide", "daily_usage", "metadata_usage", "finish_reasons"} <= {
        view.name for view in views.values() if view.is_portable
    }
    for view in [*views.values(), *models.models("checks")]:
        if view.is_portable:
            assert [name for name in view.reads & views.keys() if not views[name].is_portable] == []


@ENGINES
def test_every_view_and_check_is_translated(dialect: str) -> None:
    seen: set[str] = set()
    marts = {view.relation: view for view in models.models("marts")}
    printed = CliRunner().invoke(cli, ["views", "--dialect", dialect]).output
    assert printed.startswith({"spark": "set spark.sql.", "postgres": "create schema"}[dialect])
    for relation, sql in re.findall(r"create or replace view (\S+) as\n(.*?);\n\n", printed, re.DOTALL):
        assert marts[relation].reads & marts.keys() <= seen
        assert sqlglot.parse_one(sql, read=dialect).named_selects == list(marts[relation].columns)
        seen.add(relation)
    for check, sql in portable.checks(dialect):
        assert sqlglot.parse_one(sql, read=dialect).named_selects == list(check.columns)
    assert seen == {relation for relation, view in marts.items() if view.is_portable}


def test_duckdbs_views_are_printed_for_any_dataset() -> None:
    """Over tables that no sync keeps up to date, so those of schema reports are views, too."""
    printed = CliRunner().invoke(cli, ["views", "--dataset", "mine"]).output
    with duckdb.connect() as connection:
        connection.execute("create schema chat; create schema mine")
        schema.create_missing(connection)
        tables = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'chat'"
        ).fetchall()
        for (name,) in tables:
            connection.execute(f"create table mine.{name} as from chat.{name}")
        connection.execute("drop schema chat cascade")
        connection.execute(printed)
        made = connection.execute(
            "select view_name from duckdb_views() where schema_name like 'mine_%'"
        ).fetchall()
    assert {name for (name,) in made} == {view.name for view, _, _ in models.as_views()}


@pytest.mark.parametrize(
    ("sql", "dialect", "expected"),
    [
        (
            "select sum(usage.prompt_tokens) as n from chat.usage",
            "spark",
            "SUM(CAST(usage.prompt_tokens AS DECIMAL(38, 0)))",
        ),
        ("select sum(usage.prompt_tokens) as n from chat.usage", "postgres", "SUM(usage.prompt_tokens)"),
        ("select sum(model_prices.input) as n from chat.model_prices", "spark", "SUM(model_prices.input)"),
        (
            "select min(usage.completion_id) as n from chat.usage",
            "postgres",
            'MIN(usage.completion_id COLLATE "C")',
        ),
        ("select max(usage.created_date) as n from chat.usage", "postgres", "MAX(usage.created_date)"),
        ("select cast('-infinity' as date) as n from chat.usage", "spark", "CAST('0001-01-01' AS DATE)"),
        ("select cast('infinity' as date) as n from chat.usage", "spark", "CAST('9999-12-31' AS DATE)"),
        (
            r"select regexp_replace(usage.extra, '(a)', '-\1', 'g') as n from chat.usage",
            "spark",
            "REGEXP_REPLACE(usage.extra, '(a)', '-$1')",
        ),
    ],
)
def test_a_rewrite(sql: str, dialect: str, expected: str) -> None:
    assert translated(sql, dialect).startswith(f"SELECT {expected} AS n FROM")


def test_spark_is_asked_nothing_about_what_stands_in_a_with() -> None:
    sql = "with days as not materialized (select usage.created_date from chat.usage) select days.created_date from days"
    assert translated(sql, "spark").startswith("WITH days AS ( SELECT")
    assert translated(sql, "postgres").startswith("WITH days AS NOT MATERIALIZED (")
