"""The price set without prices of the user's, as it comes with the package: `shipped.json` beside this file.

To make it takes 0.25 CPU-seconds, of genai-prices and pydantic more than half, and every first sync needs it.
The file names the fingerprint of what it was made of, and is not used where that is another: with another version
of genai-prices, say. `make prices` renews it.
"""

from pathlib import Path

import msgspec

from stored_completions.prices.rows import PriceRow, PriceRule, PriceSet

PATH = Path(__file__).with_name("shipped.json")


class _File(msgspec.Struct):
    fingerprint: str
    rules: tuple[PriceRule, ...]
    prices: tuple[PriceRow, ...]


def read(fingerprint: str, path: Path = PATH) -> PriceSet | None:
    """The set of that fingerprint; None where the file has another one."""
    file = msgspec.json.decode(path.read_bytes(), type=_File)
    return PriceSet(file.rules, file.prices) if file.fingerprint == fingerprint else None


def text(fingerprint: str, prices: PriceSet) -> str:
    """What the file has to hold, a line for each row."""
    lists = [
        f'"{name}": [\n' + ",\n".join(msgspec.json.encode(row).decode() for row in rows) + "\n]"
        for name, rows in (("rules", prices.rules), ("prices", prices.prices))
    ]
    return f'{{\n"fingerprint": "{fingerprint}",\n' + ",\n".join(lists) + "\n}\n"
