"""The SQL under `sql/`: one file is one relation, and its header is all that describes it.

Knows how headers are written, and how views come to be from files.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from hashlib import sha256
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from stored_completions.tables import BOOKKEEPING, REFERENCE_TABLES, TABLES

LAYERS = ("chat", "marts", "reports", "custom")
DAY_MARKS = "reports.daily_costs_marks"
TURN_MARKS = "reports.turns_marks"

_COLUMN = re.compile(r"   (\w+)\s+(\S.*)")
_WORD = re.compile(r" (about|engine): *(\S+) *")
_RELATION = re.compile(rf"\b({'|'.join(LAYERS)})\.(\w+)")


@dataclass(frozen=True)
class Model:
    """One file; `columns` maps each name, in order, to its meaning, `sql` is the bare select.

    An example's description is its question, and `about` the relation that it shows, e.g. marts.daily_usage.
    `engine` names the only one that understands it, duckdb; without, see `portable`.
    """

    name: str
    layer: str
    description: str
    grain: tuple[str, ...]
    columns: dict[str, str]
    sql: str
    about: str | None = None
    engine: str | None = None

    @property
    def is_portable(self) -> bool:
        return self.engine is None

    @property
    def relation(self) -> str:
        return f"{self.layer}.{self.name}"

    @property
    def reads(self) -> frozenset[str]:
        """Relations the select names, e.g. chat.usage."""
        return frozenset(f"{layer}.{name}" for layer, name in _RELATION.findall(self.sql))


def sql_folder() -> Path:
    """`sql/` inside the installed package, else beside `pipelines/` in the checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "sql"
    return installed if installed.is_dir() else package.parents[1] / "sql"


def models(layer: str, folder: Path | None = None) -> list[Model]:
    """Every file of a layer (marts, reports, checks, examples), by name."""
    return [parsed(path) for path in sorted(((folder or sql_folder()) / layer).glob("*.sql"))]


def parsed(path: Path) -> Model:
    """The model in a file; a part that its header lacks is empty, and `header_problems` tells."""
    lines = path.read_text(encoding="utf-8").splitlines()
    length = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
    sql = "\n".join(lines[length:]).strip()
    return Model(path.stem, path.parent.name, sql=sql, **_header([line[2:] for line in lines[:length]]))


def _header(lines: list[str]) -> dict[str, Any]:
    sentences: list[str] = []
    grain: tuple[str, ...] = ()
    said: dict[str, str] = {}
    columns: dict[str, str] = {}
    for line in lines:
        if line.startswith(" grain:"):
            grain = tuple(name.strip() for name in line.removeprefix(" grain:").split(",") if name.strip())
        elif word := _WORD.fullmatch(line):
            said[word[1]] = word[2]
        elif column := _COLUMN.fullmatch(line):
            columns[column[1]] = column[2]
        elif columns:
            columns[next(reversed(columns))] += " " + line.strip()
        elif line != " columns:":
            sentences.append(line.strip())
    return {"description": " ".join(sentences), "grain": grain, "columns": columns, **said}


def create_views(connection: DuckDBPyConnection) -> None:
    """Creates or replaces every view of schema marts, described as its header does.

    A warehouse that was never given prices gets their tables empty: its costs are NULL, its views work. So do the
    tables of schema reports, which views read too, until `reports.rollup` fills them.
    """
    create_reference_tables(connection)
    connection.execute("create schema if not exists marts")
    connection.execute("create schema if not exists reports")
    for model in in_order([*models("marts"), *models("reports")]):
        if model.layer == "reports":
            if not is_kept(connection, model) or _types(connection, f"from {model.relation}") != _types(
                connection, model.sql
            ):
                create_kept(connection, model)
        else:
            connection.execute(f"create or replace view {model.relation} as\n{model.sql}")
        describe(connection, model, model.columns)


def is_kept(connection: DuckDBPyConnection, model: Model) -> bool:
    """Whether the table of a file under `sql/reports` is there with the columns of today."""
    found = connection.execute(
        "select column_name from duckdb_columns() where database_name = current_database() and schema_name = ?"
        " and table_name = ? order by column_index",
        [model.layer, model.name],
    )
    return [row[0] for row in found.fetchall()] == list(model.columns)


def create_kept(connection: DuckDBPyConnection, model: Model) -> None:
    """Makes the table of a file under `sql/reports`, empty, and forgets what any of them was made of."""
    connection.execute(f"create or replace table {model.relation} as\n{model.sql}\nlimit 0")
    for marks in (DAY_MARKS, TURN_MARKS):
        connection.execute(f"drop table if exists {marks}")


def describe(connection: DuckDBPyConnection, model: Model, columns: dict[str, str]) -> None:
    """Puts what a header says onto its view or table."""
    description = f"{model.description} Grain: {', '.join(model.grain)}."
    kind = "table" if model.layer == "reports" else "view"
    _comment(connection, kind, model.relation, description, columns)


def create_reference_tables(connection: DuckDBPyConnection) -> None:
    """Creates those of the tables that no page brings which are missing, empty."""
    connection.execute("create schema if not exists chat")
    existing = _existing(connection)
    for table in REFERENCE_TABLES:
        if table.name not in existing:
            connection.register("empty", table.schema.empty_table())
            connection.execute(f"create table chat.{table.name} as select * from empty")
            connection.unregister("empty")


def _existing(connection: DuckDBPyConnection) -> set[str]:
    rows = connection.execute("select table_name from duckdb_tables() where schema_name = 'chat'").fetchall()
    return {row[0] for row in rows}


def in_order(views: list[Model]) -> list[Model]:
    """The views, each after those it reads."""
    by_relation = {view.relation: view for view in views}
    graph = {view.relation: view.reads & by_relation.keys() for view in views}
    return [by_relation[relation] for relation in TopologicalSorter(graph).static_order()]


def behind(name: str) -> list[Model]:
    """A view of schema marts after every other that it reads, at whatever remove."""
    views = {view.relation: view for view in models("marts")}
    wanted = [f"marts.{name}"]
    for relation in wanted:
        wanted += sorted((views[relation].reads & views.keys()) - set(wanted))
    return in_order([views[relation] for relation in wanted])


def comment_tables(connection: DuckDBPyConnection) -> None:
    """Puts the descriptions of `tables` onto the tables of schema chat."""
    create_reference_tables(connection)
    existing = _existing(connection)
    bookkeeping = [table for table in BOOKKEEPING if table.name in existing]
    for table in (*TABLES, *REFERENCE_TABLES, *bookkeeping):
        columns = {column.name: column.description for column in table.columns}
        _comment(connection, "table", f"chat.{table.name}", table.description, columns)


def fingerprint(folder: Path | None = None) -> str:
    """Changes with any view, report or check and any table's description: as long as it stays, nothing needs rebuilding."""
    digest = sha256(repr((TABLES, REFERENCE_TABLES, BOOKKEEPING)).encode())
    folder = folder or sql_folder()
    for path in sorted(path for path in folder.rglob("*.sql") if path.parent.name != "examples"):
        digest.update(f"\0{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


HERE = {"chat": "chat", "marts": "marts", "reports": "reports"}
"""The schemas as a warehouse has them."""


def as_views(schemas: Mapping[str, str] = HERE) -> list[tuple[Model, str, str]]:
    """Every file of marts and reports with its name and select there, after those it reads: for a DuckDB over tables that
    no sync keeps, where also those of schema reports are views."""
    return [
        (each, in_schemas(each.relation, schemas), in_schemas(each.sql, schemas))
        for each in in_order([*models("reports"), *models("marts")])
    ]


def in_schemas(sql: str, schemas: Mapping[str, str]) -> str:
    """The select with its relations in schemas of other names."""
    return _RELATION.sub(lambda found: f"{schemas.get(found[1], found[1])}.{found[2]}", sql)


def header_problems(connection: DuckDBPyConnection, folder: Path | None = None) -> list[str]:
    """What the headers of views and checks say that is not so, one sentence each."""
    return [
        f"{model.layer}/{model.name}.sql: {problem}"
        for layer in ("marts", "checks")
        for model in models(layer, folder)
        for problem in _header_problems(connection, model)
    ]


def _header_problems(connection: DuckDBPyConnection, model: Model) -> Iterator[str]:
    columns = column_names(connection, model.sql)
    yield from untrue(model, columns)
    if not model.grain or not set(model.grain) <= set(columns):
        return
    grain = ", ".join(model.grain)
    repeated = f"select {grain} from (\n{model.sql}\n) group by {grain} having count(*) > 1"
    if number := count(connection, repeated):
        yield f"{number} values of the grain {grain} have several rows"


def untrue(model: Model, columns: list[str]) -> Iterator[str]:
    """What a header says that is not so of a select with these columns."""
    if not model.description:
        yield "the header does not say what it is"
    if list(model.columns) != columns:
        yield f"the header lists {', '.join(model.columns) or 'no columns'}; the select has {', '.join(columns)}"
    missing = [name for name in model.grain if name not in columns]
    if not model.grain:
        yield "the header has no `-- grain:` line, which names the columns that no two rows have alike"
    elif missing:
        yield f"the grain names {', '.join(missing)}, which the select does not have"


def _comment(
    connection: DuckDBPyConnection, kind: str, relation: str, description: str, columns: dict[str, str]
) -> None:
    statements = [f"comment on {kind} {relation} is {quoted(description)}"]
    statements += [
        f"comment on column {relation}.{name} is {quoted(meaning)}" for name, meaning in columns.items()
    ]
    connection.execute(";\n".join(statements))


def quoted(text: str) -> str:
    """As a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def count(connection: DuckDBPyConnection, sql: str) -> int:
    """How many rows a query returns."""
    return int(connection.execute(f"select count(*) from (\n{sql}\n)").fetchall()[0][0])


def column_names(connection: DuckDBPyConnection, sql: str) -> list[str]:
    """Names of what a query returns, in order."""
    return [name for name, _ in _types(connection, sql)]


def _types(connection: DuckDBPyConnection, sql: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(f"describe (\n{sql}\n)").fetchall()]
