"""Logprobs as nearly every server writes them -> Arrow columns, by cutting their text between its entries.

An entry is a token or one of its alternatives. Both are written alike: `{"token":…,"logprob":…,"bytes":…`,
and then what leads to the next one, such as `},`. These marks are never part of a string, where quotes are
escaped. So the text is split at them, what repeats is decoded once, and the few ways in which one entry
leads to the next tell tokens from alternatives. It is exact because nothing is skipped: every character
is of a mark, is decoded, or is of one of those ways; else the whole text is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from stored_completions.pages import in_place

_ENTRY = b'{"token":'
_SHAPES = {
    b'{"content":[': ("content", (b'],"refusal":null}', b'],"refusal":[]}', b"]}")),
    b'{"content":null,"refusal":[': ("refusal", (b"]}",)),
    b'{"content":[],"refusal":[': ("refusal", (b"]}",)),
}
_LAST = b"\n"  # in the place of the comma after the last entry of a text
_LOGPROB, _BYTES = ',"logprob":', ',"bytes":'
_VALUES = {_LOGPROB: r"[^,}]*", _BYTES: r"null|\[[^\]]*\]"}

_strings = msgspec.json.Decoder(list[str | None])
_lists = msgspec.json.Decoder(list[list[int] | None])


class Unusual(Exception):
    """It is written in another way."""


@dataclass(frozen=True)
class _Way:
    """How an entry leads to the next: 0 stands for a token, 1 for an alternative.

    `after` is what it may stand after, `to` what comes next; None: either, and the same again.
    """

    after: int | None
    to: int | None
    is_last: bool = False


def _ways() -> dict[str, _Way]:
    ways = {',"top_logprobs":[': _Way(0, 1), "},": _Way(None, None), "}\n": _Way(0, 0, is_last=True)}
    for text, after in (("}]}", 1), (',"top_logprobs":[]}', 0), (',"top_logprobs":null}', 0)):
        ways |= {f"{text},": _Way(after, 0), f"{text}\n": _Way(after, 0, is_last=True)}
    return ways


_WAYS = _ways()


@dataclass(frozen=True)
class Entries:
    """The entries in the `logprobs` of a choice, as text without white space; their kind is content or refusal."""

    kind: str
    text: bytes


def entries(raw: bytes) -> Entries | None:
    """Those of raw `logprobs`; None if they are of another shape."""
    found = _entries(raw)
    if found is None:
        try:
            found = _entries(msgspec.json.format(raw, indent=-1))
        except (msgspec.DecodeError, RecursionError):
            return None
    return found


def _entries(raw: bytes) -> Entries | None:
    for begin, (kind, ends) in _SHAPES.items():
        if raw.startswith(begin) and raw.startswith(_ENTRY, len(begin)):
            for end in ends:
                if raw.endswith(end):
                    return Entries(kind, raw[len(begin) : -len(end)])
    return None


def read(texts: list[bytes]) -> pa.ListArray:
    """A list of tokens for each text of `entries`; what repeats is in dictionaries. Raises Unusual."""
    whole = in_place(_LAST.join([*texts, b""]))
    parts = pc.split_pattern(whole, _ENTRY.decode()).values[1:].cast(pa.string())
    try:
        return _nested(*_columns(parts))
    except (msgspec.DecodeError, pa.ArrowInvalid, ValueError):
        raise Unusual from None


def _columns(parts: pa.StringArray) -> tuple[pa.StructArray, pa.DictionaryArray]:
    """The values of each entry, and how it leads to the next."""
    first, second = sorted((_LOGPROB, _BYTES), key=parts[0].as_py().find)
    token, rest = _split(parts, first)
    value, rest = _split(rest, second)
    last, way = _cut(rest.dictionary_encode() if second == _BYTES else rest, _VALUES[second])
    found = {first: value, second: last}
    values = {
        "token": _decoded(token, _strings.decode, pa.string()),
        "bytes": _decoded(found[_BYTES], _blobs, pa.binary()),
        "logprob": _numbers(found[_LOGPROB]),
    }
    return pa.StructArray.from_arrays(list(values.values()), list(values)), way.dictionary_encode()


def _split(texts: pa.StringArray, mark: str) -> tuple[pa.StringArray, pa.StringArray]:
    """What stands before the first such mark, and after it."""
    halves = pc.split_pattern(texts, mark, max_splits=1).values
    if len(halves) != 2 * len(texts):
        raise Unusual
    before = pa.arange(0, len(halves), 2)
    return halves.take(before), halves.take(pc.add(before, 1))


def _cut(texts: pa.Array, value: str) -> tuple[pa.Array, pa.Array]:
    """The value that begins each text, and the rest of it."""
    if pa.types.is_dictionary(texts.type):
        return tuple(_placed(part, texts.indices) for part in _cut(texts.dictionary, value))
    found = pc.extract_regex(texts, rf"(?s)^(?P<value>{value})(?P<rest>.*)$")
    if found.null_count:
        raise Unusual
    return found.field("value"), found.field("rest")


def _placed(values: pa.Array, indices: pa.Array) -> pa.DictionaryArray:
    """The values at these places, each of them once in the dictionary, and no null."""
    own = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(own.indices.take(indices), own.dictionary)


def _decoded(texts: pa.Array, decode: Callable[[str], list[Any]], kind: pa.DataType) -> pa.DictionaryArray:
    """The values of JSON texts, those that repeat decoded once."""
    encoded = texts.dictionary_encode()
    values = decode(f"[{','.join(encoded.dictionary.to_pylist())}]")
    if len(values) != len(encoded.dictionary):
        raise Unusual
    return _placed(pa.array(values, kind), encoded.indices)


def _blobs(text: str) -> list[bytes | None]:
    if "-" in text:  # -0 would be taken for 0
        raise Unusual
    return [None if value is None else bytes(value) for value in _lists.decode(text)]


def _numbers(texts: pa.StringArray) -> pa.DoubleArray:
    """The values of JSON texts; what is beyond a double becomes infinite."""
    try:
        return texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return pc.if_else(pc.equal(texts, "null"), None, texts).cast(pa.float64())


def _nested(values: pa.StructArray, ways: pa.DictionaryArray) -> pa.ListArray:
    """Lists of tokens with their alternatives, of the entries of all texts in a row."""
    known = [_WAYS.get(text) for text in ways.dictionary.to_pylist()]
    if None in known:
        raise Unusual
    after, to, is_last = (
        pa.array([getattr(way, name) for way in known], kind).take(ways.indices)
        for name, kind in (("after", pa.int8()), ("to", pa.int8()), ("is_last", pa.bool_()))
    )
    here = pa.concat_arrays([pa.array([0], pa.int8()), pc.fill_null_forward(to)])[:-1].fill_null(0)
    if not pc.all(pc.equal(after, here), min_count=0).as_py():
        raise Unusual
    is_token = pc.equal(here, 0)
    places = pc.indices_nonzero(is_token).cast(pa.int32())
    begins = pc.subtract(
        pa.concat_arrays([places, pa.array([len(values)], pa.int32())]),
        pa.arange(0, len(places) + 1).cast(pa.int32()),
    )
    token, bytes_, logprob = values.filter(is_token).flatten()
    alternatives = pa.ListArray.from_arrays(begins, values.filter(pc.invert(is_token)))
    tokens = pa.StructArray.from_arrays(
        [token, bytes_, logprob, alternatives], ["token", "bytes", "logprob", "top_logprobs"]
    )
    so_far = pc.cumulative_sum(is_token.cast(pa.int32()))
    ends = so_far.filter(is_last)
    return pa.ListArray.from_arrays(pa.concat_arrays([pa.array([0], pa.int32()), ends]), tokens)
