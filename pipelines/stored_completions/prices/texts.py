"""Price rows and explanations in the words of people: rates per million tokens, and where they come from."""

import difflib
from decimal import Decimal
from typing import Any

from stored_completions.prices.lists import RATES
from stored_completions.prices.rows import PriceRow, PriceSet
from stored_completions.prices.sets import Explanation

_MILLION = 1_000_000
_PER_TOKEN = tuple(name for name in RATES if name != "per_request")


def listed(row: PriceRow) -> dict[str, Any]:
    return {
        "price_model_id": row.price_model_id,
        "tier": row.tier,
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
        "above_input_tokens": row.min_input_tokens,
        **per_million(row),
        "per_request": _plain(row.per_request),
        "price_basis": row.price_basis,
        "source": row.source,
    }


def per_million(row: PriceRow) -> dict[str, Decimal | None]:
    rates = {name: getattr(row, name) for name in _PER_TOKEN}
    return {name: None if rate is None else _plain(rate * _MILLION) for name, rate in rates.items()}


def _plain(rate: Decimal | None) -> Decimal | None:
    """Without closing zeros, and never as 1E+1."""
    return None if rate is None else Decimal(f"{rate.normalize():f}")


def as_object(found: Explanation) -> dict[str, Any]:
    return {
        "model": found.model,
        "tier": found.tier,
        "at": found.at,
        "input_tokens": found.input_tokens,
        "rule": vars(found.rule) if found.rule else None,
        "price": vars(found.price) if found.price else None,
        "price_basis": found.basis,
        "source": found.source,
        "unpriced_reason": found.unpriced_reason,
    }


def hint(found: Explanation, known: PriceSet) -> str | None:
    """What else could have been meant, where there is no price; None where there is one, or nothing comes close."""
    if found.price is not None:
        return None
    if found.rule is None:
        names = {rule.pattern for rule in known.rules if rule.kind == "equals"}
        close = difflib.get_close_matches(found.model.lower(), sorted(names), 3)
        return f"Did you mean {' or '.join(close)}?" if close else None
    tiers = {row.tier for row in known.prices if row.price_model_id == found.rule.price_model_id}
    if not tiers or found.tier in tiers:
        return None
    return f"{found.rule.price_model_id} has prices for {', '.join(sorted(tiers))}, none for {found.tier}."


def sentences(found: Explanation) -> list[tuple[str, str]]:
    said = [
        (
            "asked",
            f"{found.model}, tier {found.tier}, on {found.at} (UTC), {found.input_tokens:,} input tokens",
        )
    ]
    rule, price = found.rule, found.price
    if rule:
        fits = f"the name {rule.kind.replace('_', ' ')} {rule.pattern!r}"
        said.append(
            ("rule", f"{rule.rule_no}: {fits}, so it is priced as {rule.price_model_id} ({rule.source})")
        )
    if price is None:
        said.append(("no price", f"{found.unpriced_reason}: such a completion has no cost, and is in no sum"))
        return said
    since, until = (
        price.valid_from or "ever",
        f"until {price.valid_to} (exclusive)" if price.valid_to else "until now",
    )
    band = f", above {price.min_input_tokens:,} input tokens" if price.min_input_tokens else ""
    band += f", up to {price.max_input_tokens:,} input tokens" if price.max_input_tokens else ""
    rates = [f"{name} {rate:f}" for name, rate in per_million(price).items() if rate is not None]
    said += [
        ("row", f"{price.price_no}: {price.price_model_id}, {price.tier}, since {since}, {until}{band}"),
        ("US dollars per million tokens", ", ".join(rates)),
        *([("per request", f"{_plain(price.per_request):f}")] if price.per_request else []),
        ("basis", price.price_basis),
        ("source", price.source),
    ]
    return said
