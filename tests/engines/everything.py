"""An account with everything: the demo account really synced, bill included, and rows planted for each rule of the views."""

from datetime import timedelta
from pathlib import Path

import duckdb

from given import Row, at, insert
from stored_completions import models
from stored_completions.config import settings
from stored_completions.reports import rollup
from stored_completions.sandbox import Account, Sandbox
from stored_completions.sandbox.bill import PROJECT
from stored_completions.sandbox.generate import UNTIL
from stored_completions.sync import sync
from stored_completions.tables import LOAD_ID

NAME = "everything.duckdb"
VAST = 2**61
"""Whole sums of it still fit into 64 bits: DuckDB 2.0 now and then sums what does not without room for more."""
NOON = at("2026-11-10 12:00")
MINI = "gpt-4o-mini-2024-07-18"
AUDIO = "gpt-4o-audio-preview"


def make(folder: Path, completions: int = 500) -> Path:
    """A DuckDB file whose views have something to say about every case that they tell apart."""
    published = folder / "stored_completions.duckdb"
    with Sandbox(Account.generate(completions, until=UNTIL), now=UNTIL + 60) as sandbox:
        account = {"api_key": "sk-sandbox", "base_url": sandbox.base_url}
        bill = {"billing": True, "admin_key": "sk-admin-sandbox", "billing_project": PROJECT}
        sync(settings(account | bill, {}, None), published)
    path = folder / NAME
    with duckdb.connect(path, config={"storage_compatibility_version": "v1.4.0"}) as connection:
        connection.execute(f"attach '{published}' as synced (read_only)")
        connection.execute(f"copy from database synced to {path.stem}")
        _plant(connection)
        models.create_views(connection)
        rollup.refresh(connection)
    return path


def _plant(connection: duckdb.DuckDBPyConnection) -> None:
    for number, (about, counters) in enumerate(_USED):
        _add(connection, f"planted{number:02}", about, counters)
    for table, rows in _GIVEN.items():
        insert(connection, table, *rows)


def _add(connection: duckdb.DuckDBPyConnection, id_: str, about: Row, counters: Row | None) -> None:
    completion = {"model": MINI, "source": "default", "created_at": NOON} | about
    created_at = completion["created_at"]
    key = {"completion_id": id_, "created_date": created_at and created_at.date(), LOAD_ID: "planted"}
    insert(connection, "completions", key | completion)
    if counters is not None:
        insert(connection, "usage", key | counters)


def _totals(prompt: int | None, completion: int | None, **details: int) -> Row:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **details}


_USED: list[tuple[Row, Row | None]] = [
    # times, models and tiers
    ({"created_at": None}, _totals(10, 3)),
    ({"created_at": at("2023-01-01 00:00")}, _totals(10, 3)),
    ({"created_at": at("2026-11-10 23:59"), "deleted_at": NOON}, _totals(10, 3)),
    ({"model": None}, _totals(10, 3)),
    ({"model": "nobody's"}, _totals(10, 3)),
    ({"model": "GPT-4O-20240806"}, _totals(10, 3)),
    ({"model": "omni-moderation-latest"}, _totals(10, 3)),
    *(
        ({"model": "gpt-5-2025-08-07", "service_tier": tier}, _totals(1000, 7, cached_tokens=3))
        for tier in ("auto", "default", "flex", "priority", "fast", "scale")
    ),
    # counters
    ({}, None),
    ({}, _totals(None, 3)),
    ({}, _totals(VAST, VAST, total_tokens=VAST)),
    ({}, _totals(VAST, 0, total_tokens=VAST, cached_tokens=VAST)),
    ({}, _totals(5, 5, cached_tokens=6)),
    ({}, _totals(5, -5)),
    ({}, _totals(1_000_003, 77, cached_tokens=333_333, cache_write_tokens=1)),
    ({"model": "gpt-5.6-luna"}, _totals(1_000_003, 77, cached_tokens=333_333, cache_write_tokens=1)),
    ({"model": "gpt-5.6-luna"}, _totals(272_000, 1)),
    ({"model": "gpt-5.6-luna"}, _totals(272_001, 1)),
    ({"model": AUDIO}, _totals(100, 100, prompt_audio_tokens=50, completion_audio_tokens=99)),
    ({"model": AUDIO}, _totals(100, 100)),
    ({}, _totals(100, 100, prompt_audio_tokens=50)),
    # multipliers and batches
    ({"source": "discounted"}, _totals(7, 3)),
    ({"source": "discounted", "created_at": NOON - timedelta(days=400)}, _totals(7, 3)),
    ({"source": "batches"}, _totals(7, 3)),
    ({"source": "batches", "created_at": NOON - timedelta(days=400)}, _totals(7, 3)),
]

_KEY: Row = {LOAD_ID: "planted", "created_date": NOON.date()}


def _choice(id_: str, index: int, **rest: object) -> Row:
    return _KEY | {"completion_id": id_, "choice_index": index, "refusal_sent": False} | rest


def _pair(id_: str, key: str, value: str | None) -> Row:
    return _KEY | {"completion_id": id_, "key": key, "value": value}


def _billed(date: str, group: str, **rest: object) -> Row:
    usage = {"source": "default", "usage_date": date, "group_id": group, "project_id": PROJECT, "model": MINI}
    return usage | {"num_model_requests": 7, "output_tokens": 5} | rest


_GIVEN: dict[str, list[Row]] = {
    "choices": [
        _choice("planted01", 0, finish_reason="stop", refusal="", refusal_sent=True),
        _choice("planted02", 0, finish_reason="stop", refusal="no", refusal_sent=True),
        _choice("planted02", 1, finish_reason=None),
        _choice("planted02", 7, finish_reason="length", function_call_name="f"),
        _choice("planted03", 2, finish_reason="stop"),
        _choice("planted04", 0, finish_reason="stop", function_call_name="", function_call_arguments=""),
        _choice("planted05", 0, finish_reason="stop", function_call_name="f", function_call_arguments="{}"),
        _choice("nobody", 0, finish_reason="stop"),
    ],
    "tool_calls": [
        _KEY | {"completion_id": "planted02", "choice_index": 1, "tool_call_index": index} for index in (0, 1)
    ],
    "metadata": [
        _pair("planted00", "team", "Käse 'quoted' \\ \n"),
        _pair("planted01", "team", None),
        _pair("planted02", "team", ""),
        _pair("planted02", "only here", "x"),
        _pair("planted27", "run", "batch"),
        _pair("nobody", "team", "lost"),
    ],
    "price_multipliers": [
        {"source": "discounted", "valid_from": "2026-01-01", "multiplier": "0.850000"},
        {"source": "discounted", "valid_to": "2026-01-01", "multiplier": "1.100001"},
    ],
    "batch_rules": [
        {"rule_no": 0, "source": "batches", "valid_from": "2026-01-01"},
        {"rule_no": 1, "metadata_key": "run", "metadata_value": "batch"},
    ],
    "organization_usage": [
        _billed("2026-11-10", "thirds", input_tokens=3_000_000_007, input_cached_tokens=1_000_000_001),
        _billed(
            "2026-11-09",
            "sevenths",
            input_tokens=7,
            input_cached_tokens=3,
            input_cache_write_tokens=2,
            batch=True,
        ),
        _billed("2026-11-10", "batch", input_tokens=11, input_cached_tokens=3, batch=True),
        _billed("2026-11-08", "nobody's", input_tokens=9, project_id=None, price_tier="incentivized"),
        _billed("2026-11-07", "too many", input_tokens=9, input_cached_tokens=10, model="m"),
    ],
    "organization_bills": [{"source": "discounted", "bill_source": "default"}],
}
