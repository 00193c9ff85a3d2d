"""The price file: what may stand in it, and a sentence for everything that may not.

`example.toml` beside this file shows all of it; the built-in overrides are such a file too.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from stored_completions.errors import UsageError
from stored_completions.prices import fields
from stored_completions.prices.lists import RATES, TIERS, Patch

BUILT_IN = Path(__file__).with_name("built_in.toml")
EXAMPLE = Path(__file__).with_name("example.toml")

_KINDS = ("equals", "starts_with", "ends_with", "contains", "regex")
_MOST_FACTOR = 100


@dataclass(frozen=True)
class Entry:
    """One price list: `patterns` are (kind, pattern), empty to change the prices of a known model;
    `based_on` is None for one that stands alone; `tiers` are those it takes from what it is based on."""

    id: str
    patterns: tuple[tuple[str, str], ...]
    based_on: str | None
    tiers: tuple[str, ...]
    patches: tuple[Patch, ...]
    source: str
    place: str


@dataclass(frozen=True)
class Multiplier:
    """What the costs of a source are multiplied by on UTC days from `valid_from` until `valid_to`."""

    source: str
    valid_from: date | None
    valid_to: date | None
    multiplier: Decimal
    reason: str


@dataclass(frozen=True)
class BatchRule:
    """Completions that ran in a batch: those that fit everything that is not None."""

    rule_no: int
    source: str | None
    model: str | None
    metadata_key: str | None
    metadata_value: str | None
    valid_from: date | None
    valid_to: date | None
    reason: str


@dataclass(frozen=True)
class Overrides:
    """A price file, read and found right; `text` is the file itself."""

    text: str | None = None
    entries: tuple[Entry, ...] = ()
    multipliers: tuple[Multiplier, ...] = ()
    batch_rules: tuple[BatchRule, ...] = ()


NONE = Overrides()


def read(path: Path) -> Overrides:
    """The price file at `path`; UsageError names file, entry and remedy."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"The price file {path} cannot be read ({why}): name another, or none.") from None
    return parsed(text, path.name)


def built_in() -> Overrides:
    return parsed(BUILT_IN.read_text(encoding="utf-8"), "built-in")


def parsed(text: str, name: str) -> Overrides:
    """The overrides in a TOML text; `name` is what its rows and its errors are said to come from."""
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is not valid TOML: {error}.") from None
    fields.refuse_unknown(content, ("model", "multiplier", "batch"), name)
    return Overrides(
        text,
        tuple(_entries(fields.tables(content, "model", name), name)),
        tuple(_multipliers(fields.tables(content, "multiplier", name), name)),
        tuple(_batch_rules(fields.tables(content, "batch", name), name)),
    )


def _entries(tables: list[dict[str, Any]], name: str) -> Iterator[Entry]:
    seen: set[str] = set()
    for number, table in enumerate(tables, 1):
        place = f"{name}, model {number}"
        fields.refuse_unknown(table, ("id", "match", "based_on", "tiers", "source", "rates"), place)
        id = fields.text(table, "id", place)
        place = f"{place} ({id})"
        if id in seen:
            raise UsageError(
                f"{place} has the id of an entry before it: put all of its rates into one entry."
            )
        seen.add(id)
        patterns = tuple(_patterns(table.get("match", []), place))
        if "match" in table and not patterns:
            raise UsageError(f"{place}: match is empty. Name at least one model, or leave match out.")
        if "match" not in table and ("based_on" in table or "tiers" in table):
            raise UsageError(f"{place} has no match, so nothing would use it: name the models it is for.")
        if "tiers" in table and "based_on" not in table:
            raise UsageError(f"{place}: tiers says what it shares with based_on, which is missing.")
        source = f"{name}: {fields.text(table, 'source', place)}"
        yield Entry(
            id,
            patterns,
            fields.text(table, "based_on", place) if "based_on" in table else None,
            fields.tiers(table.get("tiers", list(TIERS)), place),
            tuple(_patches(table, source, place)),
            source,
            place,
        )


def _patterns(match: Any, place: str) -> Iterator[tuple[str, str]]:
    for item in match if isinstance(match, list) else [match]:
        pairs = list(item.items()) if isinstance(item, dict) else [("equals", item)]
        if (
            len(pairs) != 1
            or pairs[0][0] not in _KINDS
            or not isinstance(pairs[0][1], str)
            or not pairs[0][1]
        ):
            raise UsageError(
                f'{place}: match has {item!r}. Write a model\'s name, or one of {{ starts_with = "…" }}, '
                f"ends_with, contains, regex."
            )
        kind, pattern = pairs[0]
        if kind == "regex":
            _check_regex(pattern, place)
        yield kind, pattern if kind == "regex" else pattern.lower()


def _check_regex(pattern: str, place: str) -> None:
    """Python's expressions and DuckDB's (RE2) have to agree: look-around and back references are Python's alone."""
    import duckdb

    try:
        re.compile(pattern)
        with duckdb.connect() as connection:
            connection.execute("select regexp_matches('', ?)", [pattern]).fetchall()
    except (re.error, duckdb.Error) as error:
        why = str(error).splitlines()[0]
        raise UsageError(
            f"{place}: match has the regex {pattern!r}, which cannot be used ({why}). Models are compared in lower "
            f"case, by RE2: no look-around, no back reference."
        ) from None


def _patches(table: dict[str, Any], source: str, place: str) -> Iterator[Patch]:
    alone = "match" in table and "based_on" not in table
    seen: set[tuple[Any, ...]] = set()
    tables = fields.tables(table, "rates", place)
    if not tables and "based_on" not in table:
        raise UsageError(f"{place} has no rates: write rates = [{{ input = 2.00, output = 8.00 }}].")
    for number, rates in enumerate(tables, 1):
        where = f"{place}, rates {number}"
        fields.refuse_unknown(rates, ("tier", "from", "until", "above_input_tokens", *RATES), where)
        if alone and not {"input", "output"} <= rates.keys():
            raise UsageError(
                f"{where} needs input and output: only an entry with based_on, or without match, may leave them out."
            )
        given = Patch(
            "",
            *fields.days(rates, where),
            fields.threshold(rates, where),
            {name: fields.money(rates[name], name, where) for name in RATES if name in rates},
            source,
        )
        if not given.rates:
            raise UsageError(f"{where} gives no rate: name at least one of {', '.join(RATES)}.")
        for tier in fields.tiers(rates.get("tier", "standard"), where):
            key = (tier, given.valid_from, given.above)
            if key in seen:
                raise UsageError(
                    f"{where} begins when another of tier {tier} does: give one of them another from."
                )
            seen.add(key)
            yield Patch(tier, given.valid_from, given.valid_to, given.above, given.rates, source)


def _multipliers(tables: list[dict[str, Any]], name: str) -> Iterator[Multiplier]:
    found = []
    for number, table in enumerate(tables, 1):
        place = f"{name}, multiplier {number}"
        fields.refuse_unknown(table, ("source", "factor", "from", "until", "reason"), place)
        factor = fields.number(table.get("factor"), "factor", place, most=_MOST_FACTOR, places=6)
        if not factor:
            raise UsageError(f"{place}: factor is 0, but it must be above 0.")
        days = fields.days(table, place)
        found.append(
            Multiplier(
                fields.text(table, "source", place), *days, factor, fields.text(table, "reason", place)
            )
        )
    found.sort(key=lambda multiplier: (multiplier.source, multiplier.valid_from or date.min))
    for one, next_one in pairwise(found):
        if one.source == next_one.source and (one.valid_to or date.max) > (next_one.valid_from or date.min):
            raise UsageError(
                f"{name}: two multipliers of source {one.source!r} hold on the same days. Give the earlier one an "
                f"until, and the later one that day as its from."
            )
    yield from found


def _batch_rules(tables: list[dict[str, Any]], name: str) -> Iterator[BatchRule]:
    for number, table in enumerate(tables, 1):
        place = f"{name}, batch {number}"
        fields.refuse_unknown(table, ("source", "model", "metadata", "from", "until", "reason"), place)
        if not {"source", "model", "metadata"} & table.keys():
            raise UsageError(
                f"{place} would take every completion for a batch: name a source, a model or metadata."
            )
        pair = table.get("metadata", {None: None})
        if (
            not isinstance(pair, dict)
            or len(pair) != 1
            or not isinstance(next(iter(pair.values())), str | None)
        ):
            raise UsageError(f'{place}: metadata takes one pair, as in metadata = {{ job = "nightly" }}.')
        [(key, value)] = pair.items()
        yield BatchRule(
            number,
            fields.text(table, "source", place) if "source" in table else None,
            fields.text(table, "model", place) if "model" in table else None,
            key,
            value,
            *fields.days(table, place),
            fields.text(table, "reason", place),
        )
