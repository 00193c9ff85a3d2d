"""The fields of a price file's tables: each read and found right, or refused with a sentence that names its place.

Every function takes the `place` of its table, as in "prices.toml, model 2 (my-model), rates 1".
Raises UsageError.
"""

import difflib
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from stored_completions.errors import UsageError
from stored_completions.prices.lists import TIERS

_MILLION = Decimal(1_000_000)
_MOST_USD = 10_000


def tables(table: dict[str, Any], key: str, place: str) -> list[dict[str, Any]]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        shape = f"{key} = [{{ … }}]" if key == "rates" else f"[[{key}]] with two brackets"
        raise UsageError(f"{place}: {key} is {value!r}, but it has to be written {shape}.")
    return value


def text(table: dict[str, Any], key: str, place: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f'{place} has no {key}: write {key} = "…".')
    return value.strip()


def tiers(value: Any, place: str) -> tuple[str, ...]:
    """One or a list of them, each once."""
    named = value if isinstance(value, list) else [value]
    wrong = next((tier for tier in named if tier not in TIERS), None)
    if wrong is not None or not named or len(set(named)) < len(named):
        raise UsageError(f"{place}: tier is {value!r}, but each is one of {', '.join(TIERS)}.")
    return tuple(named)


def days(table: dict[str, Any], place: str) -> tuple[date | None, date | None]:
    """From the first UTC day on, until the day before the second; None: no bound."""
    bounds = [table.get(key) for key in ("from", "until")]
    for key, day in zip(("from", "until"), bounds, strict=True):
        if day is not None and (isinstance(day, datetime) or not isinstance(day, date)):
            raise UsageError(f"{place}: {key} is {str(day)!r}, but it has to be a day: {key} = 2026-01-31.")
    valid_from, valid_to = bounds
    if valid_from and valid_to and valid_to <= valid_from:
        raise UsageError(
            f"{place} ends on {valid_to}, not after it begins: until is the first day it holds no more."
        )
    return valid_from, valid_to


def threshold(table: dict[str, Any], place: str) -> int | None:
    """A row of prices holds for requests of more input tokens than this; None: for all."""
    value = table.get("above_input_tokens")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
        raise UsageError(
            f"{place}: above_input_tokens is {value!r}, but it has to be a whole number above 0."
        )
    return value


def money(value: Any, name: str, place: str) -> Decimal:
    """US dollars a token, or a request."""
    if name == "per_request":
        return number(value, name, place, most=_MOST_USD, places=12)
    return number(value, name, place, most=_MOST_USD, places=6) / _MILLION


def number(value: Any, name: str, place: str, *, most: int, places: int) -> Decimal:
    """From 0 to `most`, with at most `places` digits after the point."""
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    found = Decimal(value) if is_number else Decimal("NaN")
    if not found.is_finite() or not 0 <= found <= most:
        shown = found if isinstance(value, Decimal) else repr(value)
        raise UsageError(f"{place}: {name} is {shown}, but it has to be a number from 0 to {most:,}.")
    if found != round(found, places):
        raise UsageError(
            f"{place}: {name} is {found}, but it may have {places} digits after the point, not more."
        )
    return found


def refuse_unknown(table: dict[str, Any], known: tuple[str, ...], place: str) -> None:
    unknown = next((key for key in table if key not in known), None)
    if unknown is None:
        return
    close = difflib.get_close_matches(unknown, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}."
    raise UsageError(f"{place} has {unknown!r}, which is nothing that a price file says: {hint}")
