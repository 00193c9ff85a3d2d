"""Given completions and prices, what each costs and why: known answers, edge cases, whole rows."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from duckdb import DuckDBPyConnection

from given import Row, at, insert, rows, warehouse
from stored_completions import models
from stored_completions.checks import run_checks
from stored_completions.prices import overrides as price_overrides
from stored_completions.prices import sets as prices
from stored_completions.prices.changes import PriceChange, diff
from stored_completions.reports import rollup

LARGEST = 2**63 - 1
NOON = at("2026-11-01 12:00")


@pytest.fixture(scope="module", params=["UTC", "America/Los_Angeles"])
def priced(request: pytest.FixtureRequest) -> Iterator[DuckDBPyConnection]:
    """A warehouse with the prices of the program and no completion; each test rolls its rows back."""
    with warehouse() as connection:
        connection.execute(f"set TimeZone = '{request.param}'")
        prices.load(connection)
        models.create_views(connection)
        yield connection


@pytest.fixture
def chat(priced: DuckDBPyConnection) -> Iterator[DuckDBPyConnection]:
    priced.execute("begin")
    yield priced
    priced.execute("rollback")


def add(
    connection: DuckDBPyConnection,
    model: str | None,
    prompt: int | None,
    completion: int | None,
    *,
    tier: str | None = None,
    created_at: datetime | None = NOON,
    id: str = "a",
    source: str = "default",
    **details: int,
) -> None:
    day = created_at and created_at.date()
    insert(
        connection,
        "completions",
        {
            "completion_id": id,
            "model": model,
            "service_tier": tier,
            "created_at": created_at,
            "created_date": day,
            "source": source,
        },
    )
    counters = {"prompt_tokens": prompt, "completion_tokens": completion, **details}
    insert(connection, "usage", {"completion_id": id, "created_date": day, **counters})


def cost(connection: DuckDBPyConnection, id: str = "a") -> Row:
    [row] = rows(connection, f"select * from marts.completion_costs where completion_id = '{id}'")
    return row


def usd(connection: DuckDBPyConnection, *given: Any, **more: Any) -> Decimal | str | None:
    """What a completion costs, or why that is not known."""
    add(connection, *given, **more)
    row = cost(connection)
    assert (row["cost_usd"] is None) == (row["unpriced_reason"] is not None)
    found: Decimal | str | None = row["unpriced_reason"] or row["cost_usd"]
    return found


KNOWN: list[tuple[str, str, tuple[str, str, str]]] = [
    ("gpt-4o-2024-08-06", "default", ("2.50", "1.25", "10")),
    ("gpt-4o-mini-2024-07-18", "default", ("0.15", "0.075", "0.60")),
    ("o1-2024-12-17", "default", ("15", "7.5", "60")),
    ("o3-mini-2025-01-31", "default", ("1.10", "0.55", "4.40")),
    ("gpt-4.1-2025-04-14", "default", ("2", "0.50", "8")),
    ("gpt-5-2025-08-07", "default", ("1.25", "0.125", "10")),
    ("gpt-5-2025-08-07", "flex", ("0.625", "0.0625", "5")),
    ("gpt-5-2025-08-07", "priority", ("2.5", "0.25", "20")),
    ("gpt-5-2025-08-07", "fast", ("2.5", "0.25", "20")),
    ("gpt-3.5-turbo-0125", "default", ("0.50", "0.50", "1.50")),
    ("gpt-4o-audio-preview", "default", ("2.50", "2.50", "10")),
    ("ft:gpt-4o-mini-2024-07-18:acme::x", "default", ("0.30", "0.15", "1.20")),
    ("ft:gpt-4o-2024-08-06:acme::x", "default", ("3.75", "1.875", "15")),
    ("ft:gpt-4.1-2025-04-14:acme::x", "default", ("3", "0.75", "12")),
    ("ft:gpt-4.1-mini-2025-04-14:acme::x", "default", ("0.8", "0.2", "3.2")),
    ("ft:gpt-4.1-nano-2025-04-14:acme::x", "default", ("0.2", "0.05", "0.8")),
    ("ft:o4-mini-2025-04-16:acme::x", "default", ("4", "1", "16")),
]


@pytest.mark.parametrize(("model", "tier", "rates"), KNOWN)
def test_known_rates_of_a_million_tokens(
    chat: DuckDBPyConnection, model: str, tier: str, rates: tuple[str, str, str]
) -> None:
    for number, tokens in enumerate(((100_000, 0, 0), (100_000, 100_000, 0), (0, 0, 100_000))):
        prompt, cached, completion = tokens
        add(chat, model, prompt, completion, tier=tier, id=str(number), cached_tokens=cached)
        assert cost(chat, str(number))["cost_usd"] == Decimal(rates[number]) / 10


@pytest.mark.parametrize(
    ("model", "day", "prompt", "completion", "details", "expected"),
    [
        ("o1-mini", "2025-01-31", 1000, 100, {"cached_tokens": 400}, "0.0036"),
        ("o1-mini", "2025-02-01", 1000, 100, {"cached_tokens": 400}, "0.00132"),
        ("o3", "2025-06-09", 1000, 100, {"cached_tokens": 400}, "0.011"),
        ("o3", "2025-06-10", 1000, 100, {"cached_tokens": 400}, "0.0022"),
        ("gpt-4o-search-preview", "2025-06-10", 1000, 100, {}, "0.0285"),
        ("gpt-4o-mini-search-preview-2025-03-11", "2025-06-10", 1000, 100, {}, "0.02521"),
        ("gpt-5.6-luna", "2026-07-29", 10_000, 1000, {}, "0.016"),
        ("gpt-5.6-luna", "2026-07-30", 10_000, 1000, {}, "0.0032"),
        ("gpt-4o-audio-preview", "2025-06-10", 100, 100, {"prompt_audio_tokens": 60}, "0.0035"),
        ("gpt-4o-audio-preview-2024-10-01", "2024-11-01", 100, 100, {"prompt_audio_tokens": 60}, "0.0071"),
        (
            "gpt-4o-audio-preview-2024-12-17",
            "2025-06-10",
            100,
            100,
            {"completion_audio_tokens": 60},
            "0.00545",
        ),
        ("gpt-4o-mini-audio-preview", "2025-06-10", 100, 100, {"prompt_audio_tokens": 60}, "0.000666"),
        ("gpt-audio-mini", "2026-01-01", 100, 100, {"completion_audio_tokens": 60}, "0.001356"),
    ],
)
def test_known_costs(
    chat: DuckDBPyConnection,
    model: str,
    day: str,
    prompt: int,
    completion: int,
    details: dict[str, int],
    expected: str,
) -> None:
    created_at = at(f"{day} 00:00")
    assert usd(chat, model, prompt, completion, created_at=created_at, **details) == Decimal(expected)


def test_a_cost_in_all_its_parts(chat: DuckDBPyConnection) -> None:
    add(
        chat,
        "gpt-6-sol",
        1000,
        500,
        tier="flex",
        cached_tokens=300,
        cache_write_tokens=200,
        reasoning_tokens=400,
        accepted_prediction_tokens=50,
        rejected_prediction_tokens=60,
    )
    found = cost(chat)
    parts = {name: value for name, value in found.items() if name.endswith("_usd")}
    assert parts == {
        "cost_usd": Decimal("0.00328"),
        "estimated_cost_usd": Decimal("0.00328"),
        "input_usd": Decimal("0.0005"),
        "cached_input_usd": Decimal("0.00003"),
        "cache_write_usd": Decimal("0.00025"),
        "audio_input_usd": 0,
        "output_usd": Decimal("0.0005"),
        "reasoning_usd": Decimal("0.002"),
        "audio_output_usd": 0,
        "request_usd": 0,
    }
    on = ("price_model_id", "price_tier", "price_basis", "usage_basis", "unpriced_reason", "multiplier")
    assert [found[name] for name in on] == ["gpt-6-sol", "flex", "listed", "full", None, 1]
    used = rows(chat, f"select tier, input from chat.model_prices where price_no = {found['price_no']}")
    assert used == [{"tier": "flex", "input": Decimal("0.000001")}]


@pytest.mark.parametrize("tier", [None, "default", "auto"])
def test_a_standard_tier_has_many_names(chat: DuckDBPyConnection, tier: str | None) -> None:
    assert usd(chat, "gpt-5", 1000, 0, tier=tier) == Decimal("0.00125")
    assert cost(chat)["price_tier"] == "standard"


@pytest.mark.parametrize("tier", ["scale", "batch", "standard", "FLEX", ""])
def test_a_tier_that_is_none_has_no_price(chat: DuckDBPyConnection, tier: str) -> None:
    assert usd(chat, "gpt-5", 1000, 0, tier=tier) == "no_price_for_tier"
    assert cost(chat)["price_tier"] is None


def test_a_tier_that_the_model_does_not_have_has_no_price(chat: DuckDBPyConnection) -> None:
    assert usd(chat, "gpt-4o", 1000, 0, tier="flex") == "no_price_for_tier"
    assert (cost(chat)["price_tier"], cost(chat)["price_no"]) == ("flex", None)


@pytest.mark.parametrize(
    ("model", "tier", "day", "expected", "basis"),
    [
        ("gpt-5", "flex", "2026-10-12", "0.625", "listed"),
        ("gpt-5", "flex", "2026-10-11", "0.625", "tier_backdated"),
        ("gpt-5", "fast", "2025-09-01", "2.5", "tier_backdated"),
        ("o3", "flex", "2025-06-09", "5", "tier_backdated"),
        ("gpt-5.6-luna", "priority", "2026-07-29", "2", "tier_backdated"),
        ("gpt-5.6-luna", "priority", "2026-07-30", "0.4", "tier_backdated"),
        ("gpt-6.1-terra", "flex", "2026-09-01", "0.5", "listed"),
        ("o1-mini", None, "2025-01-31", "3", "override"),
    ],
)
def test_a_tier_from_before_it_was_listed_keeps_its_ratio(
    chat: DuckDBPyConnection, model: str, tier: str | None, day: str, expected: str, basis: str
) -> None:
    found = usd(chat, model, 100_000, 0, tier=tier, created_at=at(f"{day} 23:59"))
    assert (found, cost(chat)["price_basis"]) == (Decimal(expected) / 10, basis)


@pytest.mark.parametrize(
    ("prompt", "completion", "expected"),
    [(272_000, 1000, "0.695"), (272_001, 1000, "1.382505"), (0, 0, "0"), (0, 1000, "0.015")],
)
def test_above_272_000_input_tokens_every_rate_is_another(
    chat: DuckDBPyConnection, prompt: int, completion: int, expected: str
) -> None:
    assert usd(chat, "gpt-5.4", prompt, completion) == Decimal(expected)


def test_priority_of_gpt_5_4_has_one_band(chat: DuckDBPyConnection) -> None:
    assert usd(chat, "gpt-5.4", 272_001, 0, tier="priority") == Decimal("1.360005")


def test_the_day_is_the_one_in_utc(chat: DuckDBPyConnection) -> None:
    add(chat, "o3", 1000, 0, created_at=at("2025-06-09 23:59"), id="before")
    add(chat, "o3", 1000, 0, created_at=at("2025-06-10 00:00"), id="after")
    assert [cost(chat, id)["cost_usd"] for id in ("before", "after")] == [Decimal("0.01"), Decimal("0.002")]


@pytest.mark.parametrize(
    ("given", "more", "reason"),
    [
        ((None, 1000, 100), {}, "unknown_model"),
        (("llama3", 1000, 100), {}, "unknown_model"),
        (("", 1000, 100), {}, "unknown_model"),
        (("gpt-5", None, 100), {}, "no_usage"),
        (("gpt-5", 1000, None), {}, "no_usage"),
        (("llama3", None, None), {}, "no_usage"),
        (("gpt-5", 1000, 100), {"created_at": None}, "no_created_date"),
        (("whisper-1", 1000, 100), {}, "no_token_price"),
        (("gpt-live-1", 1000, 100), {}, "no_token_price"),
        (("omni-moderation-latest", 1000, 100), {}, "no_token_price"),
        (("gpt-5", 1000, 100), {"cached_tokens": 1001}, "inconsistent_usage"),
        (("gpt-6-sol", 1000, 100), {"cached_tokens": 600, "cache_write_tokens": 401}, "inconsistent_usage"),
        (("gpt-5", 1000, 100), {"reasoning_tokens": 101}, "inconsistent_usage"),
        (("gpt-5", 1000, 100), {"cached_tokens": -1}, "inconsistent_usage"),
        (("gpt-5", -1000, 100), {}, "inconsistent_usage"),
        (("gpt-5", 1000, 100), {"tier": "scale", "cached_tokens": 1001}, "inconsistent_usage"),
        (("gpt-5", 1000, 100), {"prompt_audio_tokens": 1}, "no_audio_price"),
        (("gpt-5", 1000, 100), {"completion_audio_tokens": 1}, "no_audio_price"),
        (("gpt-4o-transcribe", 1000, 100), {"completion_audio_tokens": 1}, "no_audio_price"),
        (("gpt-5", LARGEST, LARGEST), {"cached_tokens": LARGEST, "reasoning_tokens": 1}, None),
        (
            ("gpt-5", LARGEST, 0),
            {"cached_tokens": LARGEST, "cache_write_tokens": LARGEST},
            "inconsistent_usage",
        ),
        (("gpt-5", -LARGEST - 1, 0), {"cached_tokens": LARGEST}, "inconsistent_usage"),
        (("gpt-5", 0, 0), {"cached_tokens": -LARGEST - 1}, "inconsistent_usage"),
        (("o1-pro", LARGEST, LARGEST), {}, None),
    ],
)
def test_why_a_completion_has_no_cost(
    chat: DuckDBPyConnection, given: tuple[Any, ...], more: dict[str, Any], reason: str | None
) -> None:
    add(chat, *given, **more)
    found = cost(chat)
    assert found["unpriced_reason"] == reason
    unknown = {name: value for name, value in found.items() if name.endswith(("_usd", "_basis"))}
    if reason:
        assert unknown == dict.fromkeys(unknown)
    else:
        assert None not in unknown.values()


def test_no_usage_row_at_all(chat: DuckDBPyConnection) -> None:
    insert(chat, "completions", {"completion_id": "a", "model": "gpt-5", "created_at": NOON})
    assert cost(chat)["unpriced_reason"] == "no_usage"


def test_the_largest_counters_keep_every_digit(chat: DuckDBPyConnection) -> None:
    assert usd(chat, "o1-pro", LARGEST, LARGEST) == LARGEST * Decimal("0.00075")


@pytest.mark.parametrize(
    ("model", "details", "basis"),
    [
        ("gpt-5", {"cached_tokens": 0}, "full"),
        ("gpt-5", {"accepted_prediction_tokens": 0}, "full"),
        ("gpt-5", {}, "no_details"),
        ("gpt-3.5-turbo", {}, "no_details"),
        ("gpt-6-sol", {}, "no_details_unbounded"),
        ("gpt-6-sol", {"cached_tokens": 1}, "full"),
        ("gpt-audio", {}, "no_details_unbounded"),
        ("gpt-4o-audio-preview", {}, "no_details_unbounded"),
    ],
)
def test_what_a_cost_rests_on(
    chat: DuckDBPyConnection, model: str, details: dict[str, int], basis: str
) -> None:
    add(chat, model, 1000, 100, **details)
    assert cost(chat)["usage_basis"] == basis


@pytest.mark.parametrize(
    ("model", "price_model_id"),
    [
        ("GPT-5-2025-08-07", "gpt-5"),
        ("gpt-5-20250807", "gpt-5"),
        ("gpt-5-20250807x", None),
        ("gpt-6-sol-2026-09-01", "gpt-6-sol"),
        ("gpt-6-sol-20260901", "gpt-6-sol"),
        ("gpt-6-sol-mini", None),
        ("openai/gpt-5", None),
        ("ft:gpt-4.1-mini-2025-04-14:a::b", "ft:gpt-4.1-mini"),
        ("ft:gpt-4.1-2025-04-14:a::b", "ft:gpt-4.1"),
        ("gpt-4o-audio-preview-2024-10-01", "gpt-4o-audio-preview-2024-10-01"),
        ("gpt-4o-audio-preview-2025-06-03", "gpt-4o-audio-preview"),
    ],
)
def test_which_prices_a_name_stands_for(
    chat: DuckDBPyConnection, model: str, price_model_id: str | None
) -> None:
    add(chat, model, 1000, 100)
    assert cost(chat)["price_model_id"] == price_model_id


OWN = """
[[multiplier]]
source = "eu"
factor = 1.1
from = 2026-02-01
until = 2026-03-01
reason = "data residency"

[[multiplier]]
source = "eu"
factor = 0.875001
from = 2026-03-01
reason = "negotiated"

[[batch]]
source = "nightly"
until = 2026-04-01
reason = "all of it runs in a batch"

[[batch]]
metadata = { job = "batch" }
model = "gpt-5"
reason = "the job says so"
"""


@pytest.fixture
def own() -> Iterator[DuckDBPyConnection]:
    with warehouse() as connection:
        prices.load(connection, price_overrides.parsed(OWN, "own.toml"))
        models.create_views(connection)
        yield connection


@pytest.mark.parametrize(
    ("source", "day", "multiplier"),
    [
        ("eu", "2026-01-31", "1"),
        ("eu", "2026-02-01", "1.1"),
        ("eu", "2026-02-28", "1.1"),
        ("eu", "2026-03-01", "0.875001"),
        ("default", "2026-02-01", "1"),
    ],
)
def test_a_source_has_its_multiplier(own: DuckDBPyConnection, source: str, day: str, multiplier: str) -> None:
    add(
        own,
        "gpt-5",
        1000,
        100,
        source=source,
        created_at=at(f"{day} 00:00"),
        cached_tokens=999,
        reasoning_tokens=33,
    )
    found = cost(own)
    assert found["multiplier"] == Decimal(multiplier)
    assert found["cost_usd"] == Decimal("0.001126125") * Decimal(multiplier)
    assert found["reasoning_usd"] == Decimal("0.00033") * Decimal(multiplier)
    assert run_checks(own)[0].failing_rows == 0


@pytest.mark.parametrize(
    ("source", "day", "model", "tier", "job", "expected"),
    [
        ("nightly", "2026-03-31", "gpt-5", None, None, "batch"),
        ("nightly", "2026-04-01", "gpt-5", None, None, "standard"),
        ("nightly", "2026-03-31", "gpt-5", "default", "batch", "batch"),
        ("nightly", "2026-03-31", "gpt-5", "flex", None, "flex"),
        ("default", "2026-11-01", "gpt-5", None, "batch", "batch"),
        ("default", "2026-11-01", "gpt-5", None, "other", "standard"),
        ("default", "2026-11-01", "gpt-4o", None, "batch", "standard"),
        ("default", None, "gpt-5", None, "batch", "batch"),
        ("default", None, "gpt-5", None, "other", "standard"),
    ],
)
def test_a_batch_is_what_a_rule_says(
    own: DuckDBPyConnection,
    source: str,
    day: str | None,
    model: str,
    tier: str | None,
    job: str | None,
    expected: str,
) -> None:
    add(own, model, 1000, 0, source=source, tier=tier, created_at=day and at(f"{day} 12:00"))
    insert(own, "metadata", {"completion_id": "a", "created_date": day, "key": "job", "value": job})
    assert cost(own)["price_tier"] == expected
    assert len(rows(own, "select 1 from marts.completion_costs")) == 1


PRICES: dict[str, list[Row]] = {
    "model_price_rules": [
        {"rule_no": 1, "kind": "equals", "pattern": "m", "price_model_id": "m"},
        {"rule_no": 2, "kind": "starts_with", "pattern": "n", "price_model_id": "n"},
    ],
    "model_prices": [
        {
            "price_no": 1,
            "price_model_id": "m",
            "tier": "standard",
            "input": Decimal("0.5"),
            "cached_input": Decimal("0.25"),
            "output": Decimal(2),
            "price_basis": "listed",
        },
        {
            "price_no": 2,
            "price_model_id": "m",
            "tier": "flex",
            "input": Decimal("0.25"),
            "output": Decimal(1),
            "price_basis": "tier_backdated",
        },
        {
            "price_no": 3,
            "price_model_id": "n",
            "tier": "standard",
            "input": Decimal(1),
            "cache_write": Decimal("1.25"),
            "output": Decimal(4),
            "price_basis": "override",
        },
    ],
}


def spent(
    id: str, model: str, prompt: int, completion: int, tier: str | None = None, **more: int
) -> tuple[Row, Row]:
    completion_row = {"completion_id": id, "model": model, "created_at": NOON, "service_tier": tier}
    return completion_row, {
        "completion_id": id,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        **more,
    }


SPENT = [
    spent("1", "m", 10, 1, cached_tokens=4),
    spent("2", "m", 10, 1),
    spent("3", "m", 8, 2, tier="flex", cached_tokens=0),
    spent("4", "n-1", 3, 1),
    spent("5", "x", 100, 10),
    spent("6", "m", 1, 1, tier="scale"),
]
METADATA: list[Row] = [
    {"completion_id": "1", "key": "team", "value": "a"},
    {"completion_id": "3", "key": "team", "value": "a"},
    {"completion_id": "4", "key": "team", "value": "b"},
    {"completion_id": "2", "key": "env", "value": "prod"},
    {"completion_id": "6", "key": "team"},
]


@pytest.fixture(scope="module", params=["UTC", "America/Los_Angeles"])
def given(request: pytest.FixtureRequest) -> Iterator[DuckDBPyConnection]:
    with warehouse(
        completions=[completion for completion, _ in SPENT],
        usage=[usage for _, usage in SPENT],
        metadata=METADATA,
        **PRICES,
    ) as connection:
        connection.execute(f"set TimeZone = '{request.param}'")
        models.create_views(connection)
        yield connection


def test_completions_wide_says_what_each_cost(given: DuckDBPyConnection) -> None:
    names = ("completion_id", "cost_usd", "price_basis", "usage_basis", "unpriced_reason")
    assert rows(given, f"select {', '.join(names)} from marts.completions_wide order by completion_id") == [
        dict(zip(names, row, strict=True))
        for row in (
            ("1", 6, "listed", "full", None),
            ("2", 7, "listed", "no_details", None),
            ("3", 4, "tier_backdated", "full", None),
            ("4", 7, "override", "no_details_unbounded", None),
            ("5", None, None, None, "unknown_model"),
            ("6", None, None, None, "no_price_for_tier"),
        )
    ]


SUMS = (
    "completions",
    "prompt_tokens",
    "cost_usd",
    "upper_bound_cost_usd",
    "unbounded_cost_usd",
    "tier_backdated_cost_usd",
    "override_cost_usd",
    "unpriced_completions",
)


def test_daily_usage_adds_up_what_each_sum_rests_on(given: DuckDBPyConnection) -> None:
    names = ("model", "service_tier", *SUMS)
    found = rows(given, f"select {', '.join(names)} from marts.daily_usage order by model, service_tier")
    assert found == [
        dict(zip(names, row, strict=True))
        for row in (
            ("m", "flex", 1, 8, 4, 0, 0, 4, 0, 0),
            ("m", "scale", 1, 1, None, None, None, None, None, 1),
            ("m", None, 2, 20, 13, 7, 0, 0, 0, 0),
            ("n-1", None, 1, 3, 7, 0, 7, 0, 7, 0),
            ("x", None, 1, 100, None, None, None, None, None, 1),
        )
    ]


def test_metadata_usage_adds_up_to_the_whole_under_each_key(given: DuckDBPyConnection) -> None:
    names = ("metadata_key", "model", "metadata_value", "is_missing", *SUMS)
    order = "metadata_key, model, is_missing, metadata_value nulls last"
    assert rows(given, f"select {', '.join(names)} from marts.metadata_usage order by {order}") == [
        dict(zip(names, row, strict=True))
        for row in (
            ("env", "m", "prod", False, 1, 10, 7, 7, 0, 0, 0, 0),
            ("env", "m", None, True, 3, 19, 10, 0, 0, 4, 0, 1),
            ("env", "n-1", None, True, 1, 3, 7, 0, 7, 0, 7, 0),
            ("env", "x", None, True, 1, 100, None, None, None, None, None, 1),
            ("team", "m", "a", False, 2, 18, 10, 0, 0, 4, 0, 0),
            ("team", "m", None, False, 1, 1, None, None, None, None, None, 1),
            ("team", "m", None, True, 1, 10, 7, 7, 0, 0, 0, 0),
            ("team", "n-1", "b", False, 1, 3, 7, 0, 7, 0, 7, 0),
            ("team", "x", None, True, 1, 100, None, None, None, None, None, 1),
        )
    ]
    whole = rows(given, "select sum(completions) as n, sum(cost_usd) as usd from marts.daily_usage")
    by_key = (
        "select sum(completions) as n, sum(cost_usd) as usd from marts.metadata_usage group by metadata_key"
    )
    assert rows(given, by_key) == whole * 2 == [{"n": 6, "usd": 24}] * 2


def test_unpriced_models(given: DuckDBPyConnection) -> None:
    day = date(2026, 11, 1)
    rollup.refresh(given)
    assert rows(given, "select * from marts.unpriced_models order by model") == [
        {
            "model": model,
            "service_tier": tier,
            "unpriced_reason": reason,
            "completions": 1,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "first_date": day,
            "last_date": day,
            "completion_id": id,
        }
        for model, tier, reason, prompt, completion, id in (
            ("m", "scale", "no_price_for_tier", 1, 1, "6"),
            ("x", None, "unknown_model", 100, 10, "5"),
        )
    ]


def test_headers_are_true_and_checks_silent_of_what_has_a_price(given: DuckDBPyConnection) -> None:
    assert models.header_problems(given) == []
    money = [check for check in run_checks(given) if check.name.startswith(("price_", "cost_"))]
    assert [(check.name, check.failing_rows) for check in money] == [
        ("cost_parts", 0),
        ("price_fan_out", 0),
        ("price_overlaps", 0),
    ]


def test_other_prices_are_compared_on_a_warehouse_that_may_only_be_read(tmp_path: Path) -> None:
    path = tmp_path / "published.duckdb"
    with warehouse() as source:
        prices.load(source)
        for id, model in enumerate(("gpt-5", "gpt-5", "acme", "gpt-4o", "llama")):
            add(source, model, 1000, 0, id=str(id))
        source.execute(f"attach '{path}' as published")
        source.execute("copy from database memory to published")
        source.execute("detach published")
    new = prices.price_set(
        price_overrides.parsed(
            """
            [[model]]
            id = "gpt-5"
            source = "test"
            rates = [{ input = 1 }]
            [[model]]
            id = "acme"
            match = "acme"
            source = "test"
            rates = [{ input = 3, output = 4 }]
            """,
            "test",
        )
    )
    with duckdb.connect(str(path), read_only=True) as published:
        assert diff(published, prices.stored(published)) == []
        assert diff(published, new) == [
            PriceChange("acme", 1, None, Decimal("0.003"), 1, 0),
            PriceChange("gpt-5", 2, Decimal("0.0025"), Decimal("0.002"), 0, 0),
        ]
        assert [change.difference_usd for change in diff(published, new)] == [
            Decimal("0.003"),
            Decimal("-0.0005"),
        ]
