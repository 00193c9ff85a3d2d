"""Writes the price set that comes with the package anew, from the genai-prices that is installed."""

from stored_completions.prices import sets, shipped
from stored_completions.prices.overrides import NONE


def text() -> str:
    """What the file has to hold now."""
    return shipped.text(sets.fingerprint(), sets.flattened(NONE))


if __name__ == "__main__":
    shipped.PATH.write_text(text(), encoding="utf-8")
