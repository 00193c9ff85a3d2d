"""What there is to describe: every table and view of a warehouse, its columns with type and meaning, its examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from stored_completions import models
from stored_completions.models import Model
from stored_completions.tables import BOOKKEEPING, LOAD_ID, REFERENCE_TABLES, TABLES, Table

START = "completions_wide"
SCHEMAS = ("chat", "marts", "reports")


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Relation:
    """`grain` names the columns that tell its rows apart; `is_portable`: a view that runs on other engines too."""

    name: str
    description: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    examples: tuple[Model, ...]
    is_portable: bool

    @property
    def schema(self) -> str:
        return self.name.partition(".")[0]


def relations(connection: duckdb.DuckDBPyConnection, folder: Path | None = None) -> list[Relation]:
    """All that is described: tables in the order of `tables/`, views by name after the one to start from."""
    types = _types(connection)
    examples = models.models("examples", folder)
    portable = {view.relation for view in models.models("marts") if view.is_portable}
    return [
        Relation(
            name,
            description,
            grain,
            _columns(types.get(name, {}), columns),
            tuple(example for example in examples if example.about == name),
            name in portable,
        )
        for name, description, grain, columns in (*_tables(), *_models())
    ]


def problems(connection: duckdb.DuckDBPyConnection, folder: Path | None = None) -> list[str]:
    """What the reference would lack, one sentence each with the remedy."""
    described = {relation.name: relation for relation in relations(connection, folder)}
    said = []
    for name, types in _types(connection).items():
        if name.removesuffix("_marks") not in described:
            said.append(f"{name} is described nowhere: add it to tables/, or its file under sql/.")
        elif name in described:
            said += [
                f"{name}.{column} is described nowhere." for column in _undescribed(described[name], types)
            ]
    said += [
        f"{name} has no example: add sql/examples/NAME.sql with `-- about: {name}` (reference/__init__.py says how)."
        for name, relation in described.items()
        if not relation.examples
    ]
    return [*said, *_example_problems(models.models("examples", folder), set(described))]


def _undescribed(relation: Relation, types: dict[str, str]) -> list[str]:
    known = {column.name for column in relation.columns}
    return [column for column in types if column not in known and not column.startswith("_dlt_")]


def _example_problems(examples: list[Model], known: set[str]) -> Iterator[str]:
    for example in examples:
        where = f"sql/examples/{example.name}.sql"
        if not example.description.endswith("?"):
            yield f"{where}: the header is no question, it must end in a question mark."
        if example.about not in known:
            yield f"{where}: about names {example.about or 'nothing'}, which is no table or view."
        elif example.about not in example.reads:
            yield f"{where}: about names {example.about}, which the select does not read."


def _tables() -> Iterator[tuple[str, str, tuple[str, ...], dict[str, str]]]:
    for table in (*TABLES, *REFERENCE_TABLES, *BOOKKEEPING):
        yield f"chat.{table.name}", table.description, table.key, _meanings(table)


def _models() -> Iterator[tuple[str, str, tuple[str, ...], dict[str, str]]]:
    for layer in SCHEMAS[1:]:
        for model in sorted(models.models(layer), key=lambda each: (each.name != START, each.name)):
            yield model.relation, model.description, model.grain, model.columns


def _meanings(table: Table) -> dict[str, str]:
    return {
        column.name: f"{column.description} (JSON)" if column.type == "json" else column.description
        for column in table.columns
        if column.name != LOAD_ID
    }


def _columns(types: dict[str, str], meanings: dict[str, str]) -> tuple[Column, ...]:
    return tuple(Column(name, types.get(name, ""), meaning) for name, meaning in meanings.items())


def _types(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Types by relation and column, as the warehouse has them."""
    rows = connection.execute(
        "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns()"
        " where database_name = current_database() and not internal order by 1, column_index"
    ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for relation, column, type_ in rows:
        schema, _, name = relation.partition(".")
        if schema in SCHEMAS and not name.startswith("_dlt_"):
            found.setdefault(relation, {})[column] = type_.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
    return found
