"""The price file: what may stand in it, and a sentence for everything that may not.

`example.toml` beside this file shows all of it; the built-in overrides are such a file too.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from stored_completions.errors import UsageError
from stored_completions.prices.lists import RATES, TIERS, Patch

BUILT_IN = Path(__file__).with_name("built_in.toml")
EXAMPLE = Path(__file__).with_name("example.toml")

_KINDS = ("equals", "starts_with", "ends_with", "contains", "regex")
_MILLION = Decimal(1_000_000)
_MOST_USD = 10_000
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
    _refuse_unknown(content, ("model", "multiplier", "batch"), name)
    return Overrides(
        text,
        tuple(_entries(_tables(content, "model", name), name)),
        tuple(_multipliers(_tables(content, "multiplier", name), name)),
        tuple(_batch_rules(_tables(content, "batch", name), name)),
    )


def _entries(tables: list[dict[str, Any]], name: str) -> Iterator[Entry]:
    seen: set[str] = set()
    for number, table in enumerate(tables, 1):
        place = f"{name}, model {number}"
        _refuse_unknown(table, ("id", "match", "based_on", "tiers", "source", "rates"), place)
        id = _text(table, "id", place)
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
        source = f"{name}: {_text(table, 'source', place)}"
        yield Entry(
            id,
            patterns,
            _text(table, "based_on", place) if "based_on" in table else None,
            _tiers(table.get("tiers", list(TIERS)), place),
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
    tables = _tables(table, "rates", place)
    if not tables and "based_on" not in table:
        raise UsageError(f"{place} has no rates: write rates = [{{ input = 2.00, output = 8.00 }}].")
    for number, rates in enumerate(tables, 1):
        where = f"{place}, rates {number}"
        _refuse_unknown(rates, ("tier", "from", "until", "above_input_tokens", *RATES), where)
        if alone and not {"input", "output"} <= rates.keys():
            raise UsageError(
                f"{where} needs input and output: only an entry with based_on, or without match, may leave them out."
            )
        given = Patch(
            "",
            *_days(rates, where),
            _threshold(rates, where),
            {name: _money(rates[name], name, where) for name in RATES if name in rates},
            source,
        )
        if not given.rates:
            raise UsageError(f"{where} gives no rate: name at least one of {', '.join(RATES)}.")
        for tier in _tiers(rates.get("tier", "standard"), where):
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
        _refuse_unknown(table, ("source", "factor", "from", "until", "reason"), place)
        factor = _number(table.get("factor"), "factor", place, most=_MOST_FACTOR, places=6)
        if not factor:
            raise UsageError(f"{place}: factor is 0, but it must be above 0.")
        days = _days(table, place)
        found.append(Multiplier(_text(table, "source", place), *days, factor, _text(table, "reason", place)))
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
        _refuse_unknown(table, ("source", "model", "metadata", "from", "until", "reason"), place)
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
            _text(table, "source", place) if "source" in table else None,
            _text(table, "model", place) if "model" in table else None,
            key,
            value,
            *_days(table, place),
            _text(table, "reason", place),
        )


def _tables(table: dict[str, Any], key: str, place: str) -> list[dict[str, Any]]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        shape = f"{key} = [{{ … }}]" if key == "rates" else f"[[{key}]] with two brackets"
        raise UsageError(f"{place}: {key} is {value!r}, but it has to be written {shape}.")
    return value


def _text(table: dict[str, Any], key: str, place: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f'{place} has no {key}: write {key} = "…".')
    return value.strip()


def _tiers(value: Any, place: str) -> tuple[str, ...]:
    tiers = value if isinstance(value, list) else [value]
    wrong = next((tier for tier in tiers if tier not in TIERS), None)
    if wrong is not None or not tiers or len(set(tiers)) < len(tiers):
        raise UsageError(f"{place}: tier is {value!r}, but each is one of {', '.join(TIERS)}.")
    return tuple(tiers)


def _days(table: dict[str, Any], place: str) -> tuple[date | None, date | None]:
    days = [table.get(key) for key in ("from", "until")]
    for key, day in zip(("from", "until"), days, strict=True):
        if day is not None and (isinstance(day, datetime) or not isinstance(day, date)):
            raise UsageError(f"{place}: {key} is {str(day)!r}, but it has to be a day: {key} = 2026-01-31.")
    valid_from, valid_to = days
    if valid_from and valid_to and valid_to <= valid_from:
        raise UsageError(
            f"{place} ends on {valid_to}, not after it begins: until is the first day it holds no more."
        )
    return valid_from, valid_to


def _threshold(table: dict[str, Any], place: str) -> int | None:
    value = table.get("above_input_tokens")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
        raise UsageError(
            f"{place}: above_input_tokens is {value!r}, but it has to be a whole number above 0."
        )
    return value


def _money(value: Any, name: str, place: str) -> Decimal:
    """US dollars a token, or a request."""
    if name == "per_request":
        return _number(value, name, place, most=_MOST_USD, places=12)
    return _number(value, name, place, most=_MOST_USD, places=6) / _MILLION


def _number(value: Any, name: str, place: str, *, most: int, places: int) -> Decimal:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    number = Decimal(value) if is_number else Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= most:
        shown = number if isinstance(value, Decimal) else repr(value)
        raise UsageError(f"{place}: {name} is {shown}, but it has to be a number from 0 to {most:,}.")
    if number != round(number, places):
        raise UsageError(
            f"{place}: {name} is {number}, but it may have {places} digits after the point, not more."
        )
    return number


def _refuse_unknown(table: dict[str, Any], known: tuple[str, ...], place: str) -> None:
    unknown = next((key for key in table if key not in known), None)
    if unknown is None:
        return
    close = difflib.get_close_matches(unknown, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}."
    raise UsageError(f"{place} has {unknown!r}, which is nothing that a price file says: {hint}")
