"""What makes two messages the same, as keyed hashes: of a message, of an answer, of all that came before.

An answer and the assistant's message that sends it again later have the same hash: its text, refusal,
calls and audio count, and not what the API adds on the way. Ids never count, for they are new each
time. A history is hashed message by message, so that whoever continues it has its hash among his own.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import repeat
from typing import Any

import pyarrow as pa

from stored_completions.pages import Fields, loads
from stored_completions.tables import CHOICES, TOOL_CALLS, Table

ANSWERED_BY = "assistant"
INSTRUCTING = ("system", "developer")

Call = tuple[Any, Any, Any]

_PARTS = ("content", "refusal", "function_call_name", "function_call_arguments", "audio_id")
_NOTHING = ["", "", [], ["", ""], ""]
_REST = ', "", [], ["", ""], ""]]'  # of an answer that is a text and nothing else, after its text
_quoted = json.encoder.encode_basestring_ascii


class Hashes:
    """Hashes of 32 hex digits, made with a key of at most 64 bytes."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=16)

    def answer(
        self, content: Any, refusal: Any, calls: Sequence[Call], function_call: Sequence[Any], audio_id: Any
    ) -> str | None:
        """That of an answer; None if it says nothing. `calls` are (type, name, arguments)."""
        if isinstance(content, str) and not (refusal or calls or any(function_call) or audio_id):
            return self._made(f'["answer", [{_quoted(content)}{_REST}') if content else None
        said = [
            content or "",
            refusal or "",
            [*map(list, calls)],
            [part or "" for part in function_call],
            audio_id or "",
        ]
        return None if said == _NOTHING else self._digest("answer", said)

    def message(self, message: Fields) -> str | None:
        """That of a message as it was listed; None for an assistant's that says nothing."""
        values = {name: loads(raw) for name, raw in message.items()}
        content = _text(values)
        role = values.get("role")
        if role == ANSWERED_BY:
            return self.answer(*_answered(values, content))
        calls, name = _calls(values.get("tool_calls")), values.get("name")
        return self._digest("message", [role, name or "", content, calls])

    def history(self, before: str | None, message: str | None) -> str:
        """That of a history `before` (None: it begins here) and one message more."""
        return self._digest("history", [before, message])

    def instructions(self, messages: Iterable[Fields]) -> str | None:
        """That of what the system and developer messages say; None if there are none."""
        values = [{name: loads(raw) for name, raw in message.items()} for message in messages]
        said = [_text(value) for value in values if value.get("role") in INSTRUCTING]
        return self._digest("instructions", said) if said else None

    def _digest(self, kind: str, value: Any) -> str:
        return self._made(json.dumps([kind, value], sort_keys=True))

    def _made(self, text: str) -> str:
        made = self._keyed.copy()
        made.update(text.encode())
        return made.hexdigest()


def with_answers(
    tables: Iterable[tuple[Table, pa.Table]], hashes: Hashes
) -> Iterator[tuple[Table, pa.Table]]:
    """The tables of completions with `choices.answer_hash` filled in; choices come after their tool calls."""
    choices: pa.Table | None = None
    for table, rows in tables:
        if table is CHOICES:
            choices = rows
            continue
        if table is TOOL_CALLS and choices is not None:
            yield CHOICES, _hashed(choices, rows, hashes)
        yield table, rows


def _hashed(choices: pa.Table, tool_calls: pa.Table, hashes: Hashes) -> pa.Table:
    """Most answers are a text: what stands in no row of the other columns costs next to nothing."""
    calls: dict[tuple[str, int], list[Call]] = {}
    names = ("completion_id", "choice_index", "type", "name", "arguments")
    for completion_id, choice_index, *call in _rows(tool_calls, names):
        calls.setdefault((completion_id, choice_index), []).append((call[0], call[1], call[2]))
    keys = _rows(choices, ("completion_id", "choice_index")) if calls else repeat(("", 0), len(choices))
    found = [
        hashes.answer(content, refusal, calls.get(key, ()), (name, arguments), audio_id)
        for key, (content, refusal, name, arguments, audio_id) in zip(
            keys, _rows(choices, _PARTS), strict=True
        )
    ]
    at = choices.schema.get_field_index("answer_hash")
    return choices.set_column(at, choices.schema.field(at), pa.array(found, pa.string()))


def _rows(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(_values(table.column(name)) for name in names), strict=True)


def _values(column: pa.ChunkedArray) -> Iterable[Any]:
    return repeat(None, len(column)) if column.null_count == len(column) else column.to_pylist()


def _answered(values: dict[str, Any], content: Any) -> tuple[Any, Any, list[Call], list[Any], Any]:
    function = _object(values.get("function_call"))
    audio_id = _object(values.get("audio")).get("id")
    return (
        content,
        values.get("refusal"),
        _calls(values.get("tool_calls")),
        [function.get("name"), function.get("arguments")],
        audio_id,
    )


def _calls(value: Any) -> list[Call]:
    """Type, name and arguments of each call, as table tool_calls has them."""
    return [_call(_object(call)) for call in value] if isinstance(value, list) else []


def _call(call: dict[str, Any]) -> Call:
    is_custom = call.get("type") == "custom"
    called = _object(call.get("custom" if is_custom else "function"))
    return call.get("type"), called.get("name"), called.get("input" if is_custom else "arguments")


def _text(values: dict[str, Any]) -> Any:
    """The message's text; with its parts if they are more than text."""
    content = values.get("content")
    sent = content if isinstance(content, list) else values.get("content_parts")
    parts = [_bare(part) for part in sent] if isinstance(sent, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) < len(parts):
        return parts
    return content if not isinstance(content, list) else " ".join(map(str, texts))


def _bare(value: Any) -> Any:
    """A part without the fields that say nothing: servers list them all, those that were sent or not."""
    if not isinstance(value, dict):
        return value
    return {name: _bare(item) for name, item in value.items() if item is not None}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
