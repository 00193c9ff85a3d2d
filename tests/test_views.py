"""Given rows of schema chat, the whole rows of every view, whatever the session's time zone.

No prices are given here, so nothing has a cost; those are in test_costs.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from given import Row, at, rows, warehouse
from stored_completions import models

LARGEST = 2**63 - 1
COUNTERS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "prompt_audio_tokens",
    "prompt_text_tokens",
    "prompt_image_tokens",
    "reasoning_tokens",
    "completion_audio_tokens",
    "completion_text_tokens",
    "accepted_prediction_tokens",
    "rejected_prediction_tokens",
)
NO_COUNTERS = dict.fromkeys(COUNTERS)

COMPLETIONS: list[Row] = [
    {
        "completion_id": "full",
        "created_at": at("2025-03-01 23:30"),
        "model": "gpt-4o",
        "service_tier": "default",
        "request_id": "req_1",
        "input_user": "ada",
        "metadata": '{"team":"a"}',
    },
    {
        "completion_id": "totals",
        "created_at": at("2025-03-01 00:10"),
        "model": "gpt-4o",
        "service_tier": "default",
    },
    {
        "completion_id": "deleted",
        "created_at": at("2025-03-02 00:00"),
        "model": "gpt-4o",
        "deleted_at": at("2025-03-09 12:00"),
    },
    {"completion_id": "bare"},
    {"completion_id": "most", "created_at": at("2025-03-02 23:59"), "model": "o3", "service_tier": "flex"},
    {
        "completion_id": "most too",
        "created_at": at("2025-03-02 08:00"),
        "model": "o3",
        "service_tier": "flex",
    },
    {"completion_id": "elsewhere", "created_at": at("2025-03-02 08:00"), "model": "o3", "source": "eu"},
]
CHOICES: list[Row] = [
    {"completion_id": "full", "choice_index": 1, "finish_reason": "length", "function_call_name": "g"},
    {"completion_id": "full", "choice_index": 0, "finish_reason": "tool_calls"},
    {"completion_id": "full", "choice_index": 2, "finish_reason": "tool_calls", "refusal_sent": False},
    {
        "completion_id": "totals",
        "choice_index": 0,
        "finish_reason": "stop",
        "refusal_sent": True,
        "refusal": "No.",
    },
    {"completion_id": "deleted", "choice_index": 1, "finish_reason": "stop", "refusal_sent": True},
    {"completion_id": "most", "choice_index": 0, "refusal_sent": True, "refusal": ""},
    {
        "completion_id": "most too",
        "choice_index": 0,
        "function_call_name": "f",
        "function_call_arguments": "{}",
    },
    {
        "completion_id": "elsewhere",
        "choice_index": 0,
        "function_call_name": "",
        "function_call_arguments": "",
    },
]
TOOL_CALLS: list[Row] = [
    {"completion_id": "full", "choice_index": choice_index, "tool_call_index": tool_call_index}
    for choice_index, tool_call_index in ((0, 0), (0, 1), (2, 0))
]
USAGE: list[Row] = [
    {"completion_id": "full", **{name: 2**at for at, name in enumerate(reversed(COUNTERS))}},
    {"completion_id": "totals", "prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 99},
    {"completion_id": "deleted", "prompt_tokens": 10, "cached_tokens": 4},
    {"completion_id": "most", **dict.fromkeys(COUNTERS, LARGEST)},
    {"completion_id": "most too", **dict.fromkeys(COUNTERS, LARGEST)},
    {"completion_id": "elsewhere", "extra": '{"prompt_tokens":"12"}'},
]


@pytest.fixture(scope="module", params=["UTC", "America/Los_Angeles"])
def chat(request: pytest.FixtureRequest) -> Iterator[DuckDBPyConnection]:
    with warehouse(
        completions=COMPLETIONS, choices=CHOICES, tool_calls=TOOL_CALLS, usage=USAGE
    ) as connection:
        connection.execute(f"set TimeZone = '{request.param}'")
        models.create_views(connection)
        yield connection


def wide(completion_id: str, **differing: Any) -> Row:
    given = next(row for row in COMPLETIONS if row["completion_id"] == completion_id)
    usage = next((row for row in USAGE if row["completion_id"] == completion_id), {})
    return {
        "completion_id": completion_id,
        "source": given.get("source", "default"),
        "created_at": given.get("created_at"),
        "created_date": given["created_at"].date() if "created_at" in given else None,
        "model": given.get("model"),
        "service_tier": given.get("service_tier"),
        "request_id": given.get("request_id"),
        "input_user": given.get("input_user"),
        "metadata": given.get("metadata"),
        **{name: usage.get(name) for name in COUNTERS},
        "choice_count": 1,
        "tool_call_count": 0,
        "finish_reason": None,
        "cost_usd": None,
        "price_basis": None,
        "usage_basis": None,
        "unpriced_reason": "unknown_model" if "completion_tokens" in usage else "no_usage",
        "deleted_at": given.get("deleted_at"),
        **differing,
    }


def test_completions_wide(chat: DuckDBPyConnection) -> None:
    assert rows(chat, "select * from marts.completions_wide order by completion_id") == [
        wide("bare", choice_count=0),
        wide("deleted"),
        wide("elsewhere"),
        wide("full", choice_count=3, tool_call_count=4, finish_reason="tool_calls"),
        wide("most"),
        wide("most too", tool_call_count=1),
        wide("totals", finish_reason="stop"),
    ]


def test_completions_wide_keeps_the_values_as_they_came(chat: DuckDBPyConnection) -> None:
    assert rows(chat, "select * from marts.completions_wide where completion_id = 'full'") == [
        {
            "completion_id": "full",
            "source": "default",
            "created_at": datetime(2025, 3, 1, 23, 30, tzinfo=UTC),
            "created_date": date(2025, 3, 1),
            "model": "gpt-4o",
            "service_tier": "default",
            "request_id": "req_1",
            "input_user": "ada",
            "metadata": '{"team":"a"}',
            "prompt_tokens": 4096,
            "completion_tokens": 2048,
            "total_tokens": 1024,
            "cached_tokens": 512,
            "cache_write_tokens": 256,
            "prompt_audio_tokens": 128,
            "prompt_text_tokens": 64,
            "prompt_image_tokens": 32,
            "reasoning_tokens": 16,
            "completion_audio_tokens": 8,
            "completion_text_tokens": 4,
            "accepted_prediction_tokens": 2,
            "rejected_prediction_tokens": 1,
            "choice_count": 3,
            "tool_call_count": 4,
            "finish_reason": "tool_calls",
            "cost_usd": None,
            "price_basis": None,
            "usage_basis": None,
            "unpriced_reason": "unknown_model",
            "deleted_at": None,
        }
    ]


def usage_of(day: int | None, source: str, model: str | None, tier: str | None, **sums: Any) -> Row:
    return {
        "created_date": date(2025, 3, day) if day else None,
        "source": source,
        "model": model,
        "service_tier": tier,
        "completions": 1,
        **NO_COUNTERS,
        "cost_usd": None,
        "upper_bound_cost_usd": None,
        "unbounded_cost_usd": None,
        "tier_backdated_cost_usd": None,
        "override_cost_usd": None,
        "unpriced_completions": sums.get("completions", 1),
        "completions_without_usage": 0,
        "completions_without_details": 0,
        "cached_share": None,
        **sums,
    }


def test_daily_usage(chat: DuckDBPyConnection) -> None:
    in_full = {name: 2**at for at, name in enumerate(reversed(COUNTERS))}
    totals = {"prompt_tokens": 4096 + 5, "completion_tokens": 2048 + 7, "total_tokens": 1024 + 99}
    assert rows(chat, "select * from marts.daily_usage order by created_date nulls first, source, model") == [
        usage_of(None, "default", None, None, completions_without_usage=1),
        usage_of(
            1,
            "default",
            "gpt-4o",
            "default",
            completions=2,
            **(in_full | totals),
            completions_without_details=1,
            cached_share=0.125,
        ),
        usage_of(2, "default", "gpt-4o", None, prompt_tokens=10, cached_tokens=4, cached_share=0.4),
        usage_of(
            2,
            "default",
            "o3",
            "flex",
            completions=2,
            **dict.fromkeys(COUNTERS, 2 * LARGEST),
            cached_share=1.0,
        ),
        usage_of(2, "eu", "o3", None, completions_without_usage=1),
    ]


@pytest.mark.parametrize(
    ("prompt_and_cached", "share"),
    [
        ([(0, 0)], None),
        ([(0, 0), (8, 2)], 0.25),
        ([(8, 2), (None, 7), (90, None)], 0.25),
        ([(8, 2), (10, 11)], 0.25),
        ([(10, 11)], None),
    ],
)
def test_a_cached_share_is_that_of_the_completions_that_say(
    prompt_and_cached: list[tuple[int | None, int | None]], share: float | None
) -> None:
    connection = warehouse(
        completions=[{"completion_id": str(at)} for at in range(len(prompt_and_cached))],
        usage=[
            {"completion_id": str(at), "prompt_tokens": prompt, "cached_tokens": cached}
            for at, (prompt, cached) in enumerate(prompt_and_cached)
        ],
    )
    models.create_views(connection)
    assert rows(connection, "select cached_share from marts.daily_usage") == [{"cached_share": share}]


def test_finish_reasons(chat: DuckDBPyConnection) -> None:
    order = "created_date, model, finish_reason nulls first"
    names = ("created_date", "model", "finish_reason", "choices", "share", "refusals", "refusal_known")
    expected = [
        (date(2025, 3, 1), "gpt-4o", "length", 1, 0.25, None, 0),
        (date(2025, 3, 1), "gpt-4o", "stop", 1, 0.25, 1, 1),
        (date(2025, 3, 1), "gpt-4o", "tool_calls", 2, 0.5, None, 0),
        (date(2025, 3, 2), "gpt-4o", "stop", 1, 1.0, 0, 1),
        (date(2025, 3, 2), "o3", None, 3, 1.0, 0, 1),
    ]
    assert rows(chat, f"select * from marts.finish_reasons order by {order}") == [
        dict(zip(names, row, strict=True)) for row in expected
    ]


def test_shares_of_unknown_days_and_models_add_up_too() -> None:
    connection = warehouse(
        completions=[{"completion_id": "a"}],
        choices=[
            {"completion_id": "a", "choice_index": index, "finish_reason": reason}
            for index, reason in enumerate(("stop", "stop", "stop", None))
        ],
    )
    models.create_views(connection)
    assert rows(connection, "select finish_reason, share from marts.finish_reasons order by share") == [
        {"finish_reason": None, "share": 0.25},
        {"finish_reason": "stop", "share": 0.75},
    ]


def test_no_view_loses_or_doubles_a_row(chat: DuckDBPyConnection) -> None:
    assert rows(
        chat,
        """
        select
            (select count(*) from marts.completions_wide) as completions_wide,
            (select sum(completions) from marts.daily_usage) as daily_usage,
            (select sum(choices) from marts.finish_reasons) as finish_reasons,
            (select sum(tool_call_count) from marts.completions_wide) as tool_calls
        """,
    ) == [
        {
            "completions_wide": len(COMPLETIONS),
            "daily_usage": len(COMPLETIONS),
            "finish_reasons": len(CHOICES),
            "tool_calls": len(TOOL_CALLS) + 2,
        }
    ]


def run(run_id: str, source: str, outcome: str, started_at: datetime) -> Row:
    return {"run_id": run_id, "source": source, "outcome": outcome, "started_at": started_at}


@pytest.mark.parametrize("time_zone", ["UTC", "America/Los_Angeles"])
def test_freshness(time_zone: str) -> None:
    now = datetime.now(UTC)
    days_ago = [now - timedelta(days=days, hours=1) for days in range(60)]
    connection = warehouse(
        sources=[
            {
                "source": "default",
                "last_synced_at": now,
                "relisted_at": days_ago[10],
                "listed_from": at("2025-03-02 00:00"),
            },
            {"source": "empty", "covered_from": at("2025-01-01 00:00")},
            {"source": "late"},
            {"source": "narrow"},
        ],
        completions=[
            {"completion_id": "a", "created_at": at("2025-03-01 23:30")},
            {
                "completion_id": "b",
                "created_at": at("2025-03-02 00:30"),
                "deleted_at": at("2025-03-05 00:00"),
            },
            {"completion_id": "c"},
        ],
        sync_runs=[
            run("1", "default", "done", days_ago[20]),
            run("2", "default", "nothing_new", days_ago[10]),
            run("3", "default", "failed", days_ago[5]),
            run("4", "default", "running", days_ago[0]),
            run("5", "late", "done", days_ago[45]),
            run("7", "late", "done", days_ago[50]) | {"filter": None},
            run("8", "default", "done", days_ago[2]) | {"filter": "k"},
            run("9", "narrow", "done", days_ago[3]) | {"filter": "k"},
            run("6", "empty", "stopped", days_ago[1]),
        ],
        publication=[{"generation": "g", "published_at": at("2025-03-03 00:00"), "schema_version": 1}],
    )
    connection.execute(f"set TimeZone = '{time_zone}'")
    models.create_views(connection)
    published = {"last_published_at": at("2025-03-03 00:00")}
    none = {
        "newest_completion_at": None,
        "completions": 0,
        "deleted_completions": 0,
        "expired_completions": 0,
    }
    never = {"relisted_at": None, "listed_from": None}
    assert rows(connection, "select * from marts.freshness order by source") == [
        {
            "source": "default",
            "newest_completion_at": at("2025-03-02 00:30"),
            "completions": 3,
            "deleted_completions": 1,
            "expired_completions": 1,
            "relisted_at": days_ago[10],
            "listed_from": at("2025-03-02 00:00"),
            "covered_from": None,
            "last_synced_at": days_ago[10],
            **published,
            "possible_expiry_at": days_ago[10] + timedelta(days=30),
            "days_to_expiry": 19,
        },
        {
            "source": "empty",
            **none,
            **never,
            "covered_from": at("2025-01-01 00:00"),
            "last_synced_at": None,
            **published,
            "possible_expiry_at": None,
            "days_to_expiry": None,
        },
        {
            "source": "late",
            **none,
            **never,
            "covered_from": None,
            "last_synced_at": days_ago[45],
            **published,
            "possible_expiry_at": days_ago[45] + timedelta(days=30),
            "days_to_expiry": -16,
        },
        {
            "source": "narrow",
            **none,
            **never,
            "covered_from": None,
            "last_synced_at": days_ago[3],
            **published,
            "possible_expiry_at": days_ago[3] + timedelta(days=30),
            "days_to_expiry": 26,
        },
    ]


def test_thirty_days_do_not_shrink_with_the_clock_of_the_session() -> None:
    connection = warehouse(
        sources=[{"source": "default"}], sync_runs=[run("1", "default", "done", at("2025-03-01 12:00"))]
    )
    models.create_views(connection)
    connection.execute("set TimeZone = 'America/Los_Angeles'")
    assert rows(connection, "select possible_expiry_at, last_published_at from marts.freshness") == [
        {"possible_expiry_at": at("2025-03-31 12:00"), "last_published_at": None}
    ]


def test_a_choice_and_a_completion_are_counted_in_whole_numbers(chat: DuckDBPyConnection) -> None:
    types = rows(chat, "describe marts.completions_wide")
    counts = {
        row["column_name"]: row["column_type"] for row in types if row["column_name"].endswith("_count")
    }
    assert counts == {"choice_count": "BIGINT", "tool_call_count": "BIGINT"}


def test_an_empty_account_gives_empty_views() -> None:
    connection = warehouse()
    models.create_views(connection)
    for view in models.models("marts"):
        assert rows(connection, f"select * from {view.relation}") == []
