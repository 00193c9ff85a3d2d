"""The invented company's account, row by row: whose thread it is, which model answered, what it took."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any
from zlib import crc32

import msgspec

from . import timetable, words
from .rows import Row
from .spoken import KINDS, Spoken, random_id, weighed
from .threads import Thread, mix
from .tokens import Tokens
from .words import Feature

UNTIL = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())

_WEEK = 604_800
_TURNS = 6
_OPEN_THREADS = 12
_CONTINUED = 0.4
_FULL = 0.12
_TOPS = (0, 2, 5, 20)

_TALKS = (words.SUPPORT, words.SUPPORT, words.COPY, words.TRANSLATION, words.REVIEW, words.NOTES, words.DATA)
_WITH_TOOLS = (words.SUPPORT, words.DATA)
_FEATURES: dict[str, tuple[Feature, ...]] = {
    "tool_call": _WITH_TOOLS,
    "tool_calls": _WITH_TOOLS,
    "broken_tool_call": _WITH_TOOLS,
    "legacy_call": _WITH_TOOLS,
    "custom_tool_call": (words.DATA,),
    "structured": (words.TRIAGE, words.INVOICES),
    "cited": (words.RESEARCH,),
    "spoken_aloud": (words.VOICE,),
}
_REASONING = {"gpt-5-2025-08-07", "gpt-5-mini-2025-08-07", "o3-mini-2025-01-31"}
_MODELS = {
    "gpt-4o-mini-2024-07-18": 40,
    "gpt-4o-2024-08-06": 16,
    "gpt-4.1-2025-04-14": 14,
    "gpt-5-2025-08-07": 12,
    "gpt-5-mini-2025-08-07": 5,
    "o3-mini-2025-01-31": 6,
    "ft:gpt-4o-mini-2024-07-18:halmstroem-vey:support:Bq7TzK2d": 7,
}
_TIERS: dict[str | None, int] = {"default": 88, "flex": 6, "priority": 4, None: 2}
_ENVIRONMENTS = {"production": 80, "staging": 14, "development": 6}
_MODEL_POOL = [name for name, share in _MODELS.items() for _ in range(share)]
_TIER_POOL = [name for name, share in _TIERS.items() for _ in range(share)]
_ENVIRONMENT_POOL = [name for name, share in _ENVIRONMENTS.items() for _ in range(share)]


def generate(
    completions: int,
    *,
    seed: int,
    until: int,
    per_second: int | None,
    logprob_share: float,
    tokens: int | None,
    top_logprobs: int | None,
) -> Iterator[Row]:
    """The rows of `Account.generate`, oldest first."""
    dice = Random(seed)
    if per_second is None:
        seconds = timetable.office_hours(completions, until, dice)
    else:
        seconds = timetable.even(completions, until, per_second)
    company = _Company(dice, logprob_share, tokens, top_logprobs)
    return (company.row(number, second) for number, second in enumerate(seconds))


class _Company:
    """Remembers which threads are open and which kinds of answers are still to come."""

    def __init__(
        self, dice: Random, logprob_share: float, tokens: int | None, top_logprobs: int | None
    ) -> None:
        self._dice = dice
        self._share = logprob_share
        self._tokens = tokens
        self._top = top_logprobs
        self._weights = Tokens(
            (*words.SUPPORT.sentences, *words.TRANSLATION.sentences, *words.COPY.sentences)
        )
        self._deck: list[str] = []
        self._open: list[Thread] = []

    def row(self, number: int, second: int) -> Row:
        weighs = int((number + 1) * self._share) > int(number * self._share)
        kind = "weighed" if weighs else self._deal()
        thread = self._thread(kind)
        turn, thread.turns = thread.turns, thread.turns + 1
        spoken = self._weighed(thread, turn) if weighs else KINDS[kind][1](thread, turn, self._dice)
        completion_id = random_id(self._dice, "chatcmpl-", 29)
        body = msgspec.json.encode(self._completion(completion_id, second, thread, turn, spoken))
        return Row(
            id=completion_id,
            second=second,
            body=body,
            model=spoken.model or thread.model,
            metadata=thread.metadata,
            messages=partial(thread.messages, turn),
        )

    def _deal(self) -> str:
        """The next kind of answer: from a shuffled deck, so that a hundred rows have each in its share."""
        if not self._deck:
            self._deck = [kind for kind, (cards, _) in KINDS.items() for _ in range(cards)]
            self._dice.shuffle(self._deck)
        return self._deck.pop()

    def _thread(self, kind: str) -> Thread:
        """An open thread goes on, or a new one begins; only plain talk goes on."""
        if kind != "chat":
            return self._new_thread(_FEATURES.get(kind, _TALKS))
        if self._open and self._dice.random() < _CONTINUED:
            thread = self._dice.choice(self._open)
            if thread.turns < _TURNS:
                return thread
        thread = self._new_thread(_TALKS)
        self._open = [*self._open[1 - _OPEN_THREADS :], thread]
        return thread

    def _new_thread(self, features: tuple[Feature, ...]) -> Thread:
        dice = self._dice
        feature, model = dice.choice(features), dice.choice(_MODEL_POOL)
        return Thread(
            key=dice.getrandbits(64),
            feature=feature,
            model=model,
            user=f"user-{dice.getrandbits(20):05x}",
            metadata=self._metadata(feature),
            reasons=model in _REASONING,
        )

    def _metadata(self, feature: Feature) -> dict[str, str]:
        """A few customers ask for most of it, many for a little; some rows are not labelled."""
        dice = self._dice
        if dice.random() < 0.06:
            return {}
        labels = {
            "team": feature.team,
            "feature": feature.name,
            "environment": dice.choice(_ENVIRONMENT_POOL),
        }
        if dice.random() < 0.9:
            labels["customer"] = words.CUSTOMERS[int(dice.random() ** 4 * len(words.CUSTOMERS))]
        if dice.random() < 0.1:
            labels["experiment"] = dice.choice(("短い答え", "brief-v2", "brief-v3"))
        return labels

    def _weighed(self, thread: Thread, turn: int) -> Spoken:
        top = self._dice.choice(_TOPS) if self._top is None else self._top
        return weighed(thread, turn, self._dice, weights=self._weights, tokens=self._tokens, top=top)

    def _completion(
        self, completion_id: str, second: int, thread: Thread, turn: int, spoken: Spoken
    ) -> dict[str, Any]:
        """The stored row in the recorded order of its fields, declared and undeclared."""
        dice = self._dice
        model = spoken.model or thread.model
        reasons = model in _REASONING
        is_full = spoken.is_full or dice.random() < _FULL
        return {
            "object": "chat.completion",
            "id": completion_id,
            "model": model,
            "created": second,
            "request_id": f"req_{dice.randbytes(16).hex()}",
            "tool_choice": spoken.tool_choice,
            "usage": self._usage(thread, turn, spoken, reasons, is_full),
            "seed": dice.getrandbits(64) - (1 << 63),
            "top_p": 1.0 if reasons or dice.random() < 0.9 else 0.95,
            "temperature": 1.0 if reasons else thread.feature.temperature,
            "presence_penalty": 0 if is_full else 0.0,
            "frequency_penalty": 0.2 if thread.feature is words.COPY else 0.0,
            "system_fingerprint": f"fp_{mix(crc32(model.encode()), second // _WEEK) >> 24:010x}",
            "input_user": thread.user if thread.key % 3 == 0 else None,
            "service_tier": dice.choice(_TIER_POOL),
            "tools": spoken.tools,
            "metadata": thread.metadata,
            "choices": [
                _choice(index, message, spoken, second, is_full)
                for index, message in enumerate(spoken.messages)
            ],
            "response_format": spoken.response_format,
        }

    def _usage(
        self, thread: Thread, turn: int, spoken: Spoken, reasons: bool, is_full: bool
    ) -> dict[str, Any]:
        """Three totals; where the row is full also what they are made of."""
        dice = self._dice
        prompt = 40 + len(thread.feature.system) // 4 + 55 * turn + thread.key % 2600 * (thread.key % 5 == 0)
        reasoning = 64 * dice.randint(1, 24) if reasons else 0
        completion = spoken.tokens + reasoning
        totals = {
            "total_tokens": prompt + completion,
            "completion_tokens": completion,
            "prompt_tokens": prompt,
        }
        if not is_full:
            return totals
        cached = prompt // 128 * 128 if prompt >= 1024 and dice.random() < 0.6 else 0
        return {
            **totals,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": spoken.audio_tokens,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


def _choice(
    index: int, message: dict[str, Any], spoken: Spoken, second: int, is_full: bool
) -> dict[str, Any]:
    if is_full:
        message = {"refusal": None, "annotations": [], **message}
    if "audio" in message:
        message["audio"]["expires_at"] = second + 3600
    return {
        "index": index,
        "message": message,
        "finish_reason": spoken.finish_reason,
        "logprobs": spoken.logprobs,
    }
