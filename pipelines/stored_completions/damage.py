"""Bytes of a warehouse file that a disk or somebody spoilt, found before anybody reads them.

DuckDB holds every block against its sum when it reads it, and a sync reads few of them: it would copy the others,
spoilt as they are, into what analysts open. So here each block's sum is reckoned as DuckDB does, which takes half a
CPU second a gigabyte and no memory, and DuckDB is asked which table a wrong one belongs to. A block that nothing uses
any more may be spoilt, too: that harms nobody. The format is that of DuckDB 1.4, which every later version reads.
"""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from stored_completions.errors import WarehouseError
from stored_completions.warehouse import Damaged, connect, first_line

EVERYTHING = "the whole file"

_HEADER = (
    4096  # bytes; there are three: the file's own, and two of the database, of which the later one counts
)
_DATABASE = struct.Struct("<6Q")  # sum, number, catalog, free blocks, how many blocks, bytes of each
_SUM = 8  # bytes at the head of a block or header: the sum of the rest
_FACTOR = pa.scalar(0xBF58476D1CE4E5B9, pa.uint64())
_SEED = 5381


@dataclass(frozen=True)
class Unreadable:
    """A table of which a block cannot be read, and why."""

    relation: str
    reason: str


class Spoilt(WarehouseError):
    """A file of which a block is not as DuckDB wrote it."""


def find(path: Path) -> list[Unreadable]:
    """The tables of the file that cannot be read whole, none if there is no file; nothing is written."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        wrong = list(_wrong_blocks(file))
    if not wrong:
        return []
    try:
        with contextlib.closing(connect(path, read_only=True)) as connection:
            return list(_holding(connection, set(wrong)))
    except Damaged as error:
        return [Unreadable(EVERYTHING, first_line(error.__cause__ or error))]


def check(path: Path) -> None:
    """Raises Spoilt when a table of the file cannot be read whole."""
    if found := find(path):
        raise Spoilt(f"{path} is damaged: {named(found)} cannot be read.")


def named(found: list[Unreadable]) -> str:
    return ", ".join(each.relation for each in found)


def is_cause_of(error: BaseException | None) -> bool:
    """Whether a spoilt block was met on the way to this error."""
    while error is not None:
        if isinstance(error, Spoilt):
            return True
        if isinstance(error, duckdb.Error) and "corrupt database file" in str(error).lower():
            return True
        error = error.__cause__ or error.__context__
    return False


def _wrong_blocks(file: BinaryIO) -> Iterator[int]:
    """Numbers of the blocks whose sum is not the one at their head, or that are missing; -1 for a header."""
    headers = [file.read(_HEADER) for _ in range(3)]
    if not all(len(header) == _HEADER and _is_sound(header) for header in headers):
        yield -1
        return
    _, _, _, _, count, size = max(map(_DATABASE.unpack_from, headers[1:]), key=lambda header: header[1])
    for number in range(count):
        block = file.read(size)
        if len(block) != size or not _is_sound(block):
            yield number


def _is_sound(block: bytes) -> bool:
    """Whether the sum at its head is DuckDB's of the rest: each word times a factor, exclusive or."""
    words = pa.Array.from_buffers(pa.uint64(), len(block) // 8 - 1, [None, pa.py_buffer(block)[_SUM:]])
    words = pc.multiply(words, _FACTOR)
    total = _SEED
    while len(words) > 1:
        if len(words) % 2:
            total ^= words[-1].as_py()
        half = len(words) // 2
        words = pc.bit_wise_xor(words[:half], words[half : 2 * half])
    return bool(int.from_bytes(block[:_SUM], "little") == total ^ words[0].as_py())


def _holding(connection: duckdb.DuckDBPyConnection, wrong: set[int]) -> Iterator[Unreadable]:
    """What uses these blocks."""
    catalog = {id_ for (id_,) in connection.execute("select block_id from pragma_metadata_info()").fetchall()}
    if found := wrong & {-1, *catalog}:
        yield Unreadable(EVERYTHING, _reason(found))
    tables = "select schema_name, table_name from duckdb_tables() where not internal order by all"
    for schema, table in connection.execute(tables).fetchall():
        try:
            segments = connection.execute(
                "select list_distinct(flatten(list([block_id] || coalesce(additional_block_ids, []))))"
                f' from pragma_storage_info(\'"{schema}"."{table}"\')'
            ).fetchall()
        except duckdb.Error as error:
            yield Unreadable(f"{schema}.{table}", first_line(error))
        else:
            if found := wrong & set(segments[0][0] or ()):
                yield Unreadable(f"{schema}.{table}", _reason(found))


def _reason(wrong: set[int]) -> str:
    blocks = ", ".join(map(str, sorted(wrong)[:5])) + (", ..." if len(wrong) > 5 else "")
    return (
        f"of block {blocks} the sum is wrong" if len(wrong) == 1 else f"of blocks {blocks} the sums are wrong"
    )
