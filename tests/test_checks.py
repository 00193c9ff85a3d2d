"""Every check is silent on what a sync may leave behind, and loud on a row made to break it."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from duckdb import DuckDBPyConnection
from msgspec import Raw

from given import Row, at, insert, rows, warehouse
from stored_completions import models
from stored_completions.checks import CheckResult, run_check, run_checks
from stored_completions.completions import Rows
from stored_completions.items import item
from stored_completions.pages import Entry
from stored_completions.reports import rollup

DAY = date(2025, 3, 1)
READ = at("2025-03-02 00:00")
METADATA = '{"team": "x", "n":1}'
PRICE: Row = {
    "price_no": 1,
    "price_model_id": "m",
    "tier": "standard",
    "valid_to": date(2025, 3, 2),
    "max_input_tokens": 1,
    "input": Decimal("0.1"),
    "output": Decimal("0.2"),
    "price_basis": "listed",
}
GROUP: Row = {"source": "default", "group_id": "g"}
MULTIPLIER: Row = {
    "source": "default",
    "valid_from": date(2025, 1, 1),
    "valid_to": date(2025, 3, 2),
    "multiplier": Decimal("1.1"),
}


def good() -> DuckDBPyConnection:
    """Rows that are legal, odd as they are: totals that do not add up, choices that start at 3,
    a metadata object that JSON escapes, logprobs of which only a part fits its columns."""
    answers = [(0, None), (3, None), (-1, '{"logprobs":{"content":["?",{}]}}')]
    connection = warehouse(
        sources=[{"source": "default"}],
        completions=[
            {
                "completion_id": "a",
                "created_at": at("2025-03-01 23:30"),
                "metadata": METADATA,
                "model": "m",
                "messages_synced_at": READ,
            },
            {"completion_id": "b", "metadata": '{"t\\u0065am":"x"}'},
            {"completion_id": "c", "extra": '{"metadata$escaped":"..."}'},
            {"completion_id": "d", "created_at": at("1969-12-31 23:59"), "model": "hollow"},
        ],
        choices=[{"completion_id": "a", "choice_index": index, "extra": extra} for index, extra in answers],
        tool_calls=[{"completion_id": "a", "choice_index": 3, "tool_call_index": at} for at in (0, 1)],
        annotations=[{"completion_id": "a", "choice_index": 3, "annotation_index": 0}],
        logprobs=[
            *(token("a", 0, kind, index) for kind in ("content", "refusal") for index in (0, 1)),
            token("a", -1, "content", 1),
        ],
        top_logprobs=[
            *(token("a", 0, "content", index, rank=rank) for index in (0, 1) for rank in (0, 1)),
            token("a", -1, "content", 1, rank=2),
        ],
        usage=[{"completion_id": "a", "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 7}],
        metadata=[
            {"completion_id": "a", "key": "team", "value": "x"},
            {"completion_id": "a", "key": "n"},
            {"completion_id": "b", "key": "team", "value": "x"},
            {"completion_id": "c", "key": "team", "value": "x"},
        ],
        organization_usage=[{"usage_date": DAY} | GROUP],
        organization_costs=[{"cost_date": DAY} | GROUP],
        organization_bills=[{"source": "default"}],
        model_price_rules=[
            {"rule_no": number, "kind": "equals", "pattern": model, "price_model_id": model}
            for number, model in enumerate(("m", "hollow"))
        ],
        model_prices=[
            PRICE,
            {"price_no": 9, "price_model_id": "hollow", "tier": "standard", "input": Decimal("0.1")},
        ],
        price_multipliers=[MULTIPLIER],
        sync_runs=[{"run_id": "1"}],
        quarantine=[{"sha256": "00"}],
        messages=[{"completion_id": "a", "message_index": index} for index in (0, 1)],
        prompts=[{"completion_id": "a", "message_count": 2}],
        attachments=[{"sha256": "11"}],
    )
    models.create_views(connection)
    return connection


def token(completion_id: str, choice_index: int, kind: str, token_index: int, **rest: Any) -> Row:
    return {
        "completion_id": completion_id,
        "choice_index": choice_index,
        "kind": kind,
        "token_index": token_index,
        **rest,
    }


UNDATED: Row = {"completion_id": "a", "choice_index": 3}
CHOICE: Row = UNDATED | {"created_date": DAY}
ORPHAN: Row = {"completion_id": "gone", "choice_index": 0, "created_date": DAY}
MESSAGE: Row = {"completion_id": "a", "created_date": DAY}
TOKEN: Row = {**token("a", 3, "content", 0), "created_date": DAY}


def uneven(view: str, measure: str, expected: int, found: int) -> Row:
    return {"relation": f"marts.{view}", "measure": measure, "expected": expected, "found": found}


def orphan(child_table: str, choice_index: int | None, child_key: str | None) -> Row:
    return {
        "child_table": child_table,
        "completion_id": "gone",
        "choice_index": choice_index,
        "child_key": child_key,
    }


def repeated(table_name: str, key: str, copies: int = 2) -> Row:
    return {"table_name": table_name, "key": key, "copies": copies}


def gap(table_name: str, first_last_positions: tuple[int, int, int], **token: Any) -> Row:
    first, last, positions = first_last_positions
    at = {"completion_id": "a", "choice_index": 3, "kind": None, "token_index": None, **token}
    return {"table_name": table_name, **at, "first_index": first, "last_index": last, "positions": positions}


def misdated(table_name: str, completion_id: str, wrong: date | None, belongs: date | None) -> Row:
    return {
        "table_name": table_name,
        "completion_id": completion_id,
        "wrong_date": wrong,
        "completion_date": belongs,
        "wrong_rows": 1,
    }


def stale(completion_id: str, key: str, metadata: str | None) -> Row:
    return {"completion_id": completion_id, "key": key, "value": None, "metadata": metadata}


def unread(
    completion_id: str, messages: int, message_count: int | None, last_index: int | None, read_at: Any
) -> Row:
    return {
        "completion_id": completion_id,
        "messages": messages,
        "message_count": message_count,
        "last_index": last_index,
        "messages_synced_at": read_at,
    }


def overlap(table_name: str, name: str, tier: str | None, first_row: str, second_row: str) -> Row:
    return {
        "table_name": table_name,
        "name": name,
        "tier": tier,
        "first_row": first_row,
        "second_row": second_row,
    }


def total(key: str | None, measure: str, expected: int, found: int) -> Row:
    relation = "marts.metadata_usage"
    return {
        "relation": relation, "metadata_key": key, "measure": measure, "expected": expected, "found": found
    }  # fmt: skip


def future(table_name: str, key: str, column_name: str) -> Row:
    return {"table_name": table_name, "key": key, "column_name": column_name, "happens_at": LATER}


LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=25)
TWICE: Row = {"completion_id": "a", "cost_rows": 2}
ONE_TOKEN_EACH: Row = {"prompt_tokens": 1, "completion_tokens": 1}
COSTLESS: Row = {
    "completion_id": "d",
    "price_no": 9,
    "cost_usd": None,
    "parts_usd": None,
    "unpriced_reason": None,
}

BREAKS: dict[str, list[tuple[str, Row, Row]]] = {
    "orphaned_children": [
        ("choices", ORPHAN, orphan("choices", 0, None)),
        ("usage", {"completion_id": "gone"}, orphan("usage", None, None)),
        ("metadata", {"completion_id": "gone", "key": "k"}, orphan("metadata", None, "k")),
        ("tool_calls", ORPHAN | {"tool_call_index": 0}, orphan("tool_calls", 0, "0")),
        ("annotations", ORPHAN | {"annotation_index": 0}, orphan("annotations", 0, "0")),
        ("logprobs", TOKEN | ORPHAN, orphan("logprobs", 0, "content/0")),
        ("top_logprobs", TOKEN | ORPHAN | {"rank": 0}, orphan("top_logprobs", 0, "content/0/0")),
        (
            "tool_calls",
            CHOICE | {"choice_index": 1, "tool_call_index": 0},
            orphan("tool_calls", 1, "0") | {"completion_id": "a"},
        ),
    ],
    "duplicate_keys": [
        ("completions", {"completion_id": "b", "source": "default"}, repeated("completions", "b")),
        ("choices", CHOICE, repeated("choices", "a/3")),
        ("tool_calls", CHOICE | {"tool_call_index": 1}, repeated("tool_calls", "a/3/1")),
        ("annotations", CHOICE | {"annotation_index": 0}, repeated("annotations", "a/3/0")),
        ("logprobs", TOKEN | {"choice_index": 0}, repeated("logprobs", "a/0/content/0")),
        ("top_logprobs", TOKEN | {"choice_index": 0, "rank": 1}, repeated("top_logprobs", "a/0/content/0/1")),
        ("usage", {"completion_id": "a", "created_date": DAY}, repeated("usage", "a")),
        ("metadata", {"completion_id": "a", "key": "n", "created_date": DAY}, repeated("metadata", "a/n")),
        ("quarantine", {"sha256": "00"}, repeated("quarantine", "00")),
        ("sync_runs", {"run_id": "1"}, repeated("sync_runs", "1")),
        ("sources", {"source": "default"}, repeated("sources", "default")),
        (
            "organization_usage",
            {"usage_date": DAY} | GROUP,
            repeated("organization_usage", "default/2025-03-01/g"),
        ),
        (
            "organization_costs",
            {"cost_date": DAY} | GROUP,
            repeated("organization_costs", "default/2025-03-01/g"),
        ),
        ("organization_bills", {"source": "default"}, repeated("organization_bills", "default")),
        ("messages", MESSAGE | {"message_index": 1}, repeated("messages", "a/1")),
        ("prompts", MESSAGE | {"message_count": 2}, repeated("prompts", "a")),
        ("attachments", {"sha256": "11"}, repeated("attachments", "11")),
    ],
    "messages_read": [
        ("messages", MESSAGE | {"message_index": 2}, unread("a", 3, 2, 2, READ)),
        ("messages", {"completion_id": "b", "message_index": 0}, unread("b", 1, None, 0, None)),
        ("messages", {"completion_id": "gone", "message_index": 0}, unread("gone", 1, None, 0, None)),
        ("prompts", {"completion_id": "b", "message_count": 1}, unread("b", 0, 1, None, None)),
    ],
    "index_gaps": [
        ("tool_calls", CHOICE | {"tool_call_index": 3}, gap("tool_calls", (0, 3, 3))),
        ("tool_calls", CHOICE | {"tool_call_index": -1}, gap("tool_calls", (-1, 1, 3))),
        ("annotations", CHOICE | {"annotation_index": 2}, gap("annotations", (0, 2, 2))),
        ("logprobs", TOKEN | {"token_index": 1}, gap("logprobs", (1, 1, 1), kind="content")),
        ("top_logprobs", TOKEN | {"rank": 1}, gap("top_logprobs", (1, 1, 1), kind="content", token_index=0)),
    ],
    "created_dates": [
        (
            "completions",
            {
                "completion_id": "e",
                "source": "default",
                "created_at": at("2025-03-01 23:30"),
                "created_date": date(2025, 3, 2),
            },
            misdated("completions", "e", date(2025, 3, 2), DAY),
        ),
        ("usage", {"completion_id": "d"}, misdated("usage", "d", None, date(1969, 12, 31))),
        (
            "choices",
            {"completion_id": "b", "choice_index": 0, "created_date": DAY},
            misdated("choices", "b", DAY, None),
        ),
        (
            "logprobs",
            TOKEN | {"created_date": date(2025, 3, 2)},
            misdated("logprobs", "a", date(2025, 3, 2), DAY),
        ),
        ("tool_calls", UNDATED | {"tool_call_index": 2}, misdated("tool_calls", "a", None, DAY)),
        ("annotations", UNDATED | {"annotation_index": 1}, misdated("annotations", "a", None, DAY)),
        ("top_logprobs", token("a", 3, "content", 0, rank=0), misdated("top_logprobs", "a", None, DAY)),
        ("metadata", {"completion_id": "a", "key": "x"}, misdated("metadata", "a", None, DAY)),
        ("messages", {"completion_id": "a", "message_index": 2}, misdated("messages", "a", None, DAY)),
        ("prompts", {"completion_id": "a", "message_count": 2}, misdated("prompts", "a", None, DAY)),
    ],
    "stale_metadata": [
        ("metadata", {"completion_id": "a", "key": "tea", "created_date": DAY}, stale("a", "tea", METADATA)),
        ("metadata", {"completion_id": "d", "key": "team"}, stale("d", "team", None)),
    ],
    "unknown_sources": [
        (
            "completions",
            {"completion_id": "e", "source": "eu"},
            {"source": "eu", "completions": 1, "completion_id": "e"},
        ),
        ("completions", {"completion_id": "e"}, {"source": None, "completions": 1, "completion_id": "e"}),
    ],
    "price_fan_out": [
        ("model_prices", PRICE | {"price_no": 2}, TWICE),
        ("price_multipliers", MULTIPLIER | {"valid_to": None}, TWICE),
        ("usage", {"completion_id": "a", "created_date": DAY}, TWICE),
    ],
    "price_overlaps": [
        ("model_prices", PRICE | {"price_no": 2}, overlap("model_prices", "m", "standard", "1", "2")),
        (
            "model_prices",
            PRICE | {"price_no": 2, "valid_from": DAY, "valid_to": None, "max_input_tokens": None},
            overlap("model_prices", "m", "standard", "1", "2"),
        ),
        (
            "price_multipliers",
            {"source": "default", "valid_from": DAY, "multiplier": 2},
            overlap("price_multipliers", "default", None, "2025-01-01", "2025-03-01"),
        ),
    ],
    "totals": [
        ("metadata", {"completion_id": "b", "key": "team"}, total("team", "completions", 4, 5)),
    ],
    "future_times": [
        (
            "completions",
            {"completion_id": "e", "source": "default", column: LATER},
            future("completions", "e", column),
        )
        for column in ("first_seen_at", "last_seen_at", "deleted_at")
    ]
    + [
        (
            "completions",
            {"completion_id": "e", "source": "default", "created_at": LATER, "created_date": LATER.date()},
            future("completions", "e", "created_at"),
        ),
        ("quarantine", {"sha256": "01", "seen_at": LATER}, future("quarantine", "01", "seen_at")),
        ("sync_runs", {"run_id": "2", "started_at": LATER}, future("sync_runs", "2", "started_at")),
        ("sync_runs", {"run_id": "2", "finished_at": LATER}, future("sync_runs", "2", "finished_at")),
    ],
    "answer_totals": [
        (
            "tool_calls",
            CHOICE | {"choice_index": 9, "tool_call_index": 0},
            uneven("choices_wide", "tool_calls", 3, 2),
        ),
    ],
    "thread_totals": [
        (
            "prompts",
            {"completion_id": "gone", "created_date": DAY, "message_count": 1},
            uneven("turns", "turns", 2, 1),
        ),
    ],
    "cost_parts": [
        ("usage", {"completion_id": "d", "created_date": date(1969, 12, 31)} | ONE_TOKEN_EACH, COSTLESS),
    ],
}


@pytest.fixture(scope="module")
def published() -> Iterator[DuckDBPyConnection]:
    """Good rows, as a sync publishes them."""
    with good() as connection:
        rollup.refresh(connection)
        yield connection


@pytest.fixture
def spoiled(published: DuckDBPyConnection) -> Iterator[DuckDBPyConnection]:
    """The same, to add a row to that is taken back afterwards."""
    published.execute("begin")
    yield published
    published.execute("rollback")


EVERY_BREAK = [(check, *broken) for check, breaks in BREAKS.items() for broken in breaks]


@pytest.mark.parametrize("time_zone", ["America/Los_Angeles", "UTC"])
def test_good_rows_pass_every_check(published: DuckDBPyConnection, time_zone: str) -> None:
    published.execute(f"set TimeZone = '{time_zone}'")
    results = run_checks(published)
    assert [(result.name, result.failing_rows, result.sample) for result in results] == [
        (name, 0, ()) for name in sorted(BREAKS)
    ]


@pytest.mark.parametrize(("check", "table", "row", "failing"), EVERY_BREAK)
def test_a_check_shows_the_row_that_breaks_it(
    spoiled: DuckDBPyConnection, check: str, table: str, row: Row, failing: Row
) -> None:
    insert(spoiled, table, row)
    result = result_of(spoiled, check)
    assert (result.failing_rows, result.sample) == (1, (failing,))


def test_a_completion_that_is_there_twice_shows_in_each_view() -> None:
    connection = good()
    connection.execute("insert into chat.completions from chat.completions where completion_id = 'a'")
    rollup.refresh(connection)
    sums = [
        (row["relation"], row["measure"])
        for check in ("answer_totals", "thread_totals")
        for row in rows(connection, next(each.sql for each in models.models("checks") if each.name == check))
    ]
    assert sums == [
        ("marts.choices_wide", "choices"),
        ("marts.choices_wide", "tool_calls"),
        ("marts.tool_calls_wide", "tool_calls"),
        ("marts.tool_usage", "tool_calls"),
        ("marts.finish_reasons", "choices"),
        ("marts.answer_rates", "choices"),
        ("marts.choice_confidence", "tokens"),
        ("marts.turns", "turns"),
    ]


def test_all_failing_rows_are_counted_and_a_few_are_shown() -> None:
    connection = good()
    insert(connection, "usage", *({"completion_id": f"gone {at}"} for at in range(9)))
    result = result_of(connection, "orphaned_children")
    assert (result.failing_rows, len(result.sample)) == (9, 5)
    assert result.description.startswith("Every row belongs to a row above it")


def test_a_check_leaves_the_connection_ready_for_the_next_query() -> None:
    connection = good()
    run_checks(connection)
    assert connection.sql("select 1").fetchall() == [(1,)]


def test_no_check_takes_real_traffic_for_a_fault(corpus: Path) -> None:
    """Recorded completions of dozens of servers, whose totals, indexes and metadata are as odd as they come."""
    connection = warehouse(sources=[{"source": "default"}])
    models.create_views(connection)
    for table, loaded in recorded(corpus).tables("load"):
        connection.register("loaded", loaded)
        connection.execute(f"insert into chat.{table.name} from loaded")
    assert {result.name: result.sample for result in run_checks(connection)} == dict.fromkeys(BREAKS, ())


def recorded(corpus: Path) -> Rows:
    loaded = Rows("default", now=0)
    for name in ("recorded.ndjson.gz", "assembled_logprobs.ndjson.gz"):
        with gzip.open(corpus / name, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                body = json.loads(line)["body"] | {"id": f"{name}-{number}"}
                listed = item(Entry(Raw(json.dumps(body).encode())))
                assert listed
                loaded.add(listed)
    return loaded


def result_of(connection: DuckDBPyConnection, check: str) -> CheckResult:
    return run_check(connection, next(model for model in models.models("checks") if model.name == check))
