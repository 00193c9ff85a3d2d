"""A completion of the usual `shape` -> the same rows as `exact` makes of it, in a tenth of the time."""

from msgspec import UNSET, Raw
from msgspec.structs import astuple

from stored_completions.exact import DAY, UNJUDGED, Gathered, Row
from stored_completions.extra import Extra, is_empty, unencoded
from stored_completions.items import Item
from stored_completions.logprobs import Slice
from stored_completions.pages import is_strict
from stored_completions.shape import Annotation, Audio, Choice, ToolCall, Usage

_NO_DETAILS = (None,) * 5
_NO_CALL, _NO_AUDIO = (None,) * 2, (None,) * 4


def add(listed: Item, ours: Row, gathered: Gathered) -> bool:
    """Adds the rows of one completion as `exact.add` does; False, and nothing is added, if it has another shape."""
    if listed.usual is None:
        return False
    sent, pairs = listed.usual.sent, listed.usual.pairs
    id_, date = listed.completion_id, sent.created * 1_000_000 // DAY
    rows = gathered.rows
    for choice in sent.choices:
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


def _add_choice(id_: str, date: int, choice: Choice, gathered: Gathered) -> None:
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
    if not is_empty(choice.logprobs):
        gathered.slices.append(Slice(id_, index, date, choice.logprobs, extra))
    texts = (message.role, message.content, refusal if was_sent else None, was_sent)
    called = astuple(message.function_call) if message.function_call else _NO_CALL
    audio = _audio(message.audio) if message.audio else _NO_AUDIO
    gathered.rows["choices"].append(
        (id_, index, date, choice.finish_reason, *texts, *called, *UNJUDGED, *audio, None, extra)
    )


def _audio(audio: Audio) -> Row:
    expires_at = None if audio.expires_at is None else audio.expires_at * 1_000_000
    data = None if audio.data is None else unencoded(audio.data)
    return audio.id, expires_at, audio.transcript, data


def _tool_call(call: ToolCall) -> Row:
    if call.custom is not None:
        return call.id, call.type, call.custom.name, call.custom.input, None, *UNJUDGED, None
    assert call.function is not None
    arguments = call.function.arguments
    return call.id, call.type, call.function.name, arguments, is_strict(arguments.encode()), *UNJUDGED, None


def _annotation(annotation: Annotation) -> Row:
    cited = annotation.url_citation
    return annotation.type, cited.start_index, cited.end_index, cited.title, cited.url, None


def _usage(id_: str, date: int, usage: Usage) -> Row:
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
