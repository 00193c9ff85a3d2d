"""The views and checks of `sql/` in the SQL of other engines.

They are written for DuckDB. Those that do not say `engine: duckdb` in their header also run, translated,
on PostgreSQL 15 and Spark 4, over the same tables in schema `chat`, and give the same rows there: costs to
the last digit. The tables of schema `reports` are not kept there: where a view reads one, its select stands.
Spark needs its `SETTINGS` in the session that creates the views, and keeps them with each.
"""

from collections.abc import Mapping
from functools import cache

from sqlglot import exp

from stored_completions import models
from stored_completions.models import HERE, Model
from stored_completions.portable.rewrites import DIALECTS
from stored_completions.portable.typed import Schema, columns, table_schema, typed

SETTINGS = {
    # a product of decimals keeps its scale and fails where it has no room, as in DuckDB; else it is rounded
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    # a sum that does not fit is an error and not NULL
    "spark.sql.ansi.enabled": "true",
    # times are shown in UTC; days do not depend on it
    "spark.sql.session.timeZone": "UTC",
}
"""What a Spark session needs."""


def views(dialect: str, schemas: Mapping[str, str] = HERE) -> list[tuple[str, str]]:
    """Name (`marts.daily_usage`) and select of each view in `dialect` (postgres, spark), after those it reads.

    `schemas` says what chat and marts are called there.
    """
    marts = schemas["marts"]
    return [
        (f"{marts}.{relation.removeprefix('marts.')}", translated(_moved(tree, schemas), dialect))
        for relation, tree in _views().items()
    ]


def checks(dialect: str, schemas: Mapping[str, str] = HERE) -> list[tuple[Model, str]]:
    """Each data test of `sql/checks` and its select in `dialect`."""
    schema = _with_views(table_schema(), _views())
    return [
        (check, translated(_moved(typed(check.sql, schema), schemas), dialect))
        for check in models.models("checks")
        if check.is_portable
    ]


def statements(dialect: str, schemas: Mapping[str, str] = HERE) -> list[str]:
    """What makes every view anew that `dialect` (duckdb: all; postgres, spark) understands, over the tables that are there."""
    if dialect == "duckdb":
        made = [(name, sql) for _, name, sql in models.as_views(schemas)]
    else:
        made = views(dialect, schemas)
    settings = [f"set {name} = {value}" for name, value in SETTINGS.items()] if dialect == "spark" else []
    return [
        *settings,
        *(f"create schema if not exists {name}" for name in sorted({name.split(".")[0] for name, _ in made})),
        *(f"create or replace view {relation} as\n{sql}" for relation, sql in made),
    ]


def translated(tree: exp.Query, dialect: str) -> str:
    """A typed select in another engine's SQL."""
    return tree.copy().transform(DIALECTS[dialect]).sql(dialect=dialect, pretty=True, comments=False)


def _moved(tree: exp.Query, schemas: Mapping[str, str]) -> exp.Query:
    """The select with its relations in other schemas."""
    moved = tree.copy()
    for table in moved.find_all(exp.Table):
        if table.db in schemas:
            table.set("db", exp.to_identifier(schemas[table.db], quoted=table.args["db"].quoted))
    return moved


def names() -> set[str]:
    """Names of the views, without their schema."""
    return {view.name for view in _portable()}


def _portable() -> list[Model]:
    return [view for view in models.models("marts") if view.is_portable]


@cache
def _views() -> dict[str, exp.Query]:
    """Each view with its types, after those it reads."""
    found: dict[str, exp.Query] = {}
    kept = {model.relation: model.sql for model in models.models("reports")}
    for view in models.in_order([*_portable(), *models.models("reports")]):
        if view.relation not in kept:
            found[view.relation] = typed(view.sql, _with_views(table_schema(), found), kept)
    return found


def _with_views(schema: Schema, views: dict[str, exp.Query]) -> Schema:
    return schema | {"marts": {name.removeprefix("marts."): columns(tree) for name, tree in views.items()}}
