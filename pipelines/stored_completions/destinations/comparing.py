"""Is the dataset the same as the warehouse? Every table of both read, counted, and added up value by value."""

from dataclasses import dataclass

import duckdb

from stored_completions.destinations import arriving
from stored_completions.destinations.base import Destination
from stored_completions.destinations.units import SHIPPED, local


@dataclass(frozen=True)
class Compared:
    """A table on both sides; `is_same` when every value of every row is."""

    table: str
    rows_here: int
    rows_there: int
    is_same: bool


def compare(connection: duckdb.DuckDBPyConnection, destination: Destination) -> list[Compared]:
    """Every shipped table, by name; `connection` is to the published copy."""
    found = []
    with duckdb.connect() as memory:
        memory.execute("set TimeZone = 'UTC'")
        for table in sorted(SHIPPED, key=lambda table: table.name):
            names = ", ".join(f'"{column.name}"' for column in table.columns)
            here = arriving.digest_of(connection, f"select {names} from chat.{local(table)}", table)
            there = arriving.digest(memory, table, destination.read(table))
            found.append(Compared(table.name, here[0], there[0], here == there))
    return found
