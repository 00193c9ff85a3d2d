"""US dollars and shares for the eye; sums stay exact until here."""

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal

_CONTEXT = Context(prec=100, rounding=ROUND_HALF_EVEN)


def places(amounts: Iterable[Decimal | None]) -> int:
    """Places after the point that suit amounts shown together: 2 from $100 on, 4 from $1 on, else 6."""
    largest = max((abs(amount) for amount in amounts if amount is not None), default=Decimal(0))
    return 2 if largest >= 100 or not largest else 4 if largest >= 1 else 6


def rounded(amount: Decimal, digits: int) -> str:
    """An amount half-even to so many places; one too small to show says so, and is never shown as 0."""
    smallest = Decimal(1).scaleb(-digits)
    shown = amount.quantize(smallest, context=_CONTEXT)
    if amount and not shown:
        return f"<{smallest:f}" if amount > 0 else f">-{smallest:f}"
    return f"{shown:,f}"


def dollars(amount: Decimal, beside: Decimal | None = None) -> str:
    """An amount, e.g. $1,234.50 or $0.003200; with the places of the one that it stands beside."""
    shown = rounded(amount, places([amount if beside is None else beside]))
    return f"<${shown[1:]}" if shown.startswith("<") else f"${shown}"


def percent(share: float | None, *, signed: bool = False) -> str:
    """A share as percent with one place; one too small to show says so."""
    if share is None:
        return "—"
    if share and abs(share) < 0.0005:
        return "<0.1 %" if share > 0 else ">-0.1 %"
    if 0.9995 <= share < 1 and not signed:
        return ">99.9 %"
    return f"{share * 100:{'+' if signed else ''},.1f} %"
