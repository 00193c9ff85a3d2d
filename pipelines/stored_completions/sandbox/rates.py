"""What the company's requests cost: the list prices that hold on a day, applied request by request."""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache

from stored_completions.prices.rows import PriceRow
from stored_completions.prices.sets import explain, price_set

Amounts = dict[str, Decimal]
"""US dollars by what is charged: input, cached input, output, audio output, requests."""


@dataclass(frozen=True)
class Used:
    """What some requests used; `prompt` includes `cached`, `completion` includes `audio`."""

    requests: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    audio: int = 0

    def __add__(self, other: "Used") -> "Used":
        return Used(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def scaled(self, share: Decimal) -> "Used":
        """So large a part of it, to the next whole number; at least one request."""
        parts = (getattr(self, name) * share for name in self.__dataclass_fields__)
        whole = [int(part.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)) for part in parts]
        return Used(max(1, whole[0]), *whole[1:])

    def kinds(self) -> list[tuple[str, int]]:
        """How much of what is charged."""
        return [
            ("input", self.prompt - self.cached),
            ("cached input", self.cached),
            ("output", self.completion - self.audio),
            *([("audio output", self.audio)] if self.audio else []),
            ("requests", self.requests),
        ]

    def counters(self) -> dict[str, int]:
        """As the usage report names them."""
        return {
            "input_tokens": self.prompt,
            "input_cached_tokens": self.cached,
            "input_cache_write_tokens": 0,
            "output_tokens": self.completion,
            "input_audio_tokens": 0,
            "output_audio_tokens": self.audio,
            "num_model_requests": self.requests,
        }


class RateCard:
    """The prices in force; a tier that usage calls incentivized costs nothing."""

    def __init__(self) -> None:
        self._prices = price_set()
        self._row = cache(self._find)

    def has(self, model: str, tier: str, day: date) -> bool:
        return self._row(model, tier, day) is not None

    def has_cached(self, model: str, day: date) -> bool:
        row = self._row(model, "default", day)
        return row is not None and row.cached_input is not None

    def amounts(self, model: str, tier: str, day: date, used: Used) -> Amounts | None:
        """What this use costs; None where the model has no price in that tier."""
        if tier == "incentivized-tier":
            return {kind: Decimal(0) for kind, _ in used.kinds()}
        row = self._row(model, tier.removesuffix("-tier"), day)
        if row is None:
            return None
        rates = {
            "input": row.input,
            "cached input": row.input if row.cached_input is None else row.cached_input,
            "output": row.output,
            "audio output": row.audio_output or Decimal(0),
            "requests": row.per_request or Decimal(0),
        }
        return {kind: quantity * rates[kind] for kind, quantity in used.kinds()}

    def _find(self, model: str, tier: str, day: date) -> PriceRow | None:
        return explain(self._prices, model, tier, day).price
