"""The input messages of a completion as the API listed them -> rows, exactly; answers among them left out.

Some servers list a completion's answers after its messages. They are recognised by what they say: if the
last messages are the answers of all choices, they are those, and they are in `chat.choices` already.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stored_completions import extra as fit
from stored_completions.extra import Extra, keep, take
from stored_completions.messages.attachments import Attachment, taken_out
from stored_completions.messages.hashes import ANSWERED_BY, Hashes
from stored_completions.pages import Entry, Fields, Members

_COLUMNS = (
    ("id", fit.text),
    ("role", fit.text),
    ("name", fit.text),
    ("content", fit.text),
    ("content_parts", fit.document),
    ("tool_calls", fit.document),
    ("tool_call_id", fit.text),
)
_WITH_ATTACHMENTS = ("content", "content_parts")

Row = tuple[Any, ...]


@dataclass
class Prompt:
    """What one completion was asked: rows of messages, its row of prompts (None: no messages), and what
    is kept beside; `misfits` are listed elements that are no objects."""

    messages: list[Row] = field(default_factory=list)
    prompt: Row | None = None
    attachments: list[Attachment] = field(default_factory=list)
    misfits: list[Entry] = field(default_factory=list)


def prompt(
    completion_id: str,
    created_date: Any,
    listed: Sequence[Entry],
    answers: Sequence[str | None],
    hashes: Hashes,
    images: str,
) -> Prompt:
    """The rows of a completion; `answers` are the hashes of its choices in order."""
    found = Prompt(misfits=[entry for entry in listed if entry.members is None])
    messages = [_fields(entry.members) for entry in listed if entry.members is not None]
    own = [hashes.message(message) for message in messages]
    if _end_in_answers(messages, own, answers):
        messages, own = messages[: -len(answers)], own[: -len(answers)]
    history: str | None = None
    for index, message in enumerate(messages):
        row = _row(message, images, found.attachments)
        found.messages.append((completion_id, index, created_date, *row, own[index], history))
        history = hashes.history(history, own[index])
    if messages:
        found.prompt = (completion_id, created_date, len(messages), history, hashes.instructions(messages))
    return found


def _end_in_answers(messages: list[Fields], own: list[str | None], answers: Sequence[str | None]) -> bool:
    """Whether the last messages are these answers, in whatever order, so that the input is what comes before."""
    if not answers or len(messages) < len(answers):
        return False
    last = messages[-len(answers) :]
    are_answers = all(message.get("role") == f'"{ANSWERED_BY}"'.encode() for message in last)
    return are_answers and Counter(own[-len(answers) :]) == Counter(answers)


def _fields(members: Members) -> Fields:
    return {name: bytes(raw) for name, raw in members.items()}


def _row(message: Fields, images: str, attachments: list[Attachment]) -> Row:
    rest, extra = dict(message), Extra()
    for name in _WITH_ATTACHMENTS:
        if name in rest:
            rest[name], found = taken_out(rest[name], images)
            attachments += found
    values = [take(rest, name, kind, extra) for name, kind in _COLUMNS]
    keep(rest, extra)
    return (*values, fit.dumps(extra))
