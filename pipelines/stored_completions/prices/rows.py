"""The rows of the price tables, as sets of which one holds at a time."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from stored_completions.prices.overrides import BatchRule, Multiplier


@dataclass(frozen=True)
class PriceRule:
    """A row of `model_price_rules`."""

    rule_no: int
    kind: str
    pattern: str
    price_model_id: str
    source: str


@dataclass(frozen=True)
class PriceRow:
    """A row of `model_prices`: US dollars per token."""

    price_no: int
    price_model_id: str
    tier: str
    valid_from: date | None
    valid_to: date | None
    min_input_tokens: int | None
    max_input_tokens: int | None
    input: Decimal
    cached_input: Decimal | None
    cache_write: Decimal | None
    audio_input: Decimal | None
    output: Decimal
    reasoning_output: Decimal | None
    audio_output: Decimal | None
    per_request: Decimal | None
    price_basis: str
    source: str

    def holds(self, tier: str, at: date, input_tokens: int) -> bool:
        return (
            self.tier == tier
            and (self.valid_from or date.min) <= at
            and (self.valid_to is None or at < self.valid_to)
            and (self.min_input_tokens is None or input_tokens > self.min_input_tokens)
            and (self.max_input_tokens is None or input_tokens <= self.max_input_tokens)
        )


@dataclass(frozen=True)
class PriceSet:
    """Everything that costs are reckoned with."""

    rules: tuple[PriceRule, ...]
    prices: tuple[PriceRow, ...]
    multipliers: tuple[Multiplier, ...] = ()
    batch_rules: tuple[BatchRule, ...] = ()
