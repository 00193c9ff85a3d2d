"""The kinds of answers models give: text, tool calls, refusals, citations and the rest."""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from . import tools, words
from .threads import Thread
from .tokens import Tokens

SEARCH = "gpt-4o-search-preview-2025-03-11"
AUDIO = "gpt-4o-audio-preview-2024-12-17"
_LETTERS = bytes.maketrans(b"+/", b"Zq")

Message = dict[str, Any]


@dataclass(slots=True)
class Spoken:
    """An answer: a message for each choice, and what of the request shows in the stored row.

    tokens    output tokens of all choices together
    is_full   whether message and usage must have the fields that stored rows mostly lack
    """

    messages: list[Message]
    tokens: int
    finish_reason: str = "stop"
    logprobs: msgspec.Raw | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    response_format: msgspec.Raw | None = None
    model: str | None = None
    audio_tokens: int = 0
    is_full: bool = False


def random_id(dice: Random, prefix: str, length: int) -> str:
    """A prefix and letters and digits, as the API makes its ids."""
    return prefix + b64encode(dice.randbytes(length))[:length].translate(_LETTERS).decode()


def chat(thread: Thread, turn: int, dice: Random) -> Spoken:
    """Text; one thread in four was offered tools and did without."""
    spoken = _text(thread.answer(turn))
    if thread.feature.tools and thread.key % 4 == 0:
        spoken.tools = [_DECLARED[name] for name in thread.feature.tools]
    return spoken


def several(thread: Thread, turn: int, dice: Random) -> Spoken:
    texts = [thread.answer(turn, choice) for choice in range(dice.randint(2, 4))]
    return Spoken([_message(text) for text in texts], sum(map(_count, texts)))


def cut_off(thread: Thread, turn: int, dice: Random) -> Spoken:
    text = thread.answer(turn)
    spoken = _text(text[: max(4, len(text) * 2 // 3)])
    spoken.finish_reason = "length"
    return spoken


def filtered(thread: Thread, turn: int, dice: Random) -> Spoken:
    spoken = _text(thread.answer(turn)[:12] if dice.random() < 0.5 else "")
    spoken.finish_reason = "content_filter"
    return spoken


def refused(thread: Thread, turn: int, dice: Random) -> Spoken:
    refusal = dice.choice(words.REFUSALS)
    return Spoken([{**_message(None), "refusal": refusal}], _count(refusal), is_full=True)


def structured(thread: Thread, turn: int, dice: Random) -> Spoken:
    """JSON as text, by a schema or merely as an object."""
    if thread.feature is words.TRIAGE:
        value = {"category": dice.choice(("refund", "praise", "paperwork")), "urgent": dice.random() < 0.3}
        text = json.dumps({**value, "summary": thread.answer(turn)}, ensure_ascii=False)
    else:
        lines = [{"article": dice.choice(("oak desk", "Zelt", "灯")), "pieces": dice.randint(1, 9)}]
        text = json.dumps(
            {"number": f"{dice.randrange(10**4)}", "lines": lines, "net": dice.randrange(10**5) / 100}
        )
    spoken = _text(text)
    spoken.response_format = _SCHEMAS[thread.feature.name] if dice.random() < 0.75 else _JSON_OBJECT
    return spoken


def cited(thread: Thread, turn: int, dice: Random) -> Spoken:
    """Sentences, each with the page it rests on; positions count characters of the text."""
    text, annotations = "", []
    for sentence in thread.sentences(turn)[:2]:
        title, url = dice.choice(words.SOURCES)
        start = len(text)
        text += f"{sentence} ([{title}]({url})) "
        citation = {"end_index": len(text) - 1, "start_index": start, "title": title, "url": url}
        annotations.append({"type": "url_citation", "url_citation": citation})
    message = {**_message(text), "annotations": annotations}
    return Spoken([message], _count(text), model=SEARCH, is_full=True)


def spoken_aloud(thread: Thread, turn: int, dice: Random) -> Spoken:
    text = thread.answer(turn)
    audio = {
        "id": f"audio_{dice.randbytes(16).hex()}",
        "data": b64encode(dice.randbytes(600)).decode(),
        "expires_at": 0,
        "transcript": text,
    }
    tokens = _count(text) * 4
    message = {**_message(None), "audio": audio}
    return Spoken([message], _count(text) + tokens, model=AUDIO, audio_tokens=tokens, is_full=True)


def tool_call(thread: Thread, turn: int, dice: Random) -> Spoken:
    return _calls(thread, [_call(thread, dice)], dice)


def tool_calls(thread: Thread, turn: int, dice: Random) -> Spoken:
    return _calls(thread, [_call(thread, dice) for _ in range(dice.randint(2, 4))], dice)


def broken_tool_call(thread: Thread, turn: int, dice: Random) -> Spoken:
    """Arguments that are cut off, were never JSON, or do not fit what the tool declares."""
    call = _call(thread, dice)
    call["function"]["arguments"] = dice.choice(tools.BROKEN_ARGUMENTS)
    return _calls(thread, [call], dice)


def custom_tool_call(thread: Thread, turn: int, dice: Random) -> Spoken:
    custom = {"name": "run_sql", "input": dice.choice(tools.STATEMENTS)}
    call = {"type": "custom", "custom": custom, "id": random_id(dice, "call_", 24)}
    spoken = _calls(thread, [call], dice)
    spoken.tools = [tools.RUN_SQL]
    spoken.tool_choice = None
    return spoken


def legacy_call(thread: Thread, turn: int, dice: Random) -> Spoken:
    """The API's deprecated function_call."""
    function = _call(thread, dice)["function"]
    return Spoken([{**_message(None), "function_call": function}], 20, finish_reason="function_call")


def weighed(
    thread: Thread, turn: int, dice: Random, *, weights: Tokens, tokens: int | None, top: int
) -> Spoken:
    """Text, rarely a refusal, with log probabilities of its tokens: exactly `tokens` of them if given."""
    is_refusal = dice.random() < 0.03
    sentences = [dice.choice(words.REFUSALS)] if is_refusal else thread.sentences(turn)
    pieces = _exactly(_cut(sentences, weights), tokens) if tokens else _cut(sentences, weights)
    text, listed = b"".join(pieces).decode(), weights.logprobs(pieces, top, dice.randrange(1 << 16))
    if is_refusal:
        message, logprobs = {**_message(None), "refusal": text}, b'{"content":null,"refusal":%b}' % listed
    else:
        message, logprobs = _message(text), b'{"content":%b,"refusal":null}' % listed
    return Spoken([message], len(pieces), logprobs=msgspec.Raw(logprobs), is_full=is_refusal)


KINDS: dict[str, tuple[int, Callable[[Thread, int, Random], Spoken]]] = {
    "chat": (61, chat),
    "tool_call": (9, tool_call),
    "tool_calls": (4, tool_calls),
    "broken_tool_call": (2, broken_tool_call),
    "custom_tool_call": (2, custom_tool_call),
    "several": (4, several),
    "structured": (8, structured),
    "refused": (2, refused),
    "cut_off": (3, cut_off),
    "filtered": (1, filtered),
    "cited": (2, cited),
    "legacy_call": (1, legacy_call),
    "spoken_aloud": (1, spoken_aloud),
}


def _text(text: str) -> Spoken:
    return Spoken([_message(text)], _count(text))


def _message(content: str | None) -> Message:
    return {"content": content, "role": "assistant", "tool_calls": None, "function_call": None}


def _count(text: str) -> int:
    """About as many tokens as a text of this length has."""
    return len(text.encode()) // 4 + 1


def _call(thread: Thread, dice: Random) -> dict[str, Any]:
    tool = tools.TOOLS[dice.choice(thread.feature.tools)]
    arguments = json.dumps(dice.choice(tool.samples), ensure_ascii=False, separators=(",", ":"))
    function = {"name": tool.name, "arguments": arguments}
    return {"type": "function", "function": function, "id": random_id(dice, "call_", 24)}


def _calls(thread: Thread, calls: list[dict[str, Any]], dice: Random) -> Spoken:
    return Spoken(
        [{**_message(None), "tool_calls": calls}],
        18 * len(calls) + dice.randrange(8),
        finish_reason="tool_calls",
        tools=[_DECLARED[name] for name in thread.feature.tools],
        tool_choice=dice.choice(_TOOL_CHOICES),
    )


def _cut(sentences: list[str], weights: Tokens) -> list[bytes]:
    spaced = [sentences[0], *(f" {sentence}" for sentence in sentences[1:])]
    return [piece for sentence in spaced for piece in weights.cut(sentence)]


def _exactly(pieces: list[bytes], count: int) -> list[bytes]:
    """The text over and over until it has that many tokens; ends on a whole character."""
    ended = (pieces * (count // len(pieces) + 1))[:count]
    try:
        b"".join(ended).decode()
    except UnicodeDecodeError:
        ended[-1] = b"."
    return ended


def _schema(name: str, properties: dict[str, Any]) -> msgspec.Raw:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    said = {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}
    return msgspec.Raw(msgspec.json.encode(said))


_TEXT = {"type": "string"}
_LINES = {"type": "array", "items": {"type": "object"}}
_SCHEMAS = {
    words.TRIAGE.name: _schema(
        "ticket", {"category": _TEXT, "urgent": {"type": "boolean"}, "summary": _TEXT}
    ),
    words.INVOICES.name: _schema("invoice", {"number": _TEXT, "lines": _LINES, "net": {"type": "number"}}),
}
_JSON_OBJECT = msgspec.Raw(b'{"type":"json_object"}')
_DECLARED = {name: msgspec.Raw(msgspec.json.encode(tool.declared)) for name, tool in tools.TOOLS.items()}
_TOOL_CHOICES = (
    None,
    None,
    None,
    "auto",
    "required",
    {"type": "function", "function": {"name": "find_order"}},
)
