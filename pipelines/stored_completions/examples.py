"""Completions as examples to train or to evaluate with, one JSON object a line, in the formats OpenAI documents.

    fine-tuning   {"messages": [..., {"role": "assistant", ...}], "tools": [...]}
    evals         {"item": {"messages": [...], "answer": ..., "completion_id": ..., ...}}

An example needs its whole input and its whole answer. What lacks either is left out, and counted by why.
"""

import base64
import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import msgspec

from stored_completions.content.policy import DROPPED, HASHED
from stored_completions.errors import UsageError
from stored_completions.reports.asking import check_key
from stored_completions.reports.periods import Period

FORMATS = ("fine-tuning", "evals")
ENDED_WELL = ("stop", "tool_calls", "function_call")

NO_MESSAGES = "without input messages"
NO_ANSWER = "without text or calls in the answer"
NOT_KEPT = "whose content was not kept"
CUSTOM_CALL = "that call custom tools, which the format has no place for"
CUSTOM_TOOL = "with custom tools, which the format has no place for"
NO_PARTS = "with images or files that were not kept"
NO_PLACE = "with audio or files in the input, which the format has no place for"

_TRAINABLE_PARTS = ("text", "image_url", "refusal")
_SPARE = 500
_MOST_VALUES = 1000
_ATTACHED = re.compile(r";sha256,([0-9a-f]{64})\"")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Wanted:
    """Which answers: of this model, with all of these metadata pairs, ended so, on these UTC days, and no
    less sure than `most_perplexity`, which answers without logprobs do not fulfil."""

    model: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    finish_reasons: tuple[str, ...] = ENDED_WELL
    period: Period = field(default_factory=Period)
    most_perplexity: float | None = None


class Unusable(Exception):
    """Why an answer makes no example."""


def lines(
    connection: duckdb.DuckDBPyConnection, kind: str, wanted: Wanted, left_out: Counter[str]
) -> Iterator[bytes]:
    """One JSON object for each example, oldest first; `left_out` counts the answers that make none, by why."""
    shape = _SHAPES[kind]
    sql, parameters = _query(wanted)
    answers = connection.execute(sql, parameters)
    names = [column[0] for column in answers.description]
    attached = connection.cursor()
    while rows := answers.fetchmany(_SPARE):
        for row in rows:
            answer = dict(zip(names, row, strict=True))
            try:
                yield shape(answer, _messages(answer, attached))
            except Unusable as error:
                left_out[str(error)] += 1


def check(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """UsageError for a model, or a metadata key or value, that no completion has, where others are."""
    if wanted.model is not None:
        _check_name("model", wanted.model, _names(connection, "select model from chat.completions"))
    for key, value in wanted.metadata.items():
        check_key(connection, key)
        pair = "select 1 from chat.metadata where key = ? and value = ? limit 1"
        if not connection.execute(pair, [key, value]).fetchall():
            values = _names(connection, "select value from chat.metadata where key = $key", key=key)
            hint = f" `stored-completions report costs --by metadata:{key}` lists its values."
            _check_name(f"metadata {key}", value, values, hint)


def _names(connection: duckdb.DuckDBPyConnection, sql: str, **parameters: str) -> list[str]:
    """The values of a column, the most frequent first, as many as it makes sense to compare."""
    counted = f"select * from ({sql}) as each(name) where name is not null group by name order by count(*) desc, name"
    return [row[0] for row in connection.execute(f"{counted} limit {_MOST_VALUES}", parameters).fetchall()]


def _check_name(what: str, name: str, names: list[str], hint: str = "") -> None:
    if not names or name in names:
        return
    close = difflib.get_close_matches(name, names, 1)
    nearest = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(f"No completion has the {what} {name!r}.{nearest or hint}")


def _query(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    conditions = ["choices.deleted_at is null", "list_contains($finish_reasons, choices.finish_reason)"]
    parameters: dict[str, Any] = {"finish_reasons": list(wanted.finish_reasons)}
    for name, condition, value in (
        ("model", "choices.model = $model", wanted.model),
        ("first", "choices.created_date >= $first", wanted.period.first),
        ("last", "choices.created_date <= $last", wanted.period.last),
        ("perplexity", "choices.perplexity <= $perplexity", wanted.most_perplexity),
    ):
        if value is not None:
            conditions.append(condition)
            parameters[name] = value
    for at, (key, value) in enumerate(wanted.metadata.items()):
        conditions.append(
            "exists (select 1 from chat.metadata where metadata.completion_id = choices.completion_id"
            f" and metadata.key = $key_{at} and metadata.value = $value_{at})"
        )
        parameters |= {f"key_{at}": key, f"value_{at}": value}
    return _ANSWERS.format(conditions=" and ".join(conditions)), parameters


_ANSWERS = """
with wanted as (
    select choices.* from marts.choices_wide as choices where {conditions}
),
messages as (
    select completion_id, list(messages order by message_index) as messages
    from chat.messages as messages
    where completion_id in (select completion_id from wanted)
    group by completion_id
),
calls as (
    select completion_id, choice_index, list(calls order by tool_call_index) as calls
    from chat.tool_calls as calls
    where completion_id in (select completion_id from wanted)
    group by completion_id, choice_index
)
select
    wanted.completion_id, wanted.choice_index, wanted.model, wanted.metadata, wanted.finish_reason, wanted.content,
    wanted.refusal, choices.function_call_name, choices.function_call_arguments, completions.tools,
    completions.response_format, messages.messages, calls.calls
from wanted
join chat.choices on choices.completion_id = wanted.completion_id and choices.choice_index = wanted.choice_index
join chat.completions on completions.completion_id = wanted.completion_id
left join messages on messages.completion_id = wanted.completion_id
left join calls on calls.completion_id = wanted.completion_id and calls.choice_index = wanted.choice_index
order by wanted.created_at, wanted.completion_id, wanted.choice_index
"""


def _messages(answer: dict[str, Any], attached: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    if not answer["messages"]:
        raise Unusable(NO_MESSAGES)
    return [_message(row, attached) for row in answer["messages"]]


def _message(row: dict[str, Any], attached: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    message: dict[str, Any] = {"role": row["role"]}
    if row["content_parts"]:
        # whoever lists parts may give their text as content too
        parts = json.loads(_with_attachments(_kept(row["content_parts"]), attached))
        message["content"] = _without_nulls(parts)
    elif row["content"] is not None:
        message["content"] = _kept(row["content"])
    elif not row["tool_calls"]:
        raise Unusable(NOT_KEPT)
    if row["name"] is not None:
        message["name"] = row["name"]
    if row["tool_calls"]:
        message["tool_calls"] = _raw(_kept(row["tool_calls"]))
    if row["tool_call_id"] is not None:
        message["tool_call_id"] = row["tool_call_id"]
    return message


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _kept(text: str) -> str:
    """The text as it was; Unusable where only a mark or a hash of it was stored."""
    plain = text.strip('"')
    if plain == DROPPED or plain.startswith(HASHED):
        raise Unusable(NOT_KEPT)
    return text


def _with_attachments(parts: str, attached: duckdb.DuckDBPyConnection) -> str:
    """Parts with the images and files in their places again that are kept once."""
    if ";dropped," in parts:
        raise Unusable(NO_PARTS)

    def data(match: "re.Match[str]") -> str:
        row = attached.execute("select data from chat.attachments where sha256 = ?", [match[1]]).fetchone()
        if row is None:
            raise Unusable(NO_PARTS)
        return f';base64,{base64.b64encode(row[0]).decode()}"'

    return _ATTACHED.sub(data, parts)


def _answered(answer: dict[str, Any]) -> dict[str, Any]:
    """The assistant's message."""
    message: dict[str, Any] = {"role": "assistant"}
    for name in ("content", "refusal"):
        if answer[name]:
            message[name] = _kept(answer[name])
    if answer["calls"]:
        message["tool_calls"] = [_call(call) for call in answer["calls"]]
    if answer["function_call_name"]:
        arguments = _kept(answer["function_call_arguments"] or "")
        message["function_call"] = {"name": answer["function_call_name"], "arguments": arguments}
    if len(message) == 1:
        raise Unusable(NO_ANSWER)
    return message


def _call(call: dict[str, Any]) -> dict[str, Any]:
    if call["type"] != "function":
        raise Unusable(CUSTOM_CALL)
    function = {"name": call["name"], "arguments": _kept(call["arguments"] or "")}
    return {"id": call["tool_call_id"], "type": "function", "function": function}


def _for_training(answer: dict[str, Any], messages: list[dict[str, Any]]) -> bytes:
    example: dict[str, Any] = {"messages": [*map(_trainable, messages), _answered(answer)]}
    if answer["tools"]:
        if any(tool.get("type") != "function" for tool in json.loads(answer["tools"])):
            raise Unusable(CUSTOM_TOOL)
        example["tools"] = _raw(answer["tools"])
    return _encode(example)


def _trainable(message: dict[str, Any]) -> dict[str, Any]:
    """The message in the words that fine-tuning knows: instructions are the system's, and parts text or images."""
    content = message.get("content")
    if isinstance(content, list) and any(part.get("type") not in _TRAINABLE_PARTS for part in content):
        raise Unusable(NO_PLACE)
    return message | {"role": "system"} if message["role"] == "developer" else message


def _for_evaluation(answer: dict[str, Any], messages: list[dict[str, Any]]) -> bytes:
    said = _answered(answer)
    item = {
        "messages": messages,
        "answer": said.get("content") or said.get("refusal"),
        "tool_calls": said.get("tool_calls", []),
        "completion_id": answer["completion_id"],
        "choice_index": answer["choice_index"],
        "model": answer["model"],
        "metadata": _raw(answer["metadata"] or "{}"),
    }
    return _encode({"item": item})


def _raw(document: str) -> msgspec.Raw:
    return msgspec.Raw(document.encode())


_SHAPES: dict[str, Callable[[dict[str, Any], list[dict[str, Any]]], bytes]] = {
    "fine-tuning": _for_training,
    "evals": _for_evaluation,
}
