"""What makes two messages the same, as keyed hashes: of a message, of an answer, of all that came before.

An answer and the assistant's message that sends it again later have the same hash: its text, refusal,
calls and audio count, and not what the API adds on the way. Ids never count, for they are new each
time. A history is hashed message by message, so that whoever continues it has its hash among his own.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stored_completions.pages import Fields, loads
from stored_completions.tables import CHOICES, TOOL_CALLS, Table

ANSWERED_BY = "assistant"
INSTRUCTING = ("system", "developer")

Call = tuple[Any, Any, Any]

_PARTS = ("content", "refusal", "function_call_name", "function_call_arguments", "audio_id")
_ANSWER = ("completion_id", "choice_index", *_PARTS)
_CALL = ("completion_id", "choice_index", "type", "name", "arguments")
_NOTHING = ["", "", [], ["", ""], ""]
_REST = ', "", [], ["", ""], ""]]'  # of an answer that is a text and nothing else, after its text
_quoted = json.encoder.encode_basestring_ascii
_encoded = json.JSONEncoder(sort_keys=True).encode


class Hashes:
    """Hashes of 32 hex digits, made with a key of at most 64 bytes."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=16)

    def answer(
        self, content: Any, refusal: Any, calls: Sequence[Call], function_call: Sequence[Any], audio_id: Any
    ) -> str | None:
        """That of an answer; None if it says nothing. `calls` are (type, name, arguments)."""
        if isinstance(content, str) and not (refusal or calls or any(function_call) or audio_id):
            return self.texts([content])[0]
        said = [
            content or "",
            refusal or "",
            [*map(list, calls)],
            [part or "" for part in function_call],
            audio_id or "",
        ]
        return None if said == _NOTHING else self._digest("answer", said)

    def texts(self, contents: Iterable[str | None]) -> list[str | None]:
        """Those of answers that are a text each, and nothing else."""
        keyed, quoted = self._keyed.copy, _quoted
        found: list[str | None] = []
        for content in contents:
            if not content:
                found.append(None)
                continue
            made = keyed()
            made.update(f'["answer", [{quoted(content)}{_REST}'.encode())
            found.append(made.hexdigest())
        return found

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
        return self._made(_encoded([kind, value]))

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
    """Most answers are a text: all are taken for one, and then those that are more are hashed again."""
    found = hashes.texts(choices["content"].to_pylist())
    calls: dict[tuple[str, int], list[Call]] = {}
    for completion_id, choice_index, *call in _rows(tool_calls, _CALL):
        calls.setdefault((completion_id, choice_index), []).append((call[0], call[1], call[2]))
    is_more = pc.is_in(choices["completion_id"], value_set=tool_calls["completion_id"].combine_chunks())
    for name in _PARTS[1:]:
        is_more = pc.or_(is_more, pc.is_valid(choices[name]))
    more = choices.select(_ANSWER).filter(is_more)
    for at, answer in zip(pc.indices_nonzero(is_more).to_pylist(), _rows(more, _ANSWER), strict=True):
        completion_id, choice_index, content, refusal, name, arguments, audio_id = answer
        called = calls.get((completion_id, choice_index), ())
        found[at] = hashes.answer(content, refusal, called, (name, arguments), audio_id)
    place = choices.schema.get_field_index("answer_hash")
    return choices.set_column(place, choices.schema.field(place), pa.array(found, pa.string()))


def _rows(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)


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
