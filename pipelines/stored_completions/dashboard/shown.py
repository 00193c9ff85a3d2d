"""How values are shown on the page: dollars, counts, shares, changes, times. NULL is never 0."""

import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from stored_completions.money import dollars, percent

NONE = "(none)"
UNKNOWN = "unknown"
_UNITS = ("", "K", "M", "B", "T")
NOTHING = "–"  # there was nothing to sum


def usd(value: Decimal | int | None, beside: Decimal | int | None = None) -> str:
    """$1,234.56, with the places of the amount it stands beside; too little to show is <$0.01, never 0."""
    if value is None:
        return UNKNOWN
    return dollars(Decimal(value), None if beside is None else Decimal(beside))


def exact(value: Decimal | int | None) -> str | None:
    """Every digit, for machines; None for what is no figure or not known."""
    return f"{value:f}" if isinstance(value, Decimal) else None if value is None else str(value)


def count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def short_count(value: int | None) -> str:
    """12,345 -> 12.3K: at most four digits, for headline figures."""
    if value is None or abs(value) < 10_000:
        return count(value)
    thousands = min((len(str(round(float(f"{abs(value):.3g}")))) - 1) // 3, len(_UNITS) - 1)
    scaled = value / 1000**thousands
    return f"{scaled:,.1f}{_UNITS[thousands]}" if abs(scaled) < 99.95 else f"{scaled:,.0f}{_UNITS[thousands]}"


def number(value: float | None) -> str:
    """1.2345 -> 1.234."""
    return UNKNOWN if value is None else f"{value:.3f}"


def share(value: float | None) -> str:
    """0.123 -> 12.3 %."""
    return UNKNOWN if value is None else percent(value)


def change(value: float | None) -> str:
    """0.123 -> +12.3 %; nothing to compare with is no change."""
    return NOTHING if value is None else percent(value, signed=True)


def day(value: date) -> str:
    return f"{value:%a} {value.day} {value:%b %Y}"


def short_day(value: date) -> str:
    return f"{value.day} {value:%b}"


def month(value: date) -> str:
    return f"{value:%b %Y}"


def local_time(zone: ZoneInfo) -> Callable[[datetime | None], str]:
    """Seconds in that zone, without naming it: the page says once which it is."""
    return lambda value: UNKNOWN if value is None else f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def text(value: Any) -> str:
    return NONE if value is None else str(value)


def part(value: Decimal | int | None, whole: Decimal | int | None) -> float | None:
    """A part of a whole, 0 to 1; None where either is not known or the whole is nothing."""
    if value is None or not whole:
        return None
    return float(value) / float(whole)


_BASES = {
    "exact": "exact",
    "override": "corrected price",
    "backdated": "price reckoned back",
    "upper_bound": "upper bound",
    "unbounded": "not bounded",
}
_REASONS = {
    "no_usage": "no token counts",
    "unknown_model": "unknown model",
    "no_token_price": "not billed by token",
    "no_created_date": "no usable time",
    "inconsistent_usage": "token counts contradict each other",
    "no_price_for_tier": "no price for this tier",
    "no_audio_price": "no price for audio",
}
_PAIRS_AT_MOST = 200  # characters


def basis(value: str | None) -> str:
    return UNKNOWN if value is None else _BASES.get(value, value)


def reason(value: str | None) -> str:
    return UNKNOWN if value is None else _REASONS.get(value, value)


def pairs(value: str | None) -> str:
    """A metadata object as `key=value` pairs, cut where it gets too long for a line of a table."""
    found = json.loads(value) if value else None
    if not isinstance(found, dict) or not found:
        return NONE
    said = ", ".join(f"{key}={item}" for key, item in found.items())
    return said if len(said) <= _PAIRS_AT_MOST else said[: _PAIRS_AT_MOST - 1] + "…"
