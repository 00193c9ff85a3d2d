"""The two reports of the organization's API: how each is asked for, and which rows its results become.

A value that its column cannot hold exactly, and every field without a column, stands in `extra`.
Results of one group on one day are one row: their counters and amounts are added.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

import msgspec

from stored_completions.billing.line_items import billed_name, parsed
from stored_completions.billing.pages import Result
from stored_completions.tables import ORGANIZATION_COSTS, ORGANIZATION_USAGE, Table

Row = dict[str, Any]

_COUNTERS = (
    "num_model_requests",
    "input_tokens",
    "input_cached_tokens",
    "input_cache_write_tokens",
    "input_audio_tokens",
    "output_tokens",
    "output_audio_tokens",
)
_PRICE_TIERS = {
    None: "standard",
    "default": "standard",
    "auto": "standard",
    "standard": "standard",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
    "incentivized": "incentivized",
}
_EXACT = Context(prec=10_000, Emin=-999_999, Emax=999_999)
_PLACES = Decimal("1e-30")
_LARGEST = Decimal(10) ** 8
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Report:
    """One report: its path below the organization's, the table it fills, its groups, and how many days a page
    may have. Of every day with results `always` is known of one of them at least, if grouping took effect."""

    path: str
    table: Table
    day: str
    groups: tuple[str, ...]
    always: tuple[str, ...]
    most_days: int
    row: Callable[[Result], Row]
    sums: tuple[str, ...]

    def rows(self, source: str, day: date, results: Iterable[Result]) -> list[Row]:
        """The rows of one day, one for each group."""
        found: dict[str, Row] = {}
        for result in results:
            group = _group_id([result.get(name) for name in self.groups])
            row = {"source": source, self.day: day, "group_id": group} | self.row(result)
            found[group] = self._added(found[group], row) if group in found else row
        return list(found.values())

    def says_something(self, result: Result) -> bool:
        row = self.row(result)
        return any(row[name] for name in self.sums)

    def _added(self, one: Row, other: Row) -> Row:
        sums = {name: _sum(one[name], other[name]) for name in self.sums}
        if "amount" in one:
            sums["amount"] = _sum_of_texts(one["amount"], other["amount"])
        return one | sums


def _usage(result: Result) -> Row:
    left = {name: value for name, value in result.items() if value is not None and name != "object"}
    texts = {name: _text(left, name) for name in ("project_id", "api_key_id", "model")}
    tier = _text(left, "service_tier")
    return {
        **texts,
        "billed_model": billed_name(texts["model"]),
        "batch": _take(left, "batch", bool),
        "service_tier": tier,
        "price_tier": _PRICE_TIERS.get(tier.removesuffix("-tier") if tier else None),
        **{name: _take(left, name, int) for name in _COUNTERS},
        "extra": _extra(left),
    }


def _cost(result: Result) -> Row:
    left = {name: value for name, value in result.items() if value is not None and name != "object"}
    texts = {name: _text(left, name) for name in ("project_id", "api_key_id", "line_item")}
    item = parsed(texts["line_item"])
    amount = left.pop("amount", None)
    money: Mapping[str, Any] = amount if isinstance(amount, dict) else {"value": amount}
    value, currency = money.get("value"), money.get("currency")
    if more := {name: each for name, each in money.items() if name not in ("value", "currency")}:
        left["amount"] = more
    return {
        **texts,
        "billed_model": billed_name(item.model),
        "kind": item.kind,
        "prefix": item.prefix,
        "long_context": item.long_context,
        "amount_usd": dollars(value) if str(currency or "usd").lower() == "usd" else None,
        "amount": None if value is None else str(value),
        "currency": currency if isinstance(currency, str) else None,
        "quantity": _number(left, "quantity"),
        "quantity_unit": _text(left, "quantity_unit"),
        "extra": _extra(left),
    }


def dollars(value: Any) -> Decimal | None:
    """An amount as its column holds it, to 30 places half-even; None for what is no amount."""
    try:
        amount = _EXACT.create_decimal(value) if isinstance(value, str | int | Decimal) else None
    except InvalidOperation:
        return None
    if amount is None or isinstance(value, bool) or not amount.is_finite() or abs(amount) >= _LARGEST:
        return None
    return _EXACT.quantize(amount, _PLACES)


def _group_id(values: list[Any]) -> str:
    return blake2b(_encoder.encode(values), digest_size=8).hexdigest()


def _take(left: Result, name: str, kind: type) -> Any:
    """Removes and returns a value of this very type that a 64-bit column can hold; any other stays."""
    value = left.get(name)
    fits = type(value) is kind and (not isinstance(value, int) or -(2**63) <= value < 2**63)
    return left.pop(name) if fits else None


def _text(left: Result, name: str) -> str | None:
    return _take(left, name, str)  # type: ignore[no-any-return]


def _number(left: Result, name: str) -> float | None:
    """A number that a double holds digit by digit."""
    value = left.get(name)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | Decimal)
        or Decimal(repr(float(value))) != value
    ):
        return None
    return float(left.pop(name))


def _extra(left: Result) -> str | None:
    return _encoder.encode(left).decode() if left else None


def _sum(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return one if other is None else other
    return _EXACT.add(one, other) if isinstance(one, Decimal) else one + other


def _sum_of_texts(one: str | None, other: str | None) -> str | None:
    amounts = [dollars(one), dollars(other)]
    if None in amounts or one is None or other is None:
        return one if other is None else other
    return str(_EXACT.add(Decimal(one), Decimal(other)))


USAGE = Report(
    path="usage/completions",
    table=ORGANIZATION_USAGE,
    day="usage_date",
    groups=("project_id", "api_key_id", "model", "batch", "service_tier"),
    always=("project_id", "model", "batch"),
    most_days=31,
    row=_usage,
    sums=_COUNTERS,
)
COSTS = Report(
    path="costs",
    table=ORGANIZATION_COSTS,
    day="cost_date",
    groups=("project_id", "line_item", "api_key_id"),
    always=("line_item",),
    most_days=180,
    row=_cost,
    sums=("amount_usd", "quantity"),
)
