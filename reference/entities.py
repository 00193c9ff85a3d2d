"""The tables of schema chat as an entity diagram in Mermaid's language, which GitHub draws.

A child of a completion hangs on the table whose key is the longest part of its own; what keys do not show is listed here.
"""

from stored_completions.tables import LOAD_ID, Table

_ROOT = "completion_id"
_BESIDE_KEYS = (
    ("sources", "completions", "source", "||--o{"),
    ("sources", "sync_runs", "source", "||--o{"),
    ("sources", "price_multipliers", "source", "||--o{"),
    ("model_price_rules", "model_prices", "price_model_id", "}o--o{"),
)


def diagram(tables: tuple[Table, ...]) -> str:
    """Of the tables that join with another one; the others would only widen the picture."""
    names = {table.name for table in tables}
    links = [
        (parent.name, f"||--{'o|' if table.key == parent.key else 'o{'}", table.name, ", ".join(parent.key))
        for table in tables
        if (parent := _parent(table, tables))
    ]
    links += [
        (one, link, other, column) for one, other, column, link in _BESIDE_KEYS if {one, other} <= names
    ]
    linked = {name for one, _, other, _ in links for name in (one, other)}
    lines = ["erDiagram", *(f'    {one} {link} {other} : "{columns}"' for one, link, other, columns in links)]
    for table in tables:
        if table.name in linked:
            lines += [f"    {table.name} {{", *_attributes(table), "    }"]
    return "\n".join(lines)


def _parent(table: Table, tables: tuple[Table, ...]) -> Table | None:
    above = [
        other
        for other in tables
        if other.key[0] == _ROOT
        and table.key[: len(other.key)] == other.key
        and (len(other.key) < len(table.key) or tables.index(other) < tables.index(table))
    ]
    return max(above, key=lambda other: (len(other.key), -tables.index(other)), default=None)


def _attributes(table: Table) -> list[str]:
    """The key, and what else one joins and filters on; every column would hide the picture."""
    shown = [
        column
        for column in table.columns
        if column.name in (*table.key, "source", "created_date", "price_model_id") and column.name != LOAD_ID
    ]
    return [
        f"        {column.type} {column.name}{' PK' if column.name in table.key else ''}" for column in shown
    ]
