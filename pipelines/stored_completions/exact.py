"""Any completion, however odd, -> rows: value by value, with everything that no column holds in `extra`.

Rows are tuples in the order of the table's columns, timestamps as microseconds and dates as days
since 1970, UTC. Logprobs are not looked at here: their raw slices are handed to `logprobs`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec import Raw

from stored_completions import extra as fit
from stored_completions.extra import Extra, keep, nested, objects, put, take
from stored_completions.items import Item
from stored_completions.logprobs import Slice
from stored_completions.pages import Fields, fields, is_strict

DAY = 86_400_000_000
UNJUDGED = (None, None)  # for `arguments` to fill in, once a round's tools are together

Row = tuple[Any, ...]
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
class Gathered:
    """Rows by table, all but the load id, and the raw logprobs of their choices; a choice ends with its extra."""

    rows: dict[str, list[Row]]
    slices: list[Slice]


def add(listed: Item, ours: Row, gathered: Gathered) -> None:
    """Adds the rows of one completion; `ours` are those columns of it that the API does not send."""
    rest = fields(bytes(listed.entry.text)) or {}
    extra: Extra = {}
    del rest["id"]
    sent = rest.pop("object", b"null")
    if fit.fitting(fit.text, sent) != "chat.completion":
        extra["object"] = sent
    created = take(rest, "created", fit.instant, extra)
    key = (listed.completion_id, None if created is None else created // DAY)
    _metadata(key, rest.get("metadata", b"null"), gathered)
    _usage(key, nested(rest, "usage"), gathered)
    for index, choice, misplaced in _indexed(objects(rest, "choices")):
        _choice(key, index, choice, misplaced, gathered)
    values = [take(rest, name, kind, extra) for name, kind in _COMPLETION]
    keep(rest, extra)
    gathered.rows["completions"].append((key[0], created, key[1], *values, fit.dumps(extra), *ours))


def _choice(key: Key, index: int, choice: Fields, extra: Extra, gathered: Gathered) -> None:
    message = nested(choice, "message")
    inner: Extra = {}
    refusal_sent = "refusal" in message
    texts = [take(message, name, fit.text, inner) for name in ("role", "content", "refusal")]
    function_call = _part(message, "function_call", _FUNCTION_CALL, inner)
    audio = _part(message, "audio", _AUDIO, inner)
    for position, call in enumerate(objects(message, "tool_calls")):
        gathered.rows["tool_calls"].append((key[0], index, position, key[1], *_tool_call(call)))
    for position, annotation in enumerate(objects(message, "annotations")):
        gathered.rows["annotations"].append((key[0], index, position, key[1], *_annotation(annotation)))
    keep(message, inner)
    put(extra, "message", inner)
    finish_reason = take(choice, "finish_reason", fit.text, extra)
    logprobs = choice.pop("logprobs", b"null")
    if not fit.is_empty(logprobs):
        gathered.slices.append(Slice(key[0], index, key[1], Raw(logprobs), extra))
    keep(choice, extra)
    row = (
        key[0],
        index,
        key[1],
        finish_reason,
        *texts,
        refusal_sent,
        *function_call,
        *UNJUDGED,
        *audio,
        None,
        extra,
    )
    gathered.rows["choices"].append(row)


def _usage(key: Key, usage: Fields, gathered: Gathered) -> None:
    if not usage:
        return
    extra: Extra = {}
    totals = [take(usage, name, fit.integer, extra) for name in _TOTALS]
    details = [_part(usage, name, counters, extra) for name, counters in _DETAILS.items()]
    keep(usage, extra)
    gathered.rows["usage"].append((*key, *totals, *details[0], *details[1], fit.dumps(extra)))


def _metadata(key: Key, raw: bytes, gathered: Gathered) -> None:
    for name, value in (fields(raw) or {}).items():
        if fit.storable(name):
            gathered.rows["metadata"].append((key[0], name, key[1], fit.fitting(fit.text, value)))


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
    return (*called, name, arguments, valid, *UNJUDGED, fit.dumps(extra))


def _annotation(annotation: Fields) -> tuple[Any, ...]:
    extra: Extra = {}
    kind = take(annotation, "type", fit.text, extra)
    citation = _part(annotation, "url_citation", _URL_CITATION, extra)
    keep(annotation, extra)
    return (kind, *citation, fit.dumps(extra))
