"""Adding up: amounts of completions, and their cost by what it rests on.

Unknown stays unknown: a sum of nothing but NULL is None, never 0. Money is Decimal, and every digit of
it is kept.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal
from typing import Any

from stored_completions.reports.sql import Facts

Sums = Mapping[str, Any]
Values = dict[str, Any]

EXACT = Context(prec=100)
BASES = ("exact_usd", "upper_bound_usd", "unbounded_usd", "backdated_usd", "override_usd")

_CHOSEN: dict[str, Callable[[Any, Any], Any]] = {"first_day": min, "last_day": max}


def amounts(facts: Facts, record: Sums) -> Values:
    """The sums of one row of SQL; its cost stands under each basis that it rests on too."""
    sums = {name: record[name] for name in ("first_day", "last_day", *facts.sums)}
    if facts.has_costs:
        sums |= _by_basis(record)
    return sums


def merged(parts: Iterable[Sums]) -> Values:
    """Several sums as one."""
    result: Values = {}
    for part in parts:
        for name, value in part.items():
            result[name] = _together(name, result.get(name), value)
    return result


def ratio(part: Any, whole: Any) -> float | None:
    """To 6 places; None where either is unknown or the whole is nothing."""
    return None if part is None or not whole else round(float(Decimal(part) / Decimal(whole)), 6)


def _together(name: str, one: Any, other: Any) -> Any:
    if one is None or other is None:
        return one if other is None else other
    if name in _CHOSEN:
        return _CHOSEN[name](one, other)
    return EXACT.add(one, other) if isinstance(one, Decimal) else one + other


def _by_basis(record: Sums) -> Values:
    """Exact is what was counted in full at a listed price; the others say what is not, and may overlap."""
    cost = record["cost_usd"]
    usage, price = record["usage_basis"], record["price_basis"]
    rests = {
        "exact_usd": usage == "full" and price == "listed",
        "upper_bound_usd": usage == "no_details",
        "unbounded_usd": usage == "no_details_unbounded",
        "backdated_usd": price == "tier_backdated",
        "override_usd": price == "override",
    }
    if cost is None:
        return {"priced_completions": 0, "unpriced_completions": record["completions"]} | dict.fromkeys(rests)
    by_basis = {name: cost if holds else Decimal(0) for name, holds in rests.items()}
    return {"priced_completions": record["completions"], "unpriced_completions": 0} | by_basis
