"""SQL against genai-prices' own calc_price, on random completions and on every name it knows.

What both price at the listed rates is equal to the last digit. Everything else is counted by reason.
"""

import gzip
import json
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from genai_prices import Usage, calc_price
from genai_prices.data import providers

from given import Row, warehouse
from stored_completions import models
from stored_completions.prices import overrides as price_overrides
from stored_completions.prices import sets as prices
from stored_completions.tables import BY_NAME, LOAD_ID

OPENAI = next(provider for provider in providers if provider.id == "openai")
TIERS = [None, "default", "auto"] * 12 + ["flex", "priority", "fast", "batch", "scale"]
DAYS = [date(2024, 1, 1) + timedelta(days=days) for days in range(1100)] + [
    day + timedelta(days=days)
    for day in (
        date(2025, 6, 10),
        date(2026, 7, 30),
        date(2026, 8, 21),
        date(2026, 10, 12),
        date(2026, 10, 14),
    )
    for days in range(-2, 3)
] * 20
FIRST_LISTED = datetime(2026, 10, 14, tzinfo=UTC)
BATCHES = '[[batch]]\nsource = "batches"\nreason = "test"'

TALLY = {
    "equal to the last digit": 7040,
    "tier_backdated, equal to the tier's first listed price": 243,
    "tier_backdated, not the tier's first listed price": 30,
    "override, priced by the library": 440,
    "override, unknown to the library": 302,
    "no_price_for_tier, priced by the library": 680,
    "no_price_for_tier, unknown to the library": 35,
    "no_price_for_tier, the library: usage is missing": 2,
    "no_token_price, priced by the library": 512,
    "no_audio_price, priced by the library": 240,
    "no_audio_price, unknown to the library": 12,
    "inconsistent_usage, priced by the library": 139,
    "inconsistent_usage, the library: inconsistent": 48,
    "inconsistent_usage, unknown to the library": 5,
    "unknown_model, unknown to the library": 260,
    "listed, the library: usage is missing": 12,
}
CHANGED_SINCE = {"o3", "gpt-5.6-luna", "gpt-5.6-sol", "gpt-5.6-terra"}


def names() -> list[str]:
    """Every name and made-up names for every pattern of genai-prices, in the order of its models."""
    suffixes = {"starts_with": "{}-2026-05-01", "ends_with": "my-{}", "contains": "my-{}-too", "equals": "{}"}
    found = []
    for rule in prices.price_set().rules:
        if rule.kind == "regex":
            stem = rule.pattern.split(r"\d")[0].strip("^").replace("\\", "")
            found += [f"{stem}2026-05-01", f"{stem}20260501", f"{stem}2026-5-1"]
        else:
            found += [suffixes[rule.kind].format(rule.pattern), rule.pattern, rule.pattern.upper()]
            found.append(suffixes[rule.kind].format(rule.pattern).replace("-05-01", "0501"))
    return [
        *dict.fromkeys(found),
        "gpt-5.2-20251211",
        "gpt-4o-20240806:x",
        "ft:gpt-4o-mini-20240718:me::1",
        "llama",
        "",
    ]


def filled(connection: duckdb.DuckDBPyConnection, **rows: list[Row]) -> None:
    for name, given in rows.items():
        table = BY_NAME[name]
        loaded = pa.Table.from_pylist([{LOAD_ID: "load"} | row for row in given], schema=table.schema)
        connection.register("loaded", loaded)
        connection.execute(f"insert into chat.{name} select * from loaded")
        connection.unregister("loaded")


def drawn(random_: random.Random, number: int, name: str) -> tuple[Row, Row]:
    """A completion and its usage; one in thirty has parts that exceed their total."""
    day, tier = random_.choice(DAYS), random_.choice(TIERS)
    at = datetime(day.year, day.month, day.day, random_.randrange(24), random_.randrange(60), tzinfo=UTC)
    completion = {
        "completion_id": str(number),
        "created_at": at,
        "created_date": day,
        "model": name,
        "service_tier": None if tier == "batch" else tier,
        "source": "batches" if tier == "batch" else "default",
    }
    prompt = random_.choice([0, 1, 7, 1000, 271_999, 272_000, 272_001, 400_000, random_.randrange(10**6)])
    written = random_.randrange(20_000)
    slack = 4 if random_.random() < 1 / 30 else 1
    parts = [random_.randrange(prompt * slack // 3 + 1) for _ in range(3)]
    audio = random_.random() < 1 / 30
    usage = {
        "completion_id": str(number),
        "created_date": day,
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "cached_tokens": parts[0],
        "cache_write_tokens": parts[1] if random_.random() < 1 / 3 else None,
        "prompt_audio_tokens": parts[2] if audio else 0,
        "reasoning_tokens": random_.randrange(written * slack // 2 + 1),
        "completion_audio_tokens": random_.randrange(written // 2 + 1) if audio else None,
    }
    return completion, usage


def listed(completion: Row, usage: Row) -> Decimal | str:
    """The library's price, or what it says when it gives none."""
    context = {"service_tier": completion["service_tier"]} if completion["service_tier"] else None
    if completion["source"] == "batches":
        context = {"processing": "batch"}
    spent = Usage(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        cache_read_tokens=usage["cached_tokens"],
        cache_write_tokens=usage["cache_write_tokens"],
        input_audio_tokens=usage["prompt_audio_tokens"],
        output_audio_tokens=usage["completion_audio_tokens"],
        output_reasoning_tokens=usage["reasoning_tokens"],
    )
    try:
        with localcontext(prec=60):
            return calc_price(
                spent,
                completion["model"],
                provider_id="openai",
                genai_request_timestamp=completion["created_at"],
                price_context=context,
            ).total_price
    except LookupError:
        return "unknown to the library"
    except ValueError as error:
        return "the library: " + ("inconsistent" if "Invalid usage" in str(error) else "usage is missing")


def test_ten_thousand_random_completions() -> None:
    random_ = random.Random(20261123)
    known = names()
    rows = [drawn(random_, number, random_.choice(known)) for number in range(10_000)]
    connection = warehouse()
    prices.load(connection, price_overrides.parsed(BATCHES, "test"))
    models.create_views(connection)
    filled(connection, completions=[row for row, _ in rows], usage=[row for _, row in rows])
    ours = connection.execute(
        "select cost_usd, price_basis, unpriced_reason, price_model_id"
        " from marts.completion_costs order by cast(completion_id as int)"
    ).fetchall()
    assert len(ours) == len(rows)
    tally: Counter[str] = Counter()
    for (completion, usage), (cost, basis, reason, price_model_id) in zip(rows, ours, strict=True):
        theirs = listed(completion, usage)
        said = theirs if isinstance(theirs, str) else "priced by the library"
        if basis == "listed" and isinstance(theirs, Decimal):
            assert cost == theirs, (completion, usage)
            tally["equal to the last digit"] += 1
        elif basis == "tier_backdated" and isinstance(theirs, Decimal):
            then = listed(completion | {"created_at": FIRST_LISTED}, usage)
            assert cost == then or price_model_id in CHANGED_SINCE, (completion, usage)
            tally[
                f"tier_backdated, {'equal to' if cost == then else 'not'} the tier's first listed price"
            ] += 1
        else:
            tally[f"{basis or reason}, {said}"] += 1
    assert tally == TALLY


def library_match(name: str) -> str | None:
    found = OPENAI.find_model(name.lower())
    return found.id if found else None


def test_every_name_matches_as_it_does_in_the_library() -> None:
    check_matches(names())


def test_every_recorded_model_matches_as_it_does_in_the_library(corpus: Path) -> None:
    with gzip.open(corpus / "recorded.ndjson.gz", "rt", encoding="utf-8") as lines:
        found = {json.loads(line)["body"].get("model") for line in lines}
    recorded = sorted(name for name in found if isinstance(name, str))
    assert len(recorded) > 250
    check_matches(recorded)


def check_matches(found: list[str]) -> None:
    connection = warehouse()
    prices.load(connection)
    models.create_views(connection)
    filled(connection, completions=[{"completion_id": name, "model": name} for name in found])
    in_sql: dict[str, Any] = dict(
        connection.execute("select model, price_model_id from marts.completion_costs").fetchall()
    )
    price_set = prices.stored(connection)
    in_python = {name: prices.matched(price_set.rules, name) for name in found}
    assert in_sql == {name: rule and rule.price_model_id for name, rule in in_python.items()}
    by_library = {
        name: library_match(name)
        for name in found
        if (rule := in_python[name]) is None or rule.source.startswith("genai-prices")
    }
    assert by_library == {name: in_sql[name] for name in by_library}
