"""How much memory DuckDB needs to store long values: it stores a column 2,048 rows at a time, and holds all of them.

Short values need next to nothing. 2,048 answers of 90 KB are 184 MB, and where DuckDB may not have as much, it cannot
write down what it has committed already.
"""

import contextlib
from collections.abc import Callable

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

MakeRoom = Callable[[pa.Table], None]
"""Called with rows that are about to be inserted."""

_AT_ONCE = 2_048  # rows; DuckDB's vector
_TEXTS = {
    "completions": ("tools", "response_format", "extra"),
    "choices": ("content", "extra"),
    "tool_calls": ("arguments",),
    "messages": ("content", "content_parts", "extra"),
    "quarantine": ("body",),
}
_BLOBS = {"choices": ("audio_data",), "attachments": ("data",)}


class Room:
    """The memory of an open database: what it is allowed, and beside that what the longest values need so far."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, needed: int = 0) -> None:
        """`needed` is what the values that are there need, in bytes."""
        self._connection = connection
        self._needed = needed
        self._allowed = 0

    def allow(self, memory: int) -> None:
        """Lets it have so many bytes from now on, and what long values need."""
        self._allowed = memory
        self.limit(memory + self._needed)

    def limit(self, memory: int) -> None:
        """Lets it have so many bytes and no more; nothing changes where it holds more and cannot let go of it now."""
        with contextlib.suppress(duckdb.OutOfMemoryException):
            self._connection.execute(f"set global memory_limit = '{memory} B'")

    def make(self, rows: pa.Table) -> None:
        """Lets it have what it needs to store values as long as these, from now on."""
        needed = for_rows(rows)
        if needed > self._needed:
            self._needed = needed
            self.allow(self._allowed)


def for_rows(rows: pa.Table) -> int:
    """Bytes that are needed to store so many values as long as these in the mean, of the column whose are longest."""
    lengths = [_bytes(column) for column in rows.columns if _is_long(column.type)]
    return _AT_ONCE * max(lengths, default=0) // max(int(rows.num_rows), 1)


def for_last(connection: duckdb.DuckDBPyConnection) -> int:
    """Bytes that are needed to go on where tables end: what stands there is stored again, with what comes after it."""
    sums = [
        f"(select sum({length}({column})) from chat.{table}"
        f" where rowid > (select max(rowid) from chat.{table}) - {_AT_ONCE})"
        for length, long in (("strlen", _TEXTS), ("octet_length", _BLOBS))
        for table, columns in long.items()
        for column in columns
    ]
    [found] = connection.execute(f"select {', '.join(sums)}").fetchall()
    return max(int(each or 0) for each in found)


def _is_long(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _bytes(column: pa.ChunkedArray) -> int:
    return int(pc.sum(pc.binary_length(column)).as_py() or 0)
