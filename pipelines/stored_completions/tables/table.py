"""What a table is: its name, key and columns, and the Arrow schema of these."""

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

LOAD_ID = "_dlt_load_id"

_ARROW = {
    "text": pa.string(),
    "json": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "decimal": pa.decimal128(18, 12),
    "money": pa.decimal128(38, 30),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "binary": pa.binary(),
}


@dataclass(frozen=True)
class Column:
    """One column; `type` is text, json (text that holds valid JSON), bigint, double, decimal
    (18 digits, 12 of them after the point), money (38 digits, 30 of them after the point), bool, timestamp (UTC), date (UTC) or binary."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """One table; `key` names the columns that identify a row and are never NULL."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema(
            pa.field(column.name, _ARROW[column.type], nullable=column.name not in self.required)
            for column in self.columns
        )

    @property
    def required(self) -> tuple[str, ...]:
        return (*self.key, LOAD_ID)


def loaded(name: str, description: str, key: str, columns: str) -> Table:
    """A table from lines of `name type meaning`; the load id that every loaded table carries is added."""
    own = kept(name, description, key, columns)
    load_id = Column(LOAD_ID, "text", "dlt's load package that wrote the row, see _dlt_loads")
    return Table(name, description, own.key, (*own.columns, load_id))


def kept(name: str, description: str, key: str, columns: str) -> Table:
    """The same for a table that no load package writes."""
    parsed = [Column(*line.split(maxsplit=2)) for line in columns.strip().splitlines()]
    return Table(name, description, tuple(key.split()), tuple(parsed))
