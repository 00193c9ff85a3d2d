"""What a kept table was made of, day by day: a few words for each day that change when its rows would.

Nothing else needs to be remembered, so it does not matter how a sync before this one ended.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb


@dataclass(frozen=True)
class Marks:
    """`relation` holds what `found` selected when a day was renewed: created_date, then the columns named here."""

    relation: str
    found: str
    columns: tuple[str, ...]

    def create(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(
            f"create table if not exists {self.relation} as"
            f" select created_date, {', '.join(self.columns)}, null::varchar as basis from ({self.found}) limit 0"
        )

    def stale(self, connection: duckdb.DuckDBPyConnection, basis: str) -> list[date | None]:
        """Days of which other rows are there than those that were noted; also days that have none any more.

        All of them are when `basis` is another one: what makes other rows of the same.
        """
        differ = " or ".join(f"found.{name} is distinct from marks.{name}" for name in self.columns)
        rows = connection.execute(
            f"with found as ({self.found}) select coalesce(found.created_date, marks.created_date)"
            f" from found full join {self.relation} as marks"
            " on found.created_date is not distinct from marks.created_date"
            f" where {differ} or marks.basis is distinct from ?",
            [basis],
        ).fetchall()
        return [row[0] for row in rows]

    def note(self, connection: duckdb.DuckDBPyConnection, basis: str, inside: str) -> None:
        """Notes what the days are made of now; `inside` is a condition on created_date."""
        connection.execute(f"delete from {self.relation} where {inside}")
        names = f"created_date, {', '.join(self.columns)}"
        connection.execute(
            f"insert into {self.relation} select {names}, ? from ({self.found}) where {inside}", [basis]
        )


def inside(days: Sequence[date | None], column: str = "created_date") -> str:
    """Days as a condition on a column that DuckDB can bring down to the tables."""
    listed = ", ".join(f"date '{day}'" for day in days if day is not None)
    conditions = [f"{column} in ({listed})"] if listed else []
    return f"({' or '.join([*conditions, *([f'{column} is null'] if None in days else [])])})"


def in_parts(sizes: Mapping[date | None, int], at_once: int) -> Iterator[list[date | None]]:
    """Days in their order, in parts of so many rows `at_once`; one that has more by itself is a part."""
    part: list[date | None] = []
    size = 0
    for day in sorted(sizes, key=lambda day: day or date.min):
        size += sizes[day]
        if part and size > at_once:
            yield part
            part, size = [], sizes[day]
        part.append(day)
    if part:
        yield part
