"""Exported examples held against OpenAI's own types, which are generated from its OpenAPI file.

The reference lets a training example have system, user, assistant, tool and function messages of text and
images, and function tools. What a type does not name comes out of it missing, and so shows as a difference.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NotRequired, Required

import pytest
from openai.types.chat import (
    ChatCompletionAssistantMessageParam,
    ChatCompletionFunctionMessageParam,
    ChatCompletionFunctionToolParam,
    ChatCompletionSystemMessageParam,
    ChatCompletionToolMessageParam,
    ChatCompletionUserMessageParam,
)
from openai.types.evals.create_eval_jsonl_run_data_source_param import SourceFileContentContent
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from stored_completions.config import settings
from stored_completions.examples import FORMATS, Wanted, lines
from stored_completions.query import reading
from stored_completions.sandbox import Account, Sandbox
from stored_completions.sync import sync

Message = (
    ChatCompletionSystemMessageParam
    | ChatCompletionUserMessageParam
    | ChatCompletionAssistantMessageParam
    | ChatCompletionToolMessageParam
    | ChatCompletionFunctionMessageParam
)


class TrainingExample(TypedDict):
    messages: Required[list[Message]]
    tools: NotRequired[list[ChatCompletionFunctionToolParam]]


PARTS = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
]
CALLED = [
    {
        "role": "assistant",
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "A parcel."},
]
SHAPES = {"fine-tuning": TypeAdapter(TrainingExample), "evals": TypeAdapter(SourceFileContentContent)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    path = tmp_path_factory.mktemp("exports") / "warehouse.duckdb"
    account = Account.generate(2_000)
    simple = next(row for row in account.completions() if row["choices"][0]["message"]["content"])
    account.add(simple | {"id": "chatcmpl-parts"}, messages=[{"role": "user", "content": PARTS}, *CALLED])
    with Sandbox(account) as sandbox:
        place = {"api_key": "sk-sandbox", "base_url": sandbox.base_url, "messages": True}
        sync(settings(place, {}, path.parent), path)
    with reading(path) as connection:
        return {
            kind: [json.loads(line) for line in lines(connection, kind, Wanted(), Counter())]
            for kind in FORMATS
        }


@pytest.mark.parametrize("kind", FORMATS)
def test_every_example_is_of_the_type_that_openai_documents(
    exported: dict[str, list[Any]], kind: str
) -> None:
    examples = exported[kind]
    assert len(examples) > 1_000
    differing = [each for each in examples if _typed(SHAPES[kind], each) != each]
    assert not differing, differing[:2]


def test_training_input_has_the_roles_and_parts_of_the_format(exported: dict[str, list[Any]]) -> None:
    parts = Counter(_parts(exported["fine-tuning"]))
    assert set(parts) == {"text", "image_url"}
    roles = {message["role"] for each in exported["fine-tuning"] for message in each["messages"]}
    assert roles == {"system", "user", "assistant", "tool"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": [{"role": "developer", "content": "x"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [], "tools": [{"type": "custom", "custom": {"name": "x"}}]},
        {"item": {}},
    ],
)
def test_what_the_types_do_not_know_is_found(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _typed(SHAPES["fine-tuning"], wrong)


def _typed(shape: TypeAdapter[Any], example: Any) -> Any:
    return _plain(shape.validate_python(example))


def _plain(value: Any) -> Any:
    """The value with what pydantic reads lazily read."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return (
        [_plain(each) for each in value]
        if isinstance(value, Iterable) and not isinstance(value, str)
        else value
    )


def _parts(examples: list[Any]) -> Iterator[str]:
    for example in examples:
        for message in example["messages"]:
            if isinstance(message.get("content"), list):
                yield from (part["type"] for part in message["content"])
