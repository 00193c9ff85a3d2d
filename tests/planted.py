"""An account with a mark in every text that can hold content, and in every odd shape that content comes in."""

import base64
import re
from typing import Any

from stored_completions.sandbox import Account

MARK = "LeakQx[0-9A-Z]{8}Z"
KEY = "sk-leak-0123456789abcdefghijklmnop"
_EXEMPT = (
    "id object model service_tier system_fingerprint request_id finish_reason role type tool_call_id".split()
)


class Marks:
    """Numbers them, so that one that is found tells where it came from."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def mark(self, place: str) -> str:
        text = f"LeakQx{len(self.places):08X}Z"
        self.places[text] = place
        return text

    def planted(self, value: Any, place: str = "") -> Any:
        """The value with a mark in front of each of its texts, and of the bytes of its tokens."""
        if isinstance(value, list):
            return [self.planted(item, place) for item in value]
        if place.endswith(".audio.data") and _is_sound(value):
            return base64.b64encode(self.mark(place).encode() + base64.b64decode(value)).decode()
        if not isinstance(value, dict):
            return f"{self.mark(place)} {value}" if isinstance(value, str) else value
        planted = {
            name: item if self._is_exempt(name, place) else self.planted(item, f"{place}.{name}")
            for name, item in value.items()
        }
        if isinstance(value.get("bytes"), list):
            planted["bytes"] = list(planted["token"].encode())
        return planted

    def _is_exempt(self, name: str, place: str) -> bool:
        """Identifiers and enumerations; of names those of tools."""
        is_tool = name == "name" and re.search(r"\.(function|custom|function_call)$", place) is not None
        return name in _EXEMPT or is_tool


def _is_sound(value: Any) -> bool:
    return isinstance(value, str) and "," not in value


def planted(completions: int, marks: Marks) -> Account:
    """Invented completions, and some that are broken in a way of their own, newest last."""
    account = Account()
    for row in Account.generate(completions, logprob_share=0.2).completions():
        account.add(marks.planted(row), messages=_messages(marks, row["id"]))
    newest = account.newest() or 0
    for number, odd in enumerate(_odd(marks)):
        account.add(
            {"object": "chat.completion", "created": newest, "model": "m", **odd, "id": f"odd{number:03}"}
        )
    for entry in _nameless(marks, newest):
        account.add(entry, at=newest)
    return account


def _odd(marks: Marks) -> list[dict[str, Any]]:
    """Values that their columns cannot hold, and fields that nobody knows, at every level."""
    surrogate = "\ud800"

    def message(**fields: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "message": {"role": "assistant", **fields}}]}

    texts = [
        {"x_vendor": {"deep": ["text", {"er": "text"}]}, "prompt": "text", "citations": ["text"]},
        {"tools": "text" + surrogate, "metadata": {"key": "text" + surrogate, "list": ["text"]}},
        {
            "metadata": ["text"],
            "moderation": {"flagged": False, "input": "text"},
            "input_user": {"name": "text"},
        },
        {
            "seed": "text",
            "temperature": "text",
            "usage": "text",
            "response_format": ["text"],
            "tool_choice": "text",
        },
        {"usage": {"prompt_tokens": 7, "x_note": "text", "prompt_tokens_details": {"x": 1, "y": "text"}}},
        {"choices": ["text", {"message": {"content": "text"}}]},
        message(content=["text", {"text": "text"}], refusal="text", reasoning_content="text"),
        message(content="text" + surrogate, x={"y": "text"}),
        message(function_call={"name": "f", "arguments": {"city": "text"}, "x": "text"}),
        message(function_call={"name": "f", "arguments": "text"}),
        message(
            tool_calls=[
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": "text"'}}
            ]
        ),
        message(
            tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "f", "input": "text", "x": "text"}}]
        ),
        message(
            tool_calls=[
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": "text"}}}
            ]
        ),
        message(tool_calls=["text"], annotations="text"),
        message(
            annotations=[
                {"type": "url_citation", "url_citation": {"url": "text", "title": "text", "x": "text"}}
            ]
        ),
        message(audio={"id": "a", "data": "text, no base64", "transcript": "text", "x": "text"}),
        message(audio={"id": "a", "data": base64.b64encode(b"sound").decode(), "expires_at": 1}),
        {"choices": [{"index": "text", "message": "text", "x_vendor": "text", "finish_reason": None}]},
        {"choices": [{"index": 0, "logprobs": {"content": [{"token": "text", "logprob": -1, "x": "text"}]}}]},
        {"choices": [{"index": 0, "logprobs": {"content": [{"token": "text" + surrogate, "logprob": -1}]}}]},
        {"choices": [{"index": 0, "logprobs": "text"}]},
    ]
    return [marks.planted(odd, "odd") for odd in texts]


def _messages(marks: Marks, id_: str) -> list[Any]:
    """What it was asked: text, an image, an answer of before, a tool's; and one that is no object."""
    image = base64.b64encode(marks.mark("message.image").encode()).decode()
    call = {"id": "call", "type": "function", "function": {"name": "f", "arguments": "text"}}
    messages = [
        {"role": "system", "name": "text", "content": "text"},
        {"role": "user", "content": None, "content_parts": [{"type": "text", "text": "text"}]},
        {"role": "assistant", "content": "text", "refusal": "text", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call", "content": "text", "x_vendor": {"deep": ["text"]}},
    ]
    planted = [
        {"id": f"{id_}-{place}", **marks.planted(row, "message")} for place, row in enumerate(messages)
    ]
    url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}
    planted[1]["content_parts"].append(url)
    return planted


def _nameless(marks: Marks, second: int) -> list[Any]:
    """What goes to quarantine: no id, no object, another object under an id of the same page."""
    nameless = {"created": second, "model": "m", "choices": [{"message": {"content": "text"}}]}
    double = {"id": "odd000", "created": second, "model": "m", "choices": [{"message": {"content": "text"}}]}
    return [
        marks.planted(nameless, "nameless"),
        marks.planted(double, "double"),
        marks.planted({"id": 7, "content": "text"}, "number"),
        f'"{marks.mark("a text in the list")}"'.encode(),
        f'{{"created": NaN, "x": "{marks.mark("NaN")}"}}'.encode(),
    ]
