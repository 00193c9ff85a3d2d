"""DuckDB's SQL as a tree in which every column is named and every expression has its type.

What a rewrite does often hangs on a type: a sum of whole numbers is one thing, a sum of money another.
"""

from collections.abc import Mapping

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from stored_completions.schema import SQL_TYPES
from stored_completions.tables import BOOKKEEPING, REFERENCE_TABLES, TABLES

Schema = dict[str, object]
"""Types by layer, relation and column."""

NOTHING_KEPT: Mapping[str, str] = {}


def table_schema() -> Schema:
    """That of the tables."""
    tables = {
        table.name: {column.name: SQL_TYPES[column.type] for column in table.columns}
        for table in (*TABLES, *REFERENCE_TABLES, *BOOKKEEPING)
    }
    return {"chat": tables}


def typed(sql: str, schema: Schema, kept: Mapping[str, str] = NOTHING_KEPT) -> exp.Query:
    """The select with stars written out and types at every expression; `kept` are selects to stand for relations."""
    tree = sqlglot.parse_one(sql, read="duckdb")
    for table in list(tree.find_all(exp.Table)):
        if made_of := kept.get(f"{table.db}.{table.name}"):
            select = sqlglot.parse_one(made_of, read="duckdb")
            assert isinstance(select, exp.Query), "a file holds one select"
            table.replace(select.subquery(table.alias_or_name))
    named = qualify(tree, schema=schema, dialect="duckdb", quote_identifiers=False)
    annotated = annotate_types(named, schema=schema, dialect="duckdb")
    assert isinstance(annotated, exp.Query), "a file holds one select"
    return annotated


def columns(tree: exp.Query) -> dict[str, str]:
    """Types of what a typed select returns, in order."""
    return {
        select.alias_or_name: select.type.sql("duckdb") if select.type else "unknown"
        for select in tree.selects
    }
