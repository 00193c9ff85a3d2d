"""What a completion costs: price data as the rows that SQL prices with.

The user's price file comes before the built-in overrides, and those before genai-prices. A set of
prices is written as a whole, and only when what it is made of has changed.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from stored_completions import __version__
from stored_completions.errors import UsageError
from stored_completions.models import create_reference_tables
from stored_completions.prices import library as price_library
from stored_completions.prices import lists as price_models
from stored_completions.prices import overrides as price_overrides
from stored_completions.prices import rows as price_rows
from stored_completions.prices import shipped
from stored_completions.prices.library import Rule, library, library_version
from stored_completions.prices.lists import Backdated, Patched, PriceList, spans
from stored_completions.prices.overrides import NONE, BatchRule, Entry, Multiplier, Overrides, built_in
from stored_completions.prices.rows import PriceRow, PriceRule, PriceSet
from stored_completions.tables import (
    BATCH_RULES,
    MODEL_PRICE_RULES,
    MODEL_PRICES,
    PRICE_MULTIPLIERS,
    PRICE_SETS,
    Table,
)

TIER_OF_SERVICE = {
    None: "standard",
    "default": "standard",
    "auto": "standard",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
}

_Row = TypeVar("_Row")
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(-|:|$)")


@dataclass(frozen=True)
class Explanation:
    """Why a model costs what it costs: the rule that matched, the row used, or the reason there is none."""

    model: str
    tier: str
    at: date
    input_tokens: int
    rule: PriceRule | None
    price: PriceRow | None
    unpriced_reason: str | None

    @property
    def basis(self) -> str | None:
        return self.price.price_basis if self.price else None

    @property
    def source(self) -> str | None:
        return self.price.source if self.price else None


def load(connection: duckdb.DuckDBPyConnection, overrides: Overrides = NONE) -> bool:
    """Brings the price tables up to date, all in one transaction; whether that changed anything.

    Creates those that are missing, empty ones included. UsageError if the overrides cannot be right.
    """
    create_reference_tables(connection)
    mark = fingerprint(overrides)
    if _loaded(connection) == mark:
        return False
    prices = price_set(overrides)
    connection.execute("begin")
    try:
        write(connection, prices)
        _note(connection, mark, prices, overrides)
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")
    return True


def fingerprint(overrides: Overrides = NONE) -> str:
    """Changes with the price data, the overrides and the rules that make rows of them, and with nothing else."""
    modules = (price_models, price_library, price_overrides, price_rows)
    parts: list[str | None] = [
        Path(file).read_text(encoding="utf-8")
        for file in (__file__, *(str(each.__file__) for each in modules))
    ]
    parts += [price_overrides.BUILT_IN.read_text(encoding="utf-8"), library_version(), overrides.text]
    return sha256(json.dumps(parts).encode()).hexdigest()


def price_set(overrides: Overrides = NONE) -> PriceSet:
    """The rows of the whole price set; UsageError names an override that cannot be applied."""
    return _without_overrides() if overrides == NONE else flattened(overrides)


@cache
def _without_overrides() -> PriceSet:
    return shipped.read(fingerprint()) or flattened(NONE)


def flattened(overrides: Overrides) -> PriceSet:
    """The same, made of genai-prices in any case."""
    rules, listed = library()
    corrections = _applied(built_in(), listed)
    models: dict[str, PriceList] = {id: Backdated(prices) for id, prices in listed.items()}
    rules = [*_applied(overrides, models), *corrections, *rules]
    numbered = (PriceRule(number, **vars(rule)) for number, rule in enumerate(rules, 1))
    rows = enumerate((row for id, prices in models.items() for row in _rows(id, prices)), 1)
    return PriceSet(
        tuple(numbered),
        tuple(PriceRow(number, **row) for number, row in rows),
        overrides.multipliers,
        overrides.batch_rules,
    )


def write(connection: duckdb.DuckDBPyConnection, prices: PriceSet, *, temporary: bool = False) -> None:
    """Replaces the price tables of schema chat by these rows, or makes temporary ones of the same names."""
    for table, rows in (
        (MODEL_PRICE_RULES, prices.rules),
        (MODEL_PRICES, prices.prices),
        (PRICE_MULTIPLIERS, prices.multipliers),
        (BATCH_RULES, prices.batch_rules),
    ):
        columns = {name: [getattr(row, name) for row in rows] for name in table.schema.names}
        loaded = pa.table(columns, schema=table.schema)
        connection.register("loaded_prices", loaded)
        if temporary:
            connection.execute(f"create or replace temp table {table.name} as select * from loaded_prices")
        else:
            connection.execute(f"delete from chat.{table.name}")
            connection.execute(f"insert into chat.{table.name} by name select * from loaded_prices")
        connection.unregister("loaded_prices")


def stored(connection: duckdb.DuckDBPyConnection) -> PriceSet:
    """The price set that a warehouse is reported with."""
    return PriceSet(
        tuple(_read(connection, MODEL_PRICE_RULES, PriceRule, "rule_no")),
        tuple(_read(connection, MODEL_PRICES, PriceRow, "price_no")),
        tuple(_read(connection, PRICE_MULTIPLIERS, Multiplier, "source, valid_from")),
        tuple(_read(connection, BATCH_RULES, BatchRule, "rule_no")),
    )


def explain(prices: PriceSet, model: str, tier: str | None, at: date, input_tokens: int = 0) -> Explanation:
    """How a request would be priced; `tier` is one of model_prices or a service tier of the API."""
    tier = tier if tier == "batch" else TIER_OF_SERVICE.get(tier, tier)
    rule = matched(prices.rules, model)
    rows = [row for row in prices.prices if rule and row.price_model_id == rule.price_model_id]
    row = next((row for row in rows if row.holds(tier or "standard", at, input_tokens)), None)
    reason = None
    if row is None:
        reason = "unknown_model" if rule is None else "no_price_for_tier" if rows else "no_token_price"
    return Explanation(model, tier or "standard", at, input_tokens, rule, row, reason)


def matched(rules: Iterable[PriceRule], model: str) -> PriceRule | None:
    """The first rule that fits; failing that, one that fits with a date such as 20251211 written 2025-12-11."""
    rules = list(rules)
    name = model.lower()
    for candidate in (name, _COMPACT_DATE.sub(r"-\1-\2-\3\4", name)):
        if found := next((rule for rule in rules if _fits(rule, candidate)), None):
            return found
    return None


def _fits(rule: PriceRule, name: str) -> bool:
    match rule.kind:
        case "equals":
            return name == rule.pattern
        case "starts_with":
            return name.startswith(rule.pattern)
        case "ends_with":
            return name.endswith(rule.pattern)
        case "contains":
            return rule.pattern in name
        case _:
            return re.search(rule.pattern, name) is not None


def _applied(layer: Overrides, models: dict[str, PriceList]) -> list[Rule]:
    """Puts a layer's entries onto the models below it; the rules that lead to them."""
    rules = []
    for entry in layer.entries:
        models[entry.id] = prices = Patched(_below(entry, models), entry.patches, entry.tiers)
        _refuse_ineffective(entry, prices)
        rules += [Rule(kind, pattern, entry.id, entry.source) for kind, pattern in entry.patterns]
    return rules


def _below(entry: Entry, models: dict[str, PriceList]) -> PriceList | None:
    if entry.patterns and entry.id in models:
        raise UsageError(
            f"{entry.place} has a match, but there are prices under that id already: leave match out to change them "
            f"for every name of theirs, or choose another id."
        )
    id = entry.based_on if entry.patterns else entry.id
    if id is None or id in models:
        return models[id] if id else None
    close = difflib.get_close_matches(id, models, 1)
    hint = f"did you mean {close[0]!r}?" if close else "see `stored-completions prices list`."
    what = "is based on" if entry.patterns else "has no match, so it changes the prices of"
    raise UsageError(f"{entry.place} {what} {id!r}, and no prices are known under that id: {hint}")


def _refuse_ineffective(entry: Entry, prices: PriceList) -> None:
    for patch in entry.patches:
        last = patch.valid_to - timedelta(days=1) if patch.valid_to else date.max
        if prices.price(patch.tier, patch.valid_from or last, patch.above) is None:
            raise UsageError(
                f"{entry.place} gives only {', '.join(patch.rates)} for tier {patch.tier}, of which no other price is "
                f"known: give input and output too."
            )


def _rows(price_model_id: str, prices: PriceList) -> Iterator[dict[str, Any]]:
    for span in spans(prices):
        yield {
            "price_model_id": price_model_id,
            "tier": span.tier,
            "valid_from": span.valid_from,
            "valid_to": span.valid_to,
            "min_input_tokens": span.above,
            "max_input_tokens": span.up_to,
            **{name: span.price.rates.get(name) for name in price_models.RATES},
            "price_basis": span.price.basis,
            "source": span.price.source,
        }


def _read(connection: duckdb.DuckDBPyConnection, table: Table, kind: type[_Row], order: str) -> list[_Row]:
    names = ", ".join(field.name for field in fields(kind))  # type: ignore[arg-type]
    rows = connection.execute(f"select {names} from chat.{table.name} order by {order}").fetchall()
    return [kind(*row) for row in rows]


def _loaded(connection: duckdb.DuckDBPyConnection) -> str | None:
    row = connection.execute(
        "select fingerprint from chat.price_sets order by loaded_at desc limit 1"
    ).fetchone()
    return str(row[0]) if row else None


def _note(connection: duckdb.DuckDBPyConnection, mark: str, prices: PriceSet, overrides: Overrides) -> None:
    noted = {
        "fingerprint": mark,
        "loaded_at": datetime.now(UTC),
        "genai_prices_version": library_version(),
        "stored_completions_version": __version__,
        "rules": len(prices.rules),
        "prices": len(prices.prices),
        "overrides": overrides.text,
    }
    names, marks = ", ".join(noted), ", ".join("?" * len(noted))
    connection.execute(f"insert into chat.{PRICE_SETS.name} ({names}) values ({marks})", list(noted.values()))
