"""The shape in which input messages are stored."""

import json
from collections.abc import Mapping
from typing import Any

from .answers import Item
from .rows import Message, Row

_PART: dict[str, Any] = {"type": "text", "text": None, "image_url": None, "input_audio": None, "file": None}


def stored_messages(row: Row, *, with_answers: bool = False) -> list[Item]:
    """A row's input messages with their ids, `<completion id>-<n>`; its answers after them if wanted."""
    sent = list(row.messages() if callable(row.messages) else row.messages or [])
    if with_answers:
        sent += [choice["message"] for choice in json.loads(row.body).get("choices") or []]
    stored = [_stored(message, f"{row.id}-{number}") for number, message in enumerate(sent)]
    return [(message["id"], json.dumps(message).encode()) for message in stored]


def _stored(message: Message, message_id: str) -> dict[str, Any]:
    """As recorded: parts carry every kind's field, and their texts joined are the content."""
    parts = message.get("content")
    if not isinstance(parts, list):
        return {
            "id": message_id,
            "role": None,
            "content": None,
            "content_parts": None,
            "name": None,
            **message,
        }
    return {
        "id": message_id,
        **message,
        "content": " ".join(_text(part) for part in parts),
        "content_parts": [_part(part) for part in parts],
        "name": message.get("name"),
    }


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    whole = {**_PART, **part}
    if isinstance(image := whole["image_url"], dict):
        whole["image_url"] = {"url": None, "detail": None, **image}
    return whole


def _text(part: Mapping[str, Any]) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else ""
