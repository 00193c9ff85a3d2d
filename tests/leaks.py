"""Looks for texts in every byte below a folder, and in every value that a file there has in some other form.

DuckDB and parquet may store a text compressed, where no search for its bytes finds it: so their values
are read too, and what dlt keeps as base64 of a zlib stream is unpacked.
"""

import base64
import gzip
import json
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet

_PACKED = re.compile(rb"(?:[A-Za-z0-9+/]{4}){10,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@dataclass(frozen=True)
class Artefact:
    """A place that was searched, how much of it, and what was found there."""

    name: str
    size: int
    found: frozenset[str]


def searched(folder: Path, pattern: str) -> list[Artefact]:
    """Every file below the folder, every column of every DuckDB and parquet file among them."""
    found = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = str(path.relative_to(folder))
        data = path.read_bytes()
        found.append(_artefact(name, data, pattern))
        found += [_artefact(f"{name}: {part}", inside, pattern) for part, inside in _inside(path, data)]
    return found


def _artefact(name: str, data: bytes, pattern: str) -> Artefact:
    hits: set[str] = set()
    for text in (data, *map(_unpacked, _PACKED.findall(data))):
        hits.update(hit.decode() for hit in re.findall(pattern.encode(), text))
        hits.update(re.findall(pattern, text.decode("utf-16-le", "ignore")))
    return Artefact(name, len(data), frozenset(hits))


def _unpacked(text: bytes) -> bytes:
    """What a base64 text stands for, also when that is compressed."""
    data = base64.b64decode(text[: len(text) // 4 * 4])
    try:
        return zlib.decompress(data)
    except zlib.error:
        return data


def _inside(path: Path, data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[8:12] == b"DUCK":
        yield from _tables(path)
    elif data[:2] == b"\x1f\x8b":
        yield "unpacked", gzip.decompress(data)
    elif data[:4] == b"PAR1" == data[-4:]:
        yield "columns", _text(pyarrow.parquet.read_table(path).to_pylist())


def _tables(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every column of every table, in a copy with its log: nothing of the file changes."""
    copy = path.with_name("searched.duckdb")
    log = path.with_name(path.name + ".wal")
    shutil.copy(path, copy)
    copy.chmod(0o644)
    if log.exists():
        shutil.copy(log, copy.with_name(copy.name + ".wal"))
    try:
        with closing(duckdb.connect(str(copy))) as connection:
            tables = connection.execute("select schema_name, table_name, sql from duckdb_tables()").fetchall()
            for schema, table, sql in tables:
                rows = connection.execute(f'from "{schema}"."{table}"').fetchall()
                yield f"{schema}.{table}", _text([sql, rows])
    finally:
        copy.unlink()
        copy.with_name(copy.name + ".wal").unlink(missing_ok=True)


def _text(values: Any) -> bytes:
    return json.dumps(values, default=_plain, ensure_ascii=False).encode(errors="surrogatepass")


def _plain(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
