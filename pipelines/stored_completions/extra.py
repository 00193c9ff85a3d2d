"""The rule that nothing is lost: what has no column, or does not fit it, stands in `extra`.

`extra` is JSON put together from raw slices, so every digit stays as sent. A slice that DuckDB
cannot store (NaN, a lone surrogate) stands under `<name>$escaped` as text: its JSON, escaped once
more. So does one in which a name ends like that, lest it be taken for one of ours. Members whose
very name cannot be stored, and such a slice under the empty name, stand together in one such
object under `$escaped`.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from stored_completions.pages import Fields, elements, fields, is_strict, joined, loads

Extra = dict[str, "bytes | Extra"]

ESCAPED = "$escaped"
_EMPTY = re.compile(rb"null|\[[ \t\r\n]*\]|\{[ \t\r\n]*\}")
_text = msgspec.json.Decoder(str)
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799  # years 1 to 9999


class Misfit(Exception):
    """A value that its column cannot hold exactly."""


def take(source: Fields, name: str, fit: Callable[[bytes], Any], extra: Extra) -> Any:
    """Removes `name` from `source` and returns its value as its column holds it.

    None for an absent or null field, and for a misfit, which goes to `extra` instead.
    """
    raw = source.pop(name, None)
    if raw is None or raw == b"null":
        return None
    try:
        return fit(raw)
    except Misfit:
        extra[name] = raw
        return None


def fitting(fit: Callable[[bytes], Any], raw: bytes) -> Any:
    """The value as a column holds it, or None."""
    try:
        return fit(raw)
    except Misfit:
        return None


def keep(source: Fields, extra: Extra) -> None:
    """Puts every remaining field of `source` into `extra`, but those that equal an absent one."""
    for name, raw in source.items():
        if not is_empty(raw):
            extra[name] = raw


def is_empty(raw: bytes) -> bool:
    """Whether the slice equals an absent one: null, [] or {}, also with white space in it."""
    return _EMPTY.fullmatch(raw) is not None


def nested(source: Fields, name: str) -> Fields:
    """Removes the object `name` from `source` and returns its fields; anything else stays, to be kept."""
    inner = fields(source[name]) if source.get(name, b"").startswith(b"{") else None
    if inner is None:
        return {}
    del source[name]
    return inner


def objects(source: Fields, name: str) -> list[Fields]:
    """Removes the list of objects `name` from `source` and returns it; anything else stays, to be kept."""
    listed = elements(source[name]) if source.get(name, b"").startswith(b"[") else None
    if not listed or not all(isinstance(item, dict) for item in listed):
        return []
    del source[name]
    return [item for item in listed if isinstance(item, dict)]


def put(extra: Extra, name: str, inner: Extra) -> None:
    """Puts what is left of a nested object under its own name."""
    if inner:
        extra[name] = inner


def dumps(extra: Extra) -> str | None:
    """The JSON text of `extra`; None when nothing is in it."""
    return _object(extra).decode() if extra else None


def text(raw: bytes) -> str:
    try:
        return _text.decode(raw)
    except msgspec.DecodeError:
        value = loads(raw)
    if isinstance(value, str) and storable(value):
        return value
    raise Misfit


def integer(raw: bytes) -> int:
    value = loads(raw)
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    raise Misfit


def number(raw: bytes) -> float:
    value = loads(raw)
    if isinstance(value, float) and value - value == 0:  # neither NaN nor infinite
        return value
    if type(value) is int and abs(value) <= 2**53:
        return float(value)
    raise Misfit


def instant(raw: bytes) -> int:
    """Unix seconds as microseconds."""
    value = loads(raw)
    if type(value) is int and FIRST_SECOND <= value <= LAST_SECOND:
        return value * 1_000_000
    raise Misfit


def document(raw: bytes) -> str:
    """Any JSON, as sent."""
    if is_strict(raw):
        return raw.decode()
    raise Misfit


def base64_bytes(raw: bytes) -> bytes:
    return unencoded(text(raw))


def unencoded(encoded: str) -> bytes:
    """The bytes of which this is the one base64 text."""
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Misfit from None
    if base64.b64encode(decoded).decode() != encoded:
        raise Misfit
    return decoded


def storable(value: str) -> bool:
    """Whether a text can be stored in DuckDB: one without lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(extra: Extra) -> bytes:
    members = []
    nameless: Fields = {}
    for name, value in extra.items():
        if isinstance(value, dict):
            members.append(_member(name, _object(value)))
        elif not storable(name):
            nameless[name] = value
        elif not name.endswith(ESCAPED) and _is_plain(value):
            members.append(_member(name, value))
        elif name:
            members.append(_member(name + ESCAPED, _escaped(value)))
        else:
            nameless[name] = value
    if nameless:
        members.append(_member(ESCAPED, _escaped(joined(nameless))))
    return b"{" + b",".join(members) + b"}"


def _member(name: str, raw: bytes) -> bytes:
    return json.dumps(name, ensure_ascii=False).encode() + b":" + raw


def _escaped(raw: bytes) -> bytes:
    return json.dumps(raw.decode()).encode()


def _is_plain(raw: bytes) -> bool:
    """Whether the slice can stand in `extra` as it is: valid, and none of its names looks like ours."""
    if not is_strict(raw):
        return False
    may_have_ours = b"$escaped" in raw or b"\\u" in raw
    return not (may_have_ours and _has_our_names(loads(raw)))


def _has_our_names(value: Any) -> bool:
    """However deeply it is nested: with a list of what is still to be looked at, not with calls."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if any(name.endswith(ESCAPED) for name in value):
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False
