"""A completion of the usual shape -> the same rows as `exact` makes of it, in a tenth of the time.

One typed decoder reads it. Whatever is not exactly as declared here (a field that nobody knows, a
value that its column cannot hold, audio, citations of another kind) makes it refuse the whole object.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.structs import astuple

from stored_completions.exact import DAY, UNJUDGED, Gathered, Row
from stored_completions.extra import FIRST_SECOND, LAST_SECOND, Extra, is_empty
from stored_completions.items import Item
from stored_completions.logprobs import Slice
from stored_completions.pages import is_strict

_Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Second = Annotated[int, Meta(ge=FIRST_SECOND, le=LAST_SECOND)]
_Number = float | Annotated[int, Meta(ge=-(2**53), le=2**53)]
_NULL = Raw(b"null")


class _Strict(Struct, forbid_unknown_fields=True, gc=False):
    pass


class _Function(_Strict):
    name: str
    arguments: str


class _Custom(_Strict):
    name: str
    input: str


class _ToolCall(_Strict):
    id: str
    type: Literal["function", "custom"]
    function: _Function | None = None
    custom: _Custom | None = None


class _Citation(_Strict):
    start_index: _Integer
    end_index: _Integer
    title: str
    url: str


class _Annotation(_Strict):
    type: str
    url_citation: _Citation


class _Message(_Strict):
    role: str | None = None
    content: str | None = None
    refusal: str | UnsetType | None = UNSET
    tool_calls: list[_ToolCall] | None = None
    annotations: list[_Annotation] | None = None
    function_call: _Function | None = None
    audio: None = None


class _Choice(_Strict):
    index: _Integer
    message: _Message
    finish_reason: str | None = None
    logprobs: Raw = _NULL


class _PromptDetails(_Strict):
    cached_tokens: _Integer | None = None
    cache_write_tokens: _Integer | None = None
    audio_tokens: _Integer | None = None
    text_tokens: _Integer | None = None
    image_tokens: _Integer | None = None


class _CompletionDetails(_Strict):
    reasoning_tokens: _Integer | None = None
    audio_tokens: _Integer | None = None
    text_tokens: _Integer | None = None
    accepted_prediction_tokens: _Integer | None = None
    rejected_prediction_tokens: _Integer | None = None


class _Usage(_Strict):
    prompt_tokens: _Integer
    completion_tokens: _Integer
    total_tokens: _Integer
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Completion(_Strict):
    id: str
    object: Literal["chat.completion"]
    created: _Second
    choices: list[_Choice]
    model: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    request_id: str | None = None
    input_user: str | None = None
    seed: _Integer | None = None
    temperature: _Number | None = None
    top_p: _Number | None = None
    presence_penalty: _Number | None = None
    frequency_penalty: _Number | None = None
    tools: Raw = _NULL
    tool_choice: Raw = _NULL
    response_format: Raw = _NULL
    moderation: Raw = _NULL
    metadata: Raw = _NULL
    usage: _Usage | None = None


_completion = msgspec.json.Decoder(_Completion)
_pairs = msgspec.json.Decoder(dict[str, str] | None)
_NO_DETAILS = (None,) * 5
_NO_CALL, _NO_AUDIO = (None,) * 2, (None,) * 4


def add(listed: Item, ours: Row, gathered: Gathered) -> bool:
    """Adds the rows of one completion as `exact.add` does; False, and nothing is added, if it has another shape."""
    try:
        sent = _completion.decode(listed.entry.text)
        pairs = _pairs.decode(sent.metadata)
    except (msgspec.DecodeError, RecursionError):
        return False
    choices = sent.choices
    if len({choice.index for choice in choices}) < len(choices) or not all(map(_is_usual, choices)):
        return False
    id_, date = listed.completion_id, sent.created * 1_000_000 // DAY
    rows = gathered.rows
    for choice in choices:
        _add_choice(id_, date, choice, gathered)
    if sent.usage is not None:
        rows["usage"].append(_usage(id_, date, sent.usage))
    if pairs:
        rows["metadata"] += [(id_, name, date, value) for name, value in pairs.items()]
    rows["completions"].append(
        (
            id_,
            sent.created * 1_000_000,
            date,
            sent.model,
            sent.service_tier,
            sent.system_fingerprint,
            sent.request_id,
            sent.input_user,
            sent.seed,
            sent.temperature,
            sent.top_p,
            sent.presence_penalty,
            sent.frequency_penalty,
            _document(sent.tools),
            _document(sent.tool_choice),
            _document(sent.response_format),
            _document(sent.moderation),
            _document(sent.metadata),
            None,
            *ours,
        )
    )
    return True


def _is_usual(choice: _Choice) -> bool:
    """Whether each of its tool calls has what its type says, and nothing else."""
    return all(
        (call.type == "custom") == (call.custom is not None) == (call.function is None)
        for call in choice.message.tool_calls or ()
    )


def _add_choice(id_: str, date: int, choice: _Choice, gathered: Gathered) -> None:
    index, message = choice.index, choice.message
    if message.tool_calls:
        gathered.rows["tool_calls"] += [
            (id_, index, place, date, *_tool_call(call)) for place, call in enumerate(message.tool_calls)
        ]
    if message.annotations:
        gathered.rows["annotations"] += [
            (id_, index, place, date, *_annotation(each)) for place, each in enumerate(message.annotations)
        ]
    refusal = message.refusal
    was_sent = refusal is not UNSET
    extra: Extra = {}
    logprobs = bytes(choice.logprobs)
    if not is_empty(logprobs):
        gathered.slices.append(Slice(id_, index, date, logprobs, extra))
    texts = (message.role, message.content, refusal if was_sent else None, was_sent)
    called = astuple(message.function_call) if message.function_call else _NO_CALL
    gathered.rows["choices"].append(
        (id_, index, date, choice.finish_reason, *texts, *called, *UNJUDGED, *_NO_AUDIO, None, extra)
    )


def _tool_call(call: _ToolCall) -> Row:
    if call.custom is not None:
        return call.id, call.type, call.custom.name, call.custom.input, None, *UNJUDGED, None
    assert call.function is not None
    arguments = call.function.arguments
    return call.id, call.type, call.function.name, arguments, is_strict(arguments.encode()), *UNJUDGED, None


def _annotation(annotation: _Annotation) -> Row:
    cited = annotation.url_citation
    return annotation.type, cited.start_index, cited.end_index, cited.title, cited.url, None


def _usage(id_: str, date: int, usage: _Usage) -> Row:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return (
        id_,
        date,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        *(astuple(prompt) if prompt else _NO_DETAILS),
        *(astuple(completion) if completion else _NO_DETAILS),
        None,
    )


def _document(raw: Raw) -> str | None:
    text = bytes(raw).decode()
    return None if text == "null" else text
