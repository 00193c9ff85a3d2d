"""The prices of genai-prices: its own selection, asked at each of its dates and contexts.

The only module that imports genai-prices, and not before it is called: the import alone costs
0.13 CPU-seconds, and a sync whose prices did not change needs none of it. Only its data is used, which
comes with the package; nothing is ever fetched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from stored_completions.prices.lists import Price, PriceList, Rates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

PROVIDER = "openai"
MILLION = Decimal(1_000_000)

_KEYS = {
    "input": "input_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "audio_input": "input_audio_mtok",
    "output": "output_mtok",
    "reasoning_output": "output_reasoning_mtok",
    "audio_output": "output_audio_mtok",
    "per_request": "requests_kcount",
}
_UNITS = dict.fromkeys(_KEYS, MILLION) | {"per_request": Decimal(1_000)}
_CONTEXTS = {
    "standard": {"service_tier": "default"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "batch": {"processing": "batch"},
}
_LEAVES = ("equals", "starts_with", "ends_with", "contains", "regex")


@dataclass(frozen=True)
class Rule:
    """Names that `pattern` fits stand for the prices of one model; `kind` says how it is compared."""

    kind: str
    pattern: str
    price_model_id: str
    source: str


def library_version() -> str:
    return version("genai-prices")


def library() -> tuple[list[Rule], dict[str, PriceList]]:
    """OpenAI's rules in the library's order, and the prices that they lead to, by id.

    Left out is what a dated row cannot say, a name that has to fit two patterns at once and a price
    that changes by the hour: 0.2.3 has none of either for OpenAI, and it would show as unknown_model.
    """
    from genai_prices.data import providers

    openai = next(provider for provider in providers if provider.id == PROVIDER)
    models = [model for model in openai.models if _can_be_dated(model)]
    source = f"genai-prices {library_version()}"
    rules = [
        Rule(kind, pattern, model.id, source) for model in models for kind, pattern in _leaves(model.match)
    ]
    return rules, {model.id: _LibraryModel(model, f"{source}, {model.id}") for model in models}


@dataclass(frozen=True)
class _LibraryModel:
    """One model; a tier is known where a variant of the price names it, and only there."""

    model: "ModelInfo"
    source: str

    @cached_property
    def starts(self) -> frozenset[date]:
        return frozenset(constraint.start_date for constraint in _constraints(self.model))

    @cached_property
    def thresholds(self) -> frozenset[int]:
        from genai_prices.types import TieredPrices

        values = [value for prices in _every_price(self.model) for value in vars(prices).values()]
        return frozenset(
            tier.start for value in values if isinstance(value, TieredPrices) for tier in value.tiers
        )

    def price(self, tier: str, day: date, above: int | None) -> Price | None:
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if tier != "standard" and not self._is_known(_CONTEXTS[tier], at):
            return None
        rates = _rates(self.model.get_prices(at, _CONTEXTS[tier]), above)
        if not {"input", "output"} <= rates.keys():
            return None
        return Price(rates, "listed", self.source)

    def _is_known(self, context: dict[str, str], at: datetime) -> bool:
        return any(
            variant.when == context and (variant.constraint is None or variant.constraint.active(at))
            for variant in self.model.price_variants or ()
        )


def _rates(prices: "ModelPrice", above: int | None) -> Rates:
    values = {name: getattr(prices, key) for name, key in _KEYS.items()}
    return {
        name: _in_band(value, above) / _UNITS[name] for name, value in values.items() if value is not None
    }


def _in_band(value: Any, above: int | None) -> Decimal:
    """The value that holds for just more than `above` input tokens."""
    if isinstance(value, Decimal):
        return value
    reached = [tier.price for tier in value.tiers if above is not None and tier.start <= above]
    return Decimal(reached[-1] if reached else value.base)


def _can_be_dated(model: "ModelInfo") -> bool:
    from genai_prices.types import ClauseAnd

    dated = all(hasattr(constraint, "start_date") for constraint in _constraints(model))
    clauses = [model.match, *getattr(model.match, "or_", [])]
    return dated and not any(isinstance(clause, ClauseAnd) for clause in clauses)


def _constraints(model: "ModelInfo") -> Iterator[Any]:
    conditional = model.prices if isinstance(model.prices, list) else []
    for priced in (*conditional, *(model.price_variants or ())):
        if priced.constraint is not None:
            yield priced.constraint


def _every_price(model: "ModelInfo") -> Iterator["ModelPrice"]:
    for priced in (*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ())):
        yield priced.prices
    if not isinstance(model.prices, list):
        yield model.prices


def _leaves(clause: Any) -> Iterator[tuple[str, str]]:
    """The clause as patterns of which any may fit; all but regular expressions in lower case."""
    for part in getattr(clause, "or_", ()):
        yield from _leaves(part)
    for kind in _LEAVES:
        if pattern := getattr(clause, kind, None):
            yield kind, pattern if kind == "regex" else pattern.lower()
