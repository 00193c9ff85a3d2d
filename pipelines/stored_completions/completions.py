"""A completion as the API sent it -> rows of the tables of schema `chat`, exactly.

Rows are tuples in the order of the table's columns, timestamps as microseconds and dates as days
since 1970, UTC. Logprobs are not looked at here: their raw slices are handed to `logprobs`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from stored_completions import extra as fit
from stored_completions.arguments import judged
from stored_completions.extra import Extra, keep, nested, objects, put, take
from stored_completions.logprobs import Slice, logprob_tables
from stored_completions.pages import Fields, fields, is_strict, joined, loads
from stored_completions.tables import CHOICES, COMPLETIONS, LOAD_ID, TABLES, TOOL_CALLS, Table

DAY = 86_400_000_000
_UNJUDGED = (None, None)  # for `arguments` to fill in, once a round's tools are together
_ENOUGH = 1000  # rows that are worth an Arrow array: fewer cost more than they free

Key = tuple[str, int | None]
Columns = tuple[tuple[str, Callable[[bytes], Any]], ...]

_COMPLETION = (
    ("model", fit.text),
    ("service_tier", fit.text),
    ("system_fingerprint", fit.text),
    ("request_id", fit.text),
    ("input_user", fit.text),
    ("seed", fit.integer),
    ("temperature", fit.number),
    ("top_p", fit.number),
    ("presence_penalty", fit.number),
    ("frequency_penalty", fit.number),
    ("tools", fit.document),
    ("tool_choice", fit.document),
    ("response_format", fit.document),
    ("moderation", fit.document),
    ("metadata", fit.document),
)
_TOTALS = ("prompt_tokens", "completion_tokens", "total_tokens")
_PROMPT_DETAILS = ("cached_tokens", "cache_write_tokens", "audio_tokens", "text_tokens", "image_tokens")
_COMPLETION_DETAILS = (
    "reasoning_tokens",
    "audio_tokens",
    "text_tokens",
    "accepted_prediction_tokens",
    "rejected_prediction_tokens",
)
_DETAILS = {
    "prompt_tokens_details": tuple((name, fit.integer) for name in _PROMPT_DETAILS),
    "completion_tokens_details": tuple((name, fit.integer) for name in _COMPLETION_DETAILS),
}
_FUNCTION_CALL = (("name", fit.text), ("arguments", fit.text))
_CUSTOM = (("name", fit.text), ("input", fit.text))
_AUDIO = (("id", fit.text), ("expires_at", fit.instant), ("transcript", fit.text), ("data", fit.base64_bytes))
_URL_CITATION = (
    ("start_index", fit.integer),
    ("end_index", fit.integer),
    ("title", fit.text),
    ("url", fit.text),
)


@dataclass(frozen=True)
class Known:
    """What the warehouse already holds of a completion."""

    row_hash: str | None
    source: str
    first_seen_at: int
    messages_synced_at: int | None


@dataclass(frozen=True, slots=True)
class Item:
    """One listed object with an id that can be a key.

    `created` in unix seconds; `row_hash` is that of the object as sent, the order of its fields and
    of its metadata aside.
    """

    completion_id: str
    created: int | None
    fields: Fields
    row_hash: str


def item(listed: Fields | bytes, hashed: Callable[[Fields], str] | None = None) -> Item | None:
    """The listed object, `hashed` as it says; None when it has no usable id and so belongs into quarantine."""
    if isinstance(listed, bytes):
        return None
    completion_id = fit.fitting(fit.text, listed.get("id", b"null"))
    if not completion_id:
        return None
    return Item(completion_id, created_second(listed), listed, (hashed or row_hash)(listed))


def created_second(listed: Fields) -> int | None:
    """`created` in whole unix seconds, also where it was sent as text or float; None if unusable."""
    value = loads(listed.get("created", b"null"))
    if type(value) is int:
        return value
    try:
        return None if isinstance(value, bool) or value is None else int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def row_hash(sent: Fields, key: bytes = b"") -> str:
    """A hash of an object as sent, the order of its fields and of its metadata aside; with a key, a keyed one."""
    names = sorted(sent)
    values = [_ordered(sent[name]) if name == "metadata" else sent[name] for name in names]
    text = "\0".join(names).encode("utf-8", "surrogatepass")
    return blake2b(b"\0".join((text, *values)), digest_size=16, key=key).hexdigest()


def _ordered(raw: bytes) -> bytes:
    """An object with its members in the order of their names; anything else as it is."""
    pairs = fields(raw)
    return raw if pairs is None else repr(sorted(pairs.items())).encode("utf-8", "surrogatepass")


def body(listed: Fields | bytes) -> str:
    """The text of a listed object, put together again from its slices."""
    if isinstance(listed, bytes):
        return listed.decode()
    return joined(listed).decode()


class Rows:
    """Rows of many completions, on their way into Arrow tables; page by page, to keep memory flat."""

    def __init__(self, source: str, now: int) -> None:
        """`source` is the configured name, `now` the time of loading in microseconds."""
        self._source = source
        self._now = now
        self._rows: dict[str, list[tuple[Any, ...]]] = {table.name: [] for table in TABLES}
        self._slices: list[Slice] = []
        self._parts: dict[str, list[pa.Table]] = {table.name: [] for table in TABLES}

    def add(self, listed: Item, known: Known | None = None) -> None:
        """Adds one completion; `known` is what the warehouse has of it, whose own stamps survive."""
        rest = dict(listed.fields)
        extra: Extra = {}
        del rest["id"]
        if rest.pop("object", b"null") != b'"chat.completion"':
            extra["object"] = listed.fields.get("object", b"null")
        created = take(rest, "created", fit.instant, extra)
        key = (listed.completion_id, None if created is None else created // DAY)
        self._metadata(key, rest.get("metadata", b"null"))
        self._usage(key, nested(rest, "usage"))
        for index, choice, sent in _indexed(objects(rest, "choices")):
            self._choice(key, index, choice, sent)
        values = [take(rest, name, kind, extra) for name, kind in _COMPLETION]
        keep(rest, extra)
        first_seen = known.first_seen_at if known else self._now
        ours = (
            self._source,
            listed.row_hash,
            first_seen,
            self._now,
            None,
            known and known.messages_synced_at,
        )
        self._rows["completions"].append((key[0], created, key[1], *values, fit.dumps(extra), *ours))

    def set_aside(self, digest: str, text: str, reason: str) -> None:
        """Puts an object that cannot be loaded into quarantine, whole; `digest` is the SHA-256 of its text."""
        self._rows["quarantine"].append((digest, self._source, reason, text, self._now))

    def end_page(self) -> None:
        """Turns what was gathered into columns, so that the page's bytes and the Python objects can go."""
        if self._slices:
            for name, part in logprob_tables(self._slices).items():
                self._parts[name].append(part)
            self._slices.clear()
        self._gather(at_least=_ENOUGH)

    def tables(self, load_id: str) -> Iterator[tuple[Table, pa.Table]]:
        """Every table with its rows, stamped with dlt's load id; tables without rows too.

        They are handed over, once: memory must not hold a round while, and after, it is loaded.
        """
        self.end_page()
        self._gather(at_least=0)
        light = (COMPLETIONS, CHOICES, TOOL_CALLS)
        together = [pa.concat_tables(self._parts[table.name]) for table in light]
        choices, tool_calls = judged(*together)
        self._parts |= {CHOICES.name: [choices], TOOL_CALLS.name: [tool_calls]}
        for table in TABLES:
            yield table, stamp(pa.concat_tables(self._parts.pop(table.name)), table, load_id)

    def _gather(self, at_least: int) -> None:
        for table in TABLES:
            rows = self._rows[table.name]
            if len(rows) >= at_least:
                self._parts[table.name].append(_arrow(table, rows))
                rows.clear()

    def _choice(self, key: Key, index: int, choice: Fields, extra: Extra) -> None:
        message = nested(choice, "message")
        inner: Extra = {}
        refusal_sent = "refusal" in message
        texts = [take(message, name, fit.text, inner) for name in ("role", "content", "refusal")]
        function_call = _part(message, "function_call", _FUNCTION_CALL, inner)
        audio = _part(message, "audio", _AUDIO, inner)
        for position, call in enumerate(objects(message, "tool_calls")):
            self._rows["tool_calls"].append((key[0], index, position, key[1], *_tool_call(call)))
        for position, annotation in enumerate(objects(message, "annotations")):
            self._rows["annotations"].append((key[0], index, position, key[1], *_annotation(annotation)))
        keep(message, inner)
        put(extra, "message", inner)
        finish_reason = take(choice, "finish_reason", fit.text, extra)
        logprobs = choice.pop("logprobs", b"null")
        if logprobs not in fit.EMPTY:
            self._slices.append(Slice(key[0], index, key[1], logprobs, extra))
        keep(choice, extra)
        row = (
            key[0],
            index,
            key[1],
            finish_reason,
            *texts,
            refusal_sent,
            *function_call,
            *_UNJUDGED,
            *audio,
            None,
            extra,
        )
        self._rows["choices"].append(row)

    def _usage(self, key: Key, usage: Fields) -> None:
        if not usage:
            return
        extra: Extra = {}
        totals = [take(usage, name, fit.integer, extra) for name in _TOTALS]
        details = [_part(usage, name, counters, extra) for name, counters in _DETAILS.items()]
        keep(usage, extra)
        self._rows["usage"].append((*key, *totals, *details[0], *details[1], fit.dumps(extra)))

    def _metadata(self, key: Key, raw: bytes) -> None:
        for name, value in (fields(raw) or {}).items():
            if fit.storable(name):
                self._rows["metadata"].append((key[0], name, key[1], fit.fitting(fit.text, value)))


def stamp(rows: pa.Table, table: Table, load_id: str) -> pa.Table:
    """`rows` with the load id as their last column, in exactly the table's schema."""
    return rows.append_column(LOAD_ID, pa.repeat(pa.scalar(load_id), rows.num_rows)).cast(table.schema)


def _arrow(table: Table, rows: list[tuple[Any, ...]]) -> pa.Table:
    """Rows as columns, all but the load id."""
    if table is CHOICES:
        rows = [(*row[:-1], fit.dumps(row[-1])) for row in rows]
    columns = zip(*rows, strict=True) if rows else [()] * (len(table.columns) - 1)
    arrays = [_array(column, field.type) for column, field in zip(columns, table.schema, strict=False)]
    return pa.table(arrays, names=table.schema.names[:-1])


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_date(kind):
        return pa.array(values, pa.int32()).cast(kind)
    return pa.array(values, kind)


def _indexed(choices: list[Fields]) -> list[tuple[int, Fields, Extra]]:
    """Each choice with the API's index, or all with their positions if those are no distinct integers.

    Then what was sent stands in `extra`, null too: else nobody could tell a position from an index.
    """
    sent = [choice.pop("index", b"null") for choice in choices]
    indexes = [fit.fitting(fit.integer, raw) for raw in sent]
    if None in indexes or len(set(indexes)) < len(indexes):
        return [(place, choice, {"index": sent[place]}) for place, choice in enumerate(choices)]
    return [(index, choice, {}) for index, choice in zip(indexes, choices, strict=True)]


def _part(source: Fields, name: str, columns: Columns, extra: Extra) -> list[Any]:
    """The columns of the nested object `name`; what is left of it goes to `extra`, keeping its path."""
    part = nested(source, name)
    if not part:
        return [None] * len(columns)
    inner: Extra = {}
    values = [take(part, column, kind, inner) for column, kind in columns]
    keep(part, inner)
    put(extra, name, inner)
    return values


def _tool_call(call: Fields) -> tuple[Any, ...]:
    extra: Extra = {}
    called = [take(call, name, fit.text, extra) for name in ("id", "type")]
    is_custom = called[1] == "custom"
    name, arguments = (
        _part(call, "custom", _CUSTOM, extra) if is_custom else _part(call, "function", _FUNCTION_CALL, extra)
    )
    valid = None if is_custom or arguments is None else is_strict(arguments.encode())
    keep(call, extra)
    return (*called, name, arguments, valid, *_UNJUDGED, fit.dumps(extra))


def _annotation(annotation: Fields) -> tuple[Any, ...]:
    extra: Extra = {}
    kind = take(annotation, "type", fit.text, extra)
    citation = _part(annotation, "url_citation", _URL_CITATION, extra)
    keep(annotation, extra)
    return (kind, *citation, fit.dumps(extra))
