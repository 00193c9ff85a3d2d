"""The usual shape of a completion, as one typed decoder reads it, and the hash of one.

Whatever is not exactly as declared here (a field that nobody knows, a value that its column cannot hold,
citations of another kind) makes it refuse the whole object.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from stored_completions import deep
from stored_completions.extra import FIRST_SECOND, LAST_SECOND, Misfit, unencoded

_Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Second = Annotated[int, Meta(ge=FIRST_SECOND, le=LAST_SECOND)]
_Number = float | Annotated[int, Meta(ge=-(2**53), le=2**53)]
_NULL = Raw(b"null")


class _Strict(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    pass


class Function(_Strict):
    name: str
    arguments: str


class _Custom(_Strict):
    name: str
    input: str


class ToolCall(_Strict):
    id: str
    type: Literal["function", "custom"]
    function: Function | None = None
    custom: _Custom | None = None


class _Citation(_Strict):
    start_index: _Integer
    end_index: _Integer
    title: str
    url: str


class Annotation(_Strict):
    type: str
    url_citation: _Citation


class Audio(_Strict):
    id: str | None = None
    expires_at: _Second | None = None
    transcript: str | None = None
    data: str | None = None


class _Message(_Strict):
    role: str | None = None
    content: str | None = None
    refusal: str | UnsetType | None = UNSET
    tool_calls: list[ToolCall] | None = None
    annotations: list[Annotation] | None = None
    function_call: Function | None = None
    audio: Audio | None = None


class Choice(_Strict):
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


class Usage(_Strict):
    prompt_tokens: _Integer
    completion_tokens: _Integer
    total_tokens: _Integer
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class Completion(_Strict):
    id: str
    object: Literal["chat.completion"]
    created: _Second
    choices: list[Choice]
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
    usage: Usage | None = None


class Usual(Struct, gc=False):
    """A completion of the usual shape, and its metadata as pairs."""

    sent: Completion
    pairs: dict[str, str] | None


class _Listed(Struct):
    data: list[Completion]
    has_more: bool | None = None


_completion = msgspec.json.Decoder(Completion)
_page = msgspec.json.Decoder(_Listed)
_pairs = msgspec.json.Decoder(dict[str, str] | None)
_encoder = msgspec.json.Encoder(order="deterministic")


def usual(text: Raw) -> Usual | None:
    """The completion in `text`; None if it has another shape, or no id."""
    try:
        sent = _completion.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return _usual(sent)


@dataclass(frozen=True)
class UsualPage:
    """A list page, as `pages.Page`; a completion is None if it has another shape all the same."""

    completions: list[Usual | None]
    has_more: bool | None


def usual_page(text: bytes) -> UsualPage | None:
    """The page in `text`, which is UTF-8, decoded at once; None if any completion refuses that, or no page is."""
    try:
        page = deep.with_room(_page.decode, text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return UsualPage(list(map(_usual, page.data)), page.has_more)


def row_hash(found: Usual) -> str:
    """Of all that was sent, the order of fields and of metadata aside, and whether null was sent or nothing."""
    sent, as_sent = found.sent, found.sent.metadata
    sent.metadata = Raw(_encoder.encode(found.pairs))
    made = hashed(_encoder.encode(sent))
    sent.metadata = as_sent
    return made


def hashed(text: bytes, key: bytes = b"") -> str:
    """128 bits of SHA-256, which processors have instructions for; with a key, of an HMAC."""
    digest = hmac.digest(key, text, "sha256") if key else sha256(text).digest()
    return digest[:16].hex()


def _usual(sent: Completion) -> Usual | None:
    """The completion, unless there is more to say against it than its types do."""
    choices = sent.choices
    if not sent.id or (len(choices) > 1 and len({choice.index for choice in choices}) < len(choices)):
        return None
    for choice in choices:
        message = choice.message
        if message.tool_calls and not all(map(_is_usual, message.tool_calls)):
            return None
        if message.audio and not _is_audible(message.audio):
            return None
    try:
        return Usual(sent, _pairs.decode(sent.metadata))
    except (msgspec.DecodeError, RecursionError):
        return None


def _is_usual(call: ToolCall) -> bool:
    """Whether it has what its type says, and nothing else."""
    return (call.type == "custom") == (call.custom is not None) == (call.function is None)


def _is_audible(audio: Audio) -> bool:
    try:
        return audio.data is None or unencoded(audio.data) is not None
    except Misfit:
        return False
