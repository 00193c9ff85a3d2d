"""Completions as the API sent them -> Arrow tables of schema `chat`, exactly.

Nearly all have the `usual` shape, which one typed decoder reads; what has anything else in it, or a value
that its column cannot hold, takes the `exact` way, ten times as long. Both make the same rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stored_completions import exact, usual
from stored_completions import extra as fit
from stored_completions.arguments import judged
from stored_completions.exact import Gathered, Row
from stored_completions.items import Item
from stored_completions.logprobs import logprob_tables, same
from stored_completions.tables import CHOICES, COMPLETIONS, LOAD_ID, TABLES, TOOL_CALLS, Table

_ENOUGH = 1000  # rows that are worth an Arrow array: fewer cost more than they free


@dataclass(frozen=True)
class Known:
    """What the warehouse already holds of a completion."""

    row_hash: str | None
    source: str
    first_seen_at: int
    messages_synced_at: int | None


class Rows:
    """Rows of many completions, on their way into Arrow tables; page by page, to keep memory flat."""

    def __init__(self, source: str, now: int) -> None:
        """`source` is the configured name, `now` the time of loading in microseconds."""
        self._source = source
        self._now = now
        self._gathered = Gathered({table.name: [] for table in TABLES}, [])
        self._parts: dict[str, list[pa.Table]] = {table.name: [] for table in TABLES}

    def add(self, listed: Item, known: Known | None = None) -> None:
        """Adds one completion; `known` is what the warehouse has of it, whose own stamps survive."""
        first_seen = known.first_seen_at if known else self._now
        messages_synced_at = known.messages_synced_at if known else None
        ours = (self._source, listed.row_hash, first_seen, self._now, None, messages_synced_at)
        if not usual.add(listed, ours, self._gathered):
            exact.add(listed, ours, self._gathered)

    def set_aside(self, digest: str, text: str, reason: str) -> None:
        """Puts an object that cannot be loaded into quarantine, whole; `digest` is the SHA-256 of its text."""
        self._gathered.rows["quarantine"].append((digest, self._source, reason, text, self._now))

    def end_page(self) -> None:
        """Turns what was gathered into columns, so that the page's bytes and the Python objects can go."""
        if self._gathered.slices:
            for name, part in logprob_tables(self._gathered.slices).items():
                self._parts[name].append(part)
            self._gathered.slices.clear()
        self._gather(at_least=_ENOUGH)

    def tables(self, load_id: str) -> Iterator[tuple[Table, pa.Table]]:
        """Every table with its rows, stamped with dlt's load id; tables without rows too.

        They are handed over, once: memory must not hold a round while, and after, it is loaded.
        """
        self.end_page()
        self._gather(at_least=0)
        light = (COMPLETIONS, CHOICES, TOOL_CALLS)
        together = [pa.concat_tables(self._parts[table.name]) for table in light]
        choices, tool_calls = judged(*together)
        self._parts |= {CHOICES.name: [choices], TOOL_CALLS.name: [tool_calls]}
        for table in TABLES:
            yield table, stamp(pa.concat_tables(self._parts.pop(table.name)), table, load_id)

    def _gather(self, at_least: int) -> None:
        for table in TABLES:
            rows, parts = self._gathered.rows[table.name], self._parts[table.name]
            if len(rows) >= at_least and (rows or not parts):
                parts.append(arrow(table, rows))
                rows.clear()


def stamp(rows: pa.Table, table: Table, load_id: str) -> pa.Table:
    """`rows` with the load id as their last column, in the table's schema; what repeats stays a dictionary."""
    stamped = rows.append_column(LOAD_ID, same(load_id, rows.num_rows))
    types = [
        found.type if pa.types.is_dictionary(found.type) else field.type
        for found, field in zip(stamped.schema, table.schema, strict=True)
    ]
    fields = [field.with_type(kind) for field, kind in zip(table.schema, types, strict=True)]
    return stamped.cast(pa.schema(fields))


def arrow(table: Table, rows: list[Row]) -> pa.Table:
    """Rows as columns, all but the load id."""
    if table is CHOICES:
        rows = [(*row[:-1], fit.dumps(row[-1])) for row in rows]
    columns = zip(*rows, strict=True) if rows else [()] * (len(table.columns) - 1)
    arrays = [_array(column, field.type) for column, field in zip(columns, table.schema, strict=False)]
    return pa.table(arrays, names=table.schema.names[:-1])


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_date(kind):
        return pa.array(values, pa.int32()).cast(kind)
    return pa.array(values, kind)
