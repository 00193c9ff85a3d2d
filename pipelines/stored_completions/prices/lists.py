"""How prices in layers become ranges that never overlap: listed ones, patches on top, tiers reckoned back.

Every question is asked of one model, tier, UTC day and band of input tokens at a time; asked at each
day and threshold where an answer can change, the answers are the rows of `model_prices`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import pairwise
from typing import Protocol

TIERS = ("standard", "flex", "priority", "batch")
RATES = (
    "input",
    "cached_input",
    "cache_write",
    "audio_input",
    "output",
    "reasoning_output",
    "audio_output",
    "per_request",
)

_PRECISE = Context(prec=60)
_PLACES = Decimal("1e-12")

Rates = dict[str, Decimal]
"""US dollars a token (a request for per_request) by the names in RATES; what is not known is not there."""


@dataclass(frozen=True)
class Price:
    """Rates, and what they rest on: `basis` is listed, override or tier_backdated."""

    rates: Rates
    basis: str
    source: str


@dataclass(frozen=True)
class Patch:
    """Rates that replace those of the layer below from a UTC day on (None: since ever) until another
    (exclusive), for requests with more than `above` input tokens (None: for all)."""

    tier: str
    valid_from: date | None
    valid_to: date | None
    above: int | None
    rates: Rates
    source: str

    def is_in_force(self, tier: str, day: date, above: int | None) -> bool:
        return (
            tier == self.tier
            and (self.valid_from or date.min) <= day
            and (self.valid_to is None or day < self.valid_to)
            and (self.above or 0) <= (above or 0)
        )


class PriceList(Protocol):
    """Prices of one model. They can change at `starts` and above `thresholds`, and nowhere else."""

    @property
    def starts(self) -> frozenset[date]: ...

    @property
    def thresholds(self) -> frozenset[int]: ...

    def price(self, tier: str, day: date, above: int | None) -> Price | None:
        """What requests with more than `above` input tokens cost; None where the tier has no price."""
        ...


@dataclass(frozen=True)
class Patched:
    """Patches, of which at most one is in force at a time, on the prices below, if there are any."""

    below: PriceList | None
    patches: tuple[Patch, ...]
    tiers: tuple[str, ...] = TIERS

    @property
    def starts(self) -> frozenset[date]:
        days = {day for patch in self.patches for day in (patch.valid_from, patch.valid_to) if day}
        return frozenset(days | (self.below.starts if self.below else frozenset()))

    @property
    def thresholds(self) -> frozenset[int]:
        thresholds = {patch.above for patch in self.patches if patch.above}
        return frozenset(thresholds | (self.below.thresholds if self.below else frozenset()))

    def price(self, tier: str, day: date, above: int | None) -> Price | None:
        price = self.below.price(tier, day, above) if self.below and tier in self.tiers else None
        fitting = [patch for patch in self.patches if patch.is_in_force(tier, day, above)]
        if not fitting:
            return price
        return _patched(
            price, max(fitting, key=lambda patch: (patch.above or 0, patch.valid_from or date.min))
        )


@dataclass(frozen=True)
class Backdated:
    """Prices that also hold for tiers before they were listed, at the ratio to standard they were listed with."""

    below: PriceList

    @property
    def starts(self) -> frozenset[date]:
        return self.below.starts

    @property
    def thresholds(self) -> frozenset[int]:
        return self.below.thresholds

    def price(self, tier: str, day: date, above: int | None) -> Price | None:
        price = self.below.price(tier, day, above)
        standard = self.below.price("standard", day, above)
        if price or not standard or tier == "standard":
            return price
        for first in sorted(start for start in self.starts if start > day):
            listed = self.below.price(tier, first, above)
            then = self.below.price("standard", first, above)
            if listed and then:
                source = (
                    f"ratio of {tier} to standard when first listed ({first}), on standard: {standard.source}"
                )
                return Price(_scaled(standard.rates, listed.rates, then.rates), "tier_backdated", source)
        return None


@dataclass(frozen=True)
class Span:
    """One row of `model_prices`: dates are half open, tokens above `above` up to and including `up_to`."""

    tier: str
    valid_from: date | None
    valid_to: date | None
    above: int | None
    up_to: int | None
    price: Price


def spans(prices: PriceList) -> Iterator[Span]:
    """The prices as the fewest ranges that say the same."""
    for tier in TIERS:
        for valid_from, valid_to, bands in _merged_days(prices, tier):
            for above, up_to, price in bands:
                yield Span(tier, valid_from, valid_to, above, up_to, price)


Band = tuple[int | None, int | None, Price]


def _merged_days(prices: PriceList, tier: str) -> Iterator[tuple[date | None, date | None, list[Band]]]:
    changes: list[tuple[date, list[Band]]] = []
    for start in (date.min, *sorted(prices.starts)):
        bands = _merged_bands(prices, tier, start)
        if not changes or changes[-1][1] != bands:
            changes.append((start, bands))
    for (start, bands), (end, _) in pairwise([*changes, (date.max, [])]):
        yield (None if start == date.min else start), (None if end == date.max else end), bands


def _merged_bands(prices: PriceList, tier: str, day: date) -> list[Band]:
    bands: list[tuple[int | None, Price | None]] = []
    for above in (None, *sorted(prices.thresholds)):
        price = prices.price(tier, day, above)
        if not bands or bands[-1][1] != price:
            bands.append((above, price))
    ends = [above for above, _ in bands[1:]]
    return [(above, end, price) for (above, price), end in zip(bands, [*ends, None], strict=True) if price]


def _patched(price: Price | None, patch: Patch) -> Price | None:
    rates = {**(price.rates if price else {}), **patch.rates}
    if not {"input", "output"} <= rates.keys():
        return None
    if price is None or price.rates.keys() <= patch.rates.keys():
        return Price(rates, "override", patch.source)
    replaced = ", ".join(name for name in RATES if name in patch.rates)
    rests_on_reckoning = price.basis == "tier_backdated" and not {"input", "output"} <= patch.rates.keys()
    basis = "tier_backdated" if rests_on_reckoning else "override"
    return Price(rates, basis, f"{replaced}: {patch.source}; the rest: {price.source}")


def _scaled(standard: Rates, tier: Rates, then: Rates) -> Rates:
    """Each rate of `standard` by the ratio of `tier` to `then`, half-even to 12 places."""
    return {
        name: _rounded(_PRECISE.divide(_PRECISE.multiply(rate, tier[name]), then[name]))
        if then[name]
        else tier[name]
        for name, rate in standard.items()
        if name in tier and name in then
    }


def _rounded(rate: Decimal) -> Decimal:
    return rate.quantize(_PLACES, ROUND_HALF_EVEN, _PRECISE)
