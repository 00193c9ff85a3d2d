"""Logprobs, the heavy and regular part: raw slices in, Arrow columns out, no object per token.

The `logprobs` objects of many choices are read at once: nearly all by `usual_logprobs`, the rest by Arrow's
reader, which takes four times as long, with one fixed schema. A slice that does not fit it exactly is
read on its own, leniently, and stays whole in its choice's `extra`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from msgspec import Raw

from stored_completions import extra as fit
from stored_completions import usual_logprobs
from stored_completions.extra import Extra, take
from stored_completions.pages import elements, fields, loads
from stored_completions.tables import KINDS, LOGPROBS, TOP_LOGPROBS, Table
from stored_completions.usual_logprobs import Unusual, entries

LogprobTables = dict[str, pa.Table]
Lists = dict[str, pa.ListArray]  # of tokens, one for each choice, by kind

_ALTERNATIVE = [("token", pa.string()), ("bytes", pa.list_(pa.uint8())), ("logprob", pa.float64())]
_TOKEN = pa.struct([*_ALTERNATIVE, ("top_logprobs", pa.list_(pa.struct(_ALTERNATIVE)))])
_SCHEMA = pa.schema([(kind, pa.list_(_TOKEN)) for kind in KINDS])
_EXACT = float(2**53)

_BATCH = (
    3_000_000  # bytes of slices that are read at once: more need much memory for a while, and no less time
)


@dataclass(frozen=True)
class Slice:
    """The `logprobs` of one choice, where they stand in their page; `extra` is where they go if they do not fit."""

    completion_id: str
    choice_index: int
    created_date: int | None
    raw: Raw
    extra: Extra


class _Unfit(Exception):
    """It was read, but not exactly, or cannot be."""


def logprob_tables(slices: list[Slice]) -> LogprobTables:
    """Tables `logprobs` and `top_logprobs` of the slices, without load id."""
    return _together([_fitting(batch) for batch in _batches(slices)])


def _batches(slices: list[Slice]) -> Iterator[list[Slice]]:
    begin = size = 0
    for at, slice_ in enumerate(slices):
        if size and size + len(slice_.raw) > _BATCH:
            yield slices[begin:at]
            begin, size = at, 0
        size += len(slice_.raw)
    yield slices[begin:]


def _fitting(slices: list[Slice]) -> LogprobTables:
    """Those of each kind that are of the usual shape, then the rest."""
    usual: dict[str, list[tuple[Slice, bytes]]] = {}
    rest = []
    for slice_ in slices:
        found = entries(bytes(slice_.raw))
        if found is None:
            rest.append(slice_)
        else:
            usual.setdefault(found.kind, []).append((slice_, found.text))
    parts = [_usual(kind, *map(list, zip(*pairs, strict=True))) for kind, pairs in usual.items()]
    return _together([*parts, *([_strict(rest)] if rest else [])])


def _usual(kind: str, slices: list[Slice], texts: list[bytes]) -> LogprobTables:
    try:
        return _tables(slices, _checked({kind: usual_logprobs.read(texts)}))
    except (Unusual, _Unfit):
        return _strict(slices)


def _strict(slices: list[Slice]) -> LogprobTables:
    try:
        return _tables(slices, _read(slices, "error"))
    except (pa.ArrowInvalid, _Unfit):
        if len(slices) == 1:
            return _salvaged(slices[0])
    half = len(slices) // 2
    return _together([_strict(slices[:half]), _strict(slices[half:])])


def _together(parts: list[LogprobTables]) -> LogprobTables:
    return {name: pa.concat_tables([part[name] for part in parts]) for name in parts[0]}


def _salvaged(slice_: Slice) -> LogprobTables:
    """What fits of a misfit: all but unknown fields; else value by value. The whole stands in `extra`."""
    raw = slice_.extra["logprobs"] = bytes(slice_.raw)
    try:
        return _tables([slice_], _read([slice_], "ignore"))
    except (pa.ArrowInvalid, _Unfit):
        return _tables([slice_], _lists(_salvage(raw)))


def _read(slices: list[Slice], unexpected: str) -> Lists:
    """By Arrow. A line feed in JSON is only ever white space."""
    lines = b"\n".join(bytes(slice_.raw).replace(b"\n", b" ") for slice_ in slices)
    table = pyarrow.json.read_json(
        pa.BufferReader(lines),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=_SCHEMA, unexpected_field_behavior=unexpected
        ),
    )
    if table.num_rows != len(slices):
        raise _Unfit
    return _checked(_lists(table))


def _lists(table: pa.Table) -> Lists:
    return {kind: table.column(kind).combine_chunks() for kind in KINDS}


def _checked(read: Lists) -> Lists:
    for lists in read.values():
        tokens = lists.flatten()
        _check(tokens)
        _check(tokens.field("top_logprobs").flatten())
    return read


def _check(tokens: pa.StructArray) -> None:
    """No reader minds integers that a double cannot hold, and Arrow's lets a NaN and a null stand among bytes."""
    is_exact = pc.all(pc.less(pc.abs(tokens.field("logprob")), _EXACT), min_count=0).as_py()
    byte_lists = tokens.field("bytes")
    if not is_exact or (pa.types.is_list(byte_lists.type) and byte_lists.values.null_count):
        raise _Unfit


def _tables(slices: list[Slice], read: Lists) -> LogprobTables:
    tokens, alternatives = zip(*(_kind(slices, kind, lists) for kind, lists in read.items()), strict=True)
    return {LOGPROBS.name: pa.concat_tables(tokens), TOP_LOGPROBS.name: pa.concat_tables(alternatives)}


def _kind(slices: list[Slice], kind: str, lists: pa.ListArray) -> tuple[pa.Table, pa.Table]:
    owner, token_index = _positions(lists)
    tokens = lists.flatten()
    alternatives = tokens.field("top_logprobs")
    token, rank = _positions(alternatives)
    return (
        _arrow(LOGPROBS, _keys(slices, kind, owner) | {"token_index": token_index} | _values(tokens)),
        _arrow(
            TOP_LOGPROBS,
            _keys(slices, kind, owner.take(token))
            | {"token_index": token_index.take(token), "rank": rank}
            | _values(alternatives.flatten()),
        ),
    )


def _keys(slices: list[Slice], kind: str, owner: pa.Array) -> dict[str, pa.Array]:
    """What repeats for every row of a slice, stored once; `owner` says which slice a row is of.

    Encoded, so that no dictionary holds a null, as of a day that is not known: Arrow cannot unify such.
    """
    values = {
        "completion_id": pa.array([slice_.completion_id for slice_ in slices], pa.string()),
        "choice_index": pa.array([slice_.choice_index for slice_ in slices], pa.int64()),
        "created_date": pa.array([slice_.created_date for slice_ in slices], pa.int32()).cast(pa.date32()),
    }
    place = owner.cast(pa.int32())
    keys = {name: array.dictionary_encode().take(place) for name, array in values.items()}
    return keys | {"kind": same(kind, len(owner))}


def same(text: str, times: int) -> pa.DictionaryArray:
    """One text so many times, stored once."""
    indexes = pa.repeat(pa.scalar(0, pa.int8()), times)
    return pa.DictionaryArray.from_arrays(indexes, pa.array([text], pa.string()))


def _positions(lists: pa.ListArray) -> tuple[pa.Array, pa.Array]:
    """For each element of all the lists: which list it is in, and where in it."""
    owner = pc.list_parent_indices(lists)
    starts = lists.offsets.slice(0, len(lists)).cast(pa.int64())
    first = lists.offsets[0].as_py() if len(lists) else 0
    return owner, pc.subtract(pa.arange(first, first + len(owner), 1), starts.take(owner))


def _values(tokens: pa.StructArray) -> dict[str, pa.Array]:
    """Tokens repeat: each is stored once, as parquet would do in any case."""
    return {
        "token": tokens.field("token").dictionary_encode(),
        "bytes": _blobs(tokens.field("bytes")).dictionary_encode(),
        "logprob": tokens.field("logprob"),
    }


def _blobs(lists: pa.Array) -> pa.Array:
    """Lists of bytes as BLOBs: the same buffers, read as one value a list. What is BLOBs stays as it is."""
    if not pa.types.is_list(lists.type):
        return lists
    validity, offsets = lists.buffers()[:2]
    data = lists.values.buffers()[1]
    return pa.Array.from_buffers(
        pa.binary(), len(lists), [validity, offsets, data], lists.null_count, lists.offset
    )


def _arrow(table: Table, columns: dict[str, pa.Array]) -> pa.Table:
    names = table.schema.names[:-1]
    return pa.table([columns[name] for name in names], names=names)


def _salvage(raw: bytes) -> pa.Table:
    """One row with whatever fits of an object that no reader takes; only misfits come this way."""
    parts = fields(raw) or {}
    row = {kind: [_token(token) for token in elements(parts.get(kind, b"null")) or []] for kind in KINDS}
    return pa.Table.from_pylist([row], schema=_SCHEMA)


def _token(token: Any) -> dict[str, Any]:
    values = _alternative(token)
    listed = elements(token.get("top_logprobs", b"null")) if isinstance(token, dict) else None
    return values | {"top_logprobs": [_alternative(item) for item in listed or []]}


def _alternative(token: Any) -> dict[str, Any]:
    if not isinstance(token, dict):
        return {}
    kinds = (("token", fit.text), ("bytes", _byte_list), ("logprob", fit.number))
    return {name: take(dict(token), name, kind, {}) for name, kind in kinds}


def _byte_list(raw: bytes) -> list[int]:
    values = loads(raw)
    if isinstance(values, list) and all(type(value) is int and 0 <= value < 256 for value in values):
        return values
    raise fit.Misfit
