"""Rows for machines: CSV as DuckDB writes it, JSON that every reader takes."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

_encoder = msgspec.json.Encoder(decimal_format="number")


def csv_lines(names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> Iterator[str]:
    """A header and each row; NULL is nothing between the commas, empty text is a pair of quotes."""
    yield ",".join(map(_field, names))
    for row in rows:
        yield ",".join(map(_field, row))


def json_rows(names: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Each row as a JSON object: times in ISO 8601, integers and decimals digit by digit, NaN as null."""
    keys = distinct(names)
    is_json = [type_ == "JSON" for type_ in types]
    for row in rows:
        values = map(_plain, row, is_json)
        yield _encoder.encode(dict(zip(keys, values, strict=True))).decode()


def write_json(objects: Iterable[str], stream: TextIO, *, as_array: bool = True) -> int:
    """Writes objects as one JSON array, or one a line; returns how many."""
    number = 0
    for number, each in enumerate(objects, 1):
        before = "" if not as_array else "[" if number == 1 else ","
        stream.write(f"{before}{each}\n")
    if as_array:
        stream.write("]\n" if number else "[]\n")
    return number


def distinct(names: Sequence[str]) -> list[str]:
    """Column names without repeats, numbered the way DuckDB does: a, a_1."""
    taken: dict[str, None] = {}
    for name in names:
        free, number = name, 0
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        taken[free] = None
    return list(taken)


def blob(value: bytes) -> str:
    r"""Bytes as DuckDB writes and reads them as text: \xC3\xA9 for what is no plain ASCII."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b"\\'\"" else f"\\x{byte:02X}" for byte in value
    )


def _field(value: str | None) -> str:
    if value is None:
        return ""
    if value and not any(mark in value for mark in ',"\r\n'):
        return value
    doubled = value.replace('"', '""')
    return f'"{doubled}"'


def _plain(value: Any, is_json: bool = False) -> Any:
    """A value as msgspec can write it: bytes and the keys of maps as text, times in UTC."""
    if is_json and value is not None:
        return msgspec.Raw(value.encode())
    if isinstance(value, bytes):
        return blob(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC)
    return value
