"""JSON that is nested more deeply than its readers can follow: cut all the same, without recursion.

A decoder goes one call deeper per level and gives up near Python's recursion limit. Here brackets
are only counted, so that one such object can be taken out of its list, and the others be read.
"""

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")

_ROOM = 400  # calls between a page's reader and the deepest reader of one of its slices, and then some
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_MARK = re.compile(_STRING + rb"|[\[\]{},]", re.DOTALL)
_NAME = re.compile(rb"\s*(" + _STRING + rb")\s*:\s*", re.DOTALL)
_CLOSING = {b"[": b"]", b"{": b"}"}


def with_room(read: Callable[[S], T], raw: S, room: int = _ROOM) -> T:
    """What `read` makes of `raw`; RecursionError also if it would not do so with `room` more calls above it.

    So a slice of what was read here can be read wherever it is handed to.
    """
    return with_room(read, raw, room - 1) if room else read(raw)


def members(raw: bytes) -> dict[bytes, bytes]:
    """Name, as written between its quotes, and slice of each member of an object; ValueError if it is none."""
    found = {}
    for part in _parts(raw, b"{"):
        name = _NAME.match(part)
        if name is None:
            raise ValueError("a member without a name")
        found[name[1][1:-1]] = part[name.end() :].strip()
    return found


def elements(raw: bytes) -> list[bytes]:
    """The slice of each element of an array; ValueError if it is none."""
    return [part.strip() for part in _parts(raw, b"[")]


def _parts(raw: bytes, opening: bytes) -> Iterator[bytes]:
    """What stands between the commas of the outermost brackets."""
    raw = raw.strip()
    if raw[:1] != opening:
        raise ValueError("another kind of JSON")
    open_: list[bytes] = []
    start = 1
    for mark in _MARK.finditer(raw):
        sign = mark[0]
        if sign in _CLOSING:
            open_.append(_CLOSING[sign])
        elif sign == b"," and len(open_) == 1:
            yield raw[start : mark.start()]
            start = mark.end()
        elif sign in (b"]", b"}") and (not open_ or open_.pop() != sign):
            raise ValueError("brackets that do not match")
        if not open_:
            break
    if open_ or mark.end() != len(raw):
        raise ValueError("brackets that do not match")
    if last := raw[start : mark.start()].strip():
        yield last
