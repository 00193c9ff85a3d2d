"""The views and checks in other engines' SQL, as text: what is translated, and each rewrite. `make test-engines` runs them."""

import pytest
import sqlglot

from stored_completions import models, portable
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
    for relation, sql in portable.views(dialect):
        assert marts[relation].reads & marts.keys() <= seen
        assert sqlglot.parse_one(sql, read=dialect).named_selects == list(marts[relation].columns)
        seen.add(relation)
    for check, sql in portable.checks(dialect):
        assert sqlglot.parse_one(sql, read=dialect).named_selects == list(check.columns)
    assert seen == {relation for relation, view in marts.items() if view.is_portable}


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
