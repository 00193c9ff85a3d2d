"""Bytes of a warehouse file that a disk or somebody spoilt, found before anybody reads them.

DuckDB holds every block against its sum when it reads it, and a sync reads few of them: it would copy the others,
spoilt as they are, into what analysts open. So each copy's sums are reckoned as DuckDB does, which takes half a CPU
second a gigabyte; only where one does not agree is DuckDB asked which table it belongs to. A block that nothing
uses any more may be spoilt, too: that harms nobody.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from stored_completions.errors import WarehouseError
from stored_completions.warehouse import Damaged, connect, first_line

EVERYTHING = "the whole file"

_HEADERS = 3 * 4096  # the file's own, and two of the database, each with its sum
_BLOCK_SIZE = slice(4096 + 40, 4096 + 48)
_SMALLEST_BLOCK = 4096
_SUM = 8  # bytes at the head of a block: the sum of the rest
_FACTOR = pa.scalar(0xBF58476D1CE4E5B9, pa.uint64())
_SEED = 5381
_MEMORY = "200MB"  # that reading a file whole may keep of it


@dataclass(frozen=True)
class Unreadable:
    """A table of which a block cannot be read, and DuckDB's reason."""

    relation: str
    reason: str


def find(path: Path) -> list[Unreadable]:
    """The tables of the file that cannot be read whole, none if there is no file; nothing is written."""
    return unreadable(path) if path.exists() and _is_suspect(path) else []


def unreadable(path: Path) -> list[Unreadable]:
    """The same, with every value of every table read, whatever the sums say."""
    try:
        with contextlib.closing(connect(path, read_only=True)) as connection:
            connection.execute(f"set memory_limit = '{_MEMORY}'")
            return list(_unreadable(connection))
    except Damaged as error:
        return [Unreadable(EVERYTHING, first_line(error.__cause__ or error))]
    except duckdb.Error as error:
        return [Unreadable(EVERYTHING, first_line(error))]


class Spoilt(WarehouseError):
    """A file of which a block is not as DuckDB wrote it."""


def check(path: Path) -> None:
    """Raises Spoilt when a table of the file cannot be read whole."""
    if found := find(path):
        raise Spoilt(f"{path} is damaged: {named(found)} cannot be read.")


def named(found: list[Unreadable]) -> str:
    return ", ".join(each.relation for each in found)


def is_cause_of(error: BaseException | None) -> bool:
    """Whether DuckDB met a spoilt block on the way to this error."""
    while error is not None:
        if isinstance(error, Spoilt):
            return True
        if isinstance(error, duckdb.Error) and "corrupt database file" in str(error).lower():
            return True
        error = error.__cause__ or error.__context__
    return False


def _unreadable(connection: duckdb.DuckDBPyConnection) -> Iterator[Unreadable]:
    tables = "select schema_name, table_name from duckdb_tables() where not internal order by all"
    for schema, table in connection.execute(tables).fetchall():
        try:
            connection.execute(f'select bit_xor(hash(rows)) from "{schema}"."{table}" as rows').fetchall()
        except duckdb.Error as error:
            yield Unreadable(f"{schema}.{table}", first_line(error))


def _is_suspect(path: Path) -> bool:
    """Whether a block has another sum than DuckDB wrote at its head; True, too, where that cannot be told."""
    with path.open("rb") as file:
        headers = file.read(_HEADERS)
        size = int.from_bytes(headers[_BLOCK_SIZE], "little")
        if len(headers) < _HEADERS or size < _SMALLEST_BLOCK or size % _SMALLEST_BLOCK:
            return True
        while block := file.read(size):
            if len(block) != size or int.from_bytes(block[:_SUM], "little") != _sum(block):
                return True
    return False


def _sum(block: bytes) -> int:
    """DuckDB's sum of a block: each word behind the head times a factor, exclusive or."""
    words = pa.Array.from_buffers(pa.uint64(), len(block) // 8 - 1, [None, pa.py_buffer(block)[_SUM:]])
    words = pc.multiply(words, _FACTOR)
    total = _SEED
    while len(words) > 1:
        if len(words) % 2:
            total ^= words[-1].as_py()
        half = len(words) // 2
        words = pc.bit_wise_xor(words[:half], words[half : 2 * half])
    return total ^ words[0].as_py()  # type: ignore[no-any-return]
