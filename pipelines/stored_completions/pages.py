"""JSON as it came, cut into raw slices: what is decoded is only what somebody asks for.

A completion is light and ragged, its logprobs are heavy and regular. So a page is first cut into its
completions and their members, by a typed decoder that skips values at memory speed, and each part is
decoded later by whoever knows its shape. Slices keep every digit and every vendor field; a `Raw` is one
that was not copied, and keeps its page in memory.

Bodies that are not strict JSON but that Python's json reads (NaN, lone surrogates, control
characters) are cut by a slower scanner into the same slices; `is_strict` tells them apart.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from struct import pack
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import Raw

from stored_completions import deep
from stored_completions.errors import ServiceError

Fields = dict[str, bytes]
Members = Mapping[str, Raw]

_LONGEST_INTEGER = 4300  # digits; Python refuses to read more


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


class _Listed(msgspec.Struct):
    data: list[Raw]
    has_more: bool | None = None


_page = msgspec.json.Decoder(_Listed)
_object = msgspec.json.Decoder(dict[str, Raw])
_objects = msgspec.json.Decoder(list[dict[str, Raw]])
_array = msgspec.json.Decoder(list[Raw])
_anything = msgspec.json.Decoder()
_skip = msgspec.json.Decoder(Raw)
_lenient = json.JSONDecoder(strict=False, parse_int=_integer)
_BOOLEANS = {b"true": True, b"false": False}
_SPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Entry(msgspec.Struct, frozen=True, dict=True):
    """One element of a page's list, as its text; JSON that nobody can read is not `is_readable`."""

    text: Raw
    is_readable: bool = True

    @property
    def body(self) -> str:
        """The text as it was sent."""
        return bytes(self.text).decode()

    @property
    def is_too_deep(self) -> bool:
        """Whether it is an object that is nested too deeply to be read."""
        return not self.is_readable and bytes(self.text).startswith(b"{")

    @cached_property
    def members(self) -> dict[str, Raw] | None:
        """Its members, if it is an object that can be read."""
        if not self.is_readable:
            return None
        try:
            return _object.decode(self.text)
        except msgspec.DecodeError:
            return cut(bytes(self.text))


@dataclass(frozen=True)
class Page:
    """One list page; `has_more` is None where the server did not say, `size` is the body's length in bytes."""

    completions: Sequence[Entry]
    has_more: bool | None
    size: int


class Uncut(Sequence[Entry]):
    """The entries of a page that was read in another way: cut out of its `text` once one of them is wanted."""

    def __init__(self, text: bytes, count: int) -> None:
        """`text` is UTF-8, and a page of so many entries, each of which can be read."""
        self._text = text
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: Any) -> Any:
        return self._entries[at]

    @cached_property
    def _entries(self) -> list[Entry]:
        return [Entry(raw) for raw in _page.decode(self._text).data]


def read_page(body: bytes) -> Page:
    """The page in `body`. ValueError: it is no JSON; ServiceError: it is JSON, but no list."""
    text = utf8(body)
    try:
        page = deep.with_room(_page.decode, text)
    except msgspec.DecodeError:
        return _odd_page(text, len(body))
    except RecursionError:
        return _deep_page(text, len(body))
    return Page([Entry(raw) for raw in page.data], page.has_more, len(body))


def utf8(body: bytes) -> bytes:
    """`body` as valid UTF-8, surrogates that were encoded as bytes written as escapes; else ValueError."""
    if body.isascii() or _is_utf8(body):
        return body
    text = body.decode("utf-8", "surrogatepass")
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def _is_utf8(body: bytes) -> bool:
    """To decode it would take up to four times its size."""
    try:
        in_place(body).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def in_place(text: bytes) -> pa.Array:
    """An array of this one text, which is neither copied nor looked at."""
    ends = pa.py_buffer(pack("=qq", 0, len(text)))
    return pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(text)])


def fields(raw: bytes) -> Fields | None:
    """The members of a JSON object as raw slices; None if `raw` is JSON of another kind."""
    try:
        return _cut(_object.decode(raw))
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError:
        text = raw.decode()
        return dict(_members(text)) if isinstance(loads(raw), dict) else None


def cut(raw: bytes) -> dict[str, Raw] | None:
    """The same without a copy of each member."""
    try:
        return _object.decode(raw)
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError:
        found = fields(raw)
        return None if found is None else {name: Raw(value) for name, value in found.items()}


def elements(raw: bytes) -> list[Fields | bytes] | None:
    """The elements of a JSON array, objects cut into their members; None if `raw` is no array."""
    try:
        return list(map(_cut, _objects.decode(raw)))
    except msgspec.DecodeError:
        slices = _slices(raw)
        return None if slices is None else [_or_itself(item) for item in slices]


def joined(members: Fields) -> bytes:
    """The JSON object that was cut into these members."""
    return b"{" + b",".join(json.dumps(name).encode() + b":" + raw for name, raw in members.items()) + b"}"


def loads(raw: bytes) -> Any:
    """The Python value of a slice, integers exact; ValueError if it is no JSON at all.

    A number beyond what Python can hold, 1e400 or an integer of 5,000 digits, is infinite.
    """
    try:
        return _anything.decode(raw)
    except msgspec.DecodeError:
        return _lenient.decode(raw.decode())


def is_strict(raw: bytes) -> bool:
    """Whether DuckDB can store the slice as JSON: no NaN, no lone surrogate, no control character, no endless depth."""
    try:
        _skip.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _odd_page(text: bytes, size: int) -> Page:
    """A page with something in it that is not as it should be."""
    try:
        envelope = deep.with_room(fields, text)
        data = None if envelope is None else envelope.get("data")
        items = None if data is None else deep.with_room(_slices, data)
    except RecursionError:
        return _deep_page(text, size)
    if envelope is None or items is None:
        raise _no_list()
    return Page([Entry(Raw(item)) for item in items], _BOOLEANS.get(envelope.get("has_more", b"null")), size)


def _deep_page(text: bytes, size: int) -> Page:
    """A page in which something is nested too deeply: the rest of it is read."""
    envelope = deep.members(text) if text.lstrip().startswith(b"{") else {}
    if not envelope.get(b"data", b"").startswith(b"["):
        raise _no_list()
    items = [_unless_deep(item) for item in deep.elements(envelope[b"data"])]
    return Page(items, _BOOLEANS.get(envelope.get(b"has_more", b"null")), size)


def _unless_deep(raw: bytes) -> Entry:
    try:
        deep.with_room(fields, raw)
    except RecursionError:
        return Entry(Raw(raw), is_readable=False)
    return Entry(Raw(raw))


def _no_list() -> ServiceError:
    return ServiceError(
        "The server answered 200, but not with a list of completions: a proxy may have answered in its "
        "place, or the base URL is not that of an API with stored completions. Check OPENAI_BASE_URL."
    )


def _cut(members: dict[str, Raw]) -> Fields:
    return {name: bytes(value) for name, value in members.items()}


def _or_itself(raw: bytes) -> Fields | bytes:
    cut = fields(raw)
    return raw if cut is None else cut


def _slices(raw: bytes) -> list[bytes] | None:
    try:
        return [bytes(item) for item in _array.decode(raw)]
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError:
        return list(_items(raw.decode())) if isinstance(loads(raw), list) else None


def _members(text: str) -> Iterator[tuple[str, bytes]]:
    """Name and slice of each member of the object in `text`, which is known to be well-formed."""
    at = _space(text, text.index("{") + 1)
    while text[at] != "}":
        name, at = _lenient.raw_decode(text, at)
        start = _space(text, text.index(":", at) + 1)
        _, end = _lenient.raw_decode(text, start)
        yield name, text[start:end].encode()
        at = _next(text, end)


def _items(text: str) -> Iterator[bytes]:
    """The slice of each element of the array in `text`, which is known to be well-formed."""
    at = _space(text, text.index("[") + 1)
    while text[at] != "]":
        _, end = _lenient.raw_decode(text, at)
        yield text[at:end].encode()
        at = _next(text, end)


def _next(text: str, at: int) -> int:
    at = _space(text, at)
    return _space(text, at + 1) if text[at] == "," else at


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
