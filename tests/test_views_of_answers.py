"""Given answers, tool calls and tokens: the whole rows of their views, worked out by hand, in any time zone."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from math import log
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from given import Row, at, rows, warehouse
from stored_completions import models

DAY = date(2025, 3, 1)
LATE = at("2025-03-01 23:30")
OUTSIDE = -9999.0
UNDATED = "undated"

COMPLETIONS: list[Row] = [
    {
        "completion_id": "a",
        "created_at": LATE,
        "model": "gpt-4o",
        "service_tier": "default",
        "request_id": "req_1",
        "input_user": "ada",
        "metadata": '{"team":"x"}',
        "deleted_at": at("2025-03-09 12:00"),
    },
    {"completion_id": "b", "created_at": at("2025-03-01 00:10"), "model": "gpt-4o"},
    {"completion_id": UNDATED, "model": "o3", "source": "eu", "service_tier": "flex"},
    {"completion_id": "silent", "created_at": LATE, "model": "gpt-4o"},
]
CHOICES: list[Row] = [
    {"completion_id": "a", "choice_index": 0, "finish_reason": "stop", "content": "Grüße", "refusal_sent": True},
    {"completion_id": "a", "choice_index": 2, "finish_reason": "length", "content": "", "refusal_sent": True, "refusal": "No."},
    {
        "completion_id": "b",
        "choice_index": 0,
        "finish_reason": "function_call",
        "refusal_sent": False,
        "function_call_name": "find",
        "function_call_arguments": "{",
        "function_call_fit": False,
        "function_call_problem": "not_json",
    },
    {"completion_id": "b", "choice_index": 1, "finish_reason": "content_filter", "refusal_sent": False},
    {"completion_id": UNDATED, "choice_index": 0, "refusal_sent": True, "refusal": "", "audio_transcript": "Hi"},
]  # fmt: skip


def call(completion_id: str, choice: int, index: int, name: str, arguments: str, **judged: Any) -> Row:
    return {
        "completion_id": completion_id,
        "choice_index": choice,
        "tool_call_index": index,
        "tool_call_id": f"call_{index}",
        "type": "function",
        "name": name,
        "arguments": arguments,
        "arguments_valid": True,
        **judged,
    }


def token(
    completion_id: str, index: int, text: str, logprob: float, kind: str = "content", **more: Any
) -> Row:
    key = {"completion_id": completion_id, "choice_index": 0, "kind": kind, "token_index": index}
    return key | {"token": text, "logprob": logprob} | more


TOOL_CALLS: list[Row] = [
    call("a", 0, 0, "find", "{}", arguments_fit=True),
    call("a", 0, 1, "find", "{}", arguments_fit=True),
    call("a", 0, 2, "find", "{ }", arguments_fit=False, arguments_problem="required"),
    call("a", 2, 0, "find", "{}", arguments_fit=True),
    call("a", 2, 1, "sql", "select", type="custom", arguments_valid=None),
    call(
        UNDATED, 0, 0, "find", "no", arguments_valid=False, arguments_fit=False, arguments_problem="not_json"
    ),
    {"completion_id": UNDATED, "choice_index": 0, "tool_call_index": 1},
    {"completion_id": UNDATED, "choice_index": 0, "tool_call_index": 2},
]
LOGPROBS: list[Row] = [
    token("a", 0, "sure", 0.0),
    token("a", 1, "likeliest", log(0.5)),
    token("a", 2, "second", log(0.25)),
    token("a", 3, "unlisted", log(0.125)),
    token("a", 4, "outside", OUTSIDE),
    token("a", 5, "alone", log(0.125)),
    token("a", 6, "above", 1e-7),
    token("a", 0, "No", log(0.5), "refusal"),
    token(UNDATED, 0, "x", OUTSIDE),
    token(UNDATED, 1, "y", log(0.25)),
]
TOP_LOGPROBS: list[Row] = [
    {**token("a", index, text, logprob), "rank": rank}
    for index, listed in {
        0: [("sure", 0.0)],
        1: [("likeliest", log(0.5)), ("b", log(0.25)), ("c", OUTSIDE)],
        2: [("b", log(0.5)), ("second", log(0.25)), ("c", log(0.125))],
        3: [("b", log(0.5)), ("c", log(0.25))],
        4: [("b", log(0.5)), ("c", log(0.25))],
    }.items()
    for rank, (text, logprob) in enumerate(listed)
] + [{**token(UNDATED, 1, "z", log(0.75)), "rank": 0}]


@pytest.fixture(scope="module", params=["UTC", "America/Los_Angeles"])
def chat(request: pytest.FixtureRequest) -> Iterator[DuckDBPyConnection]:
    with warehouse(
        completions=COMPLETIONS,
        choices=CHOICES,
        tool_calls=TOOL_CALLS,
        logprobs=LOGPROBS,
        top_logprobs=TOP_LOGPROBS,
        usage=[
            {"completion_id": "a", "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
            {"completion_id": UNDATED, "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        ],
        model_price_rules=[{"rule_no": 1, "kind": "starts_with", "pattern": "gpt", "price_model_id": "gpt"}],
        model_prices=[
            {
                "price_no": 1,
                "price_model_id": "gpt",
                "tier": "standard",
                "input": Decimal("0.01"),
                "output": Decimal("0.1"),
                "price_basis": "listed",
            }
        ],
    ) as connection:
        connection.execute(f"set TimeZone = '{request.param}'")
        models.create_views(connection)
        yield connection


def whole(connection: DuckDBPyConnection, view: str) -> list[Row]:
    """All rows in the order of their grain, floats to nine places."""
    model = next(each for each in models.models("marts") if each.name == view)
    order = ", ".join(f"{name} nulls last" for name in model.grain)
    return [
        {name: round(value, 9) if isinstance(value, float) else value for name, value in row.items()}
        for row in rows(connection, f"select * from marts.{view} order by {order}")
    ]


def of(completion_id: str) -> Row:
    """What a wide view says of each row's completion."""
    given = next(row for row in COMPLETIONS if row["completion_id"] == completion_id)
    names = ("created_at", "model", "service_tier", "request_id", "input_user", "metadata", "deleted_at")
    return {
        "completion_id": completion_id,
        "source": given.get("source", "default"),
        "created_date": None if completion_id == UNDATED else DAY,
        **{name: given.get(name) for name in names},
    }


def answer(completion_id: str, choice_index: int, **own: Any) -> Row:
    unknown = dict.fromkeys(
        "finish_reason content content_length refusal is_refusal audio_transcript tokens tokens_outside_top mean_logprob"
        " perplexity lowest_logprob".split()
    )
    return of(completion_id) | {"choice_index": choice_index, **unknown, "tool_call_count": 0} | own


def test_choices_wide(chat: DuckDBPyConnection) -> None:
    mean = round((2 * log(0.5) + log(0.25) + 2 * log(0.125)) / 7, 9)
    assert whole(chat, "choices_wide") == [
        answer(
            "a",
            0,
            finish_reason="stop",
            content="Grüße",
            content_length=5,
            is_refusal=False,
            tool_call_count=3,
            tokens=8,
            tokens_outside_top=1,
            mean_logprob=mean,
            perplexity=round(2 ** (10 / 7), 9),
            lowest_logprob=round(log(0.125), 9),
        ),
        answer(
            "a",
            2,
            finish_reason="length",
            content="",
            content_length=0,
            refusal="No.",
            is_refusal=True,
            tool_call_count=2,
        ),
        answer("b", 0, finish_reason="function_call", tool_call_count=1),
        answer("b", 1, finish_reason="content_filter"),
        answer(
            UNDATED,
            0,
            refusal="",
            is_refusal=False,
            audio_transcript="Hi",
            tool_call_count=3,
            tokens=2,
            tokens_outside_top=1,
            mean_logprob=round(log(0.25), 9),
            perplexity=4.0,
            lowest_logprob=round(log(0.25), 9),
        ),
    ]


def asked(given: Row, finish_reason: str | None) -> Row:
    names = (
        "tool_call_id",
        "type",
        "name",
        "arguments",
        "arguments_valid",
        "arguments_fit",
        "arguments_problem",
    )
    key = {name: given[name] for name in ("choice_index", "tool_call_index")}
    judged = {name: given.get(name) for name in names}
    return of(given["completion_id"]) | key | {"finish_reason": finish_reason} | judged


def test_tool_calls_wide(chat: DuckDBPyConnection) -> None:
    legacy = {
        "completion_id": "b",
        "choice_index": 0,
        "tool_call_index": None,
        "type": "function_call",
        "name": "find",
        "arguments": "{",
        "arguments_valid": False,
        "arguments_fit": False,
        "arguments_problem": "not_json",
    }
    assert whole(chat, "tool_calls_wide") == [
        *(asked(given, "stop") for given in TOOL_CALLS[:3]),
        *(asked(given, "length") for given in TOOL_CALLS[3:5]),
        asked(legacy, "function_call"),
        *(asked(given, None) for given in TOOL_CALLS[5:]),
    ]


def test_an_empty_function_call_is_none() -> None:
    choice = {
        "completion_id": "a",
        "choice_index": 0,
        "function_call_name": "",
        "function_call_arguments": "",
    }
    connection = warehouse(completions=[{"completion_id": "a"}], choices=[choice])
    models.create_views(connection)
    assert whole(connection, "tool_calls_wide") == []
    assert [row["tool_call_count"] for row in whole(connection, "choices_wide")] == [0]


def test_tool_usage(chat: DuckDBPyConnection) -> None:
    names = (
        "created_date model tool_name calls completions invalid_arguments unfit_arguments judged_arguments"
        " repeated_calls cost_usd unpriced_completions"
    ).split()
    cost = Decimal("2.0")
    expected = [
        (DAY, "gpt-4o", "find", 5, 2, 1, 1, 5, 1, cost, 1),
        (DAY, "gpt-4o", "sql", 1, 1, 0, 0, 0, 0, cost, 0),
        (None, "o3", "find", 1, 1, 1, 0, 1, 0, None, 1),
        (None, "o3", None, 2, 1, 0, 0, 0, 0, None, 1),
    ]
    assert whole(chat, "tool_usage") == [dict(zip(names, row, strict=True)) for row in expected]


def weighed(given: Row, **known: Any) -> Row:
    figures = "logprob probability listed_probability unlisted_probability entropy margin".split()
    row = {name: given[name] for name in ("completion_id", "choice_index", "kind", "token_index", "token")}
    row |= {name: of(given["completion_id"])[name] for name in ("created_at", "created_date", "model")}
    row |= {"is_outside_top": given["logprob"] == OUTSIDE, "alternatives": 0, **dict.fromkeys(figures)}
    if given["logprob"] != OUTSIDE:
        row["logprob"] = round(min(given["logprob"], 0), 9)
    return row | {
        name: round(value, 9) if isinstance(value, float) else value for name, value in known.items()
    }


def nats(*probabilities: float) -> float:
    return -sum(probability * log(probability) for probability in probabilities)


def test_token_confidence(chat: DuckDBPyConnection) -> None:
    """Entropy by hand: 0.5 and 0.25 give 0.5 ln 2 + 0.25 ln 4 = ln 2."""
    given = LOGPROBS
    assert whole(chat, "token_confidence") == [
        weighed(given[0], probability=1.0, alternatives=1, listed_probability=1.0, unlisted_probability=0.0, entropy=0.0),
        weighed(
            given[1], probability=0.5, alternatives=2, listed_probability=0.75, unlisted_probability=0.25,
            entropy=log(2), margin=0.25,
        ),
        weighed(
            given[2], probability=0.25, alternatives=3, listed_probability=0.875, unlisted_probability=0.125,
            entropy=nats(0.5, 0.25, 0.125), margin=-0.25,
        ),
        weighed(
            given[3], probability=0.125, alternatives=2, listed_probability=0.875, unlisted_probability=0.125,
            entropy=nats(0.5, 0.25, 0.125), margin=-0.375,
        ),
        weighed(given[4], alternatives=2, listed_probability=0.75, unlisted_probability=0.25, entropy=log(2)),
        weighed(given[5], probability=0.125),
        weighed(given[6], probability=1.0),
        weighed(given[7], probability=0.5),
        weighed(given[8]),
        weighed(
            given[9], probability=0.25, alternatives=1, listed_probability=1.0, unlisted_probability=0.0,
            entropy=nats(0.75, 0.25), margin=-0.5,
        ),
    ]  # fmt: skip


def test_choice_confidence(chat: DuckDBPyConnection) -> None:
    entropies = (0.0, log(2), nats(0.5, 0.25, 0.125), nats(0.5, 0.25, 0.125), log(2))
    assert whole(chat, "choice_confidence") == [
        {
            "completion_id": "a",
            "choice_index": 0,
            "created_at": LATE,
            "created_date": DAY,
            "model": "gpt-4o",
            "tokens": 8,
            "tokens_outside_top": 1,
            "mean_logprob": round(-10 / 7 * log(2), 9),
            "perplexity": round(2 ** (10 / 7), 9),
            "lowest_logprob": round(log(0.125), 9),
            "lowest_probability": 0.125,
            "lowest_token": "unlisted",
            "lowest_token_index": 3,
            "tokens_with_alternatives": 5,
            "mean_entropy": round(sum(entropies) / 5, 9),
            "mean_unlisted_probability": round((0 + 0.25 + 0.125 + 0.125 + 0.25) / 5, 9),
            "mean_margin": round((0.25 - 0.25 - 0.375) / 3, 9),
            "lowest_margin": -0.375,
        },
        {
            "completion_id": UNDATED,
            "choice_index": 0,
            "created_at": None,
            "created_date": None,
            "model": "o3",
            "tokens": 2,
            "tokens_outside_top": 1,
            "mean_logprob": round(log(0.25), 9),
            "perplexity": 4.0,
            "lowest_logprob": round(log(0.25), 9),
            "lowest_probability": 0.25,
            "lowest_token": "y",
            "lowest_token_index": 1,
            "tokens_with_alternatives": 1,
            "mean_entropy": round(nats(0.75, 0.25), 9),
            "mean_unlisted_probability": 0.0,
            "mean_margin": -0.5,
            "lowest_margin": -0.5,
        },
    ]


@pytest.mark.parametrize("lowest", [-9998.9999999, -1e-9, 0.0, -745.5])
def test_the_lowest_token_is_found_at_any_logprob(lowest: float) -> None:
    tokens = [
        token("a", 0, "0", min(lowest + 1, 0.0)),
        token("a", 11, " 9\n", lowest),
        token("a", 12, "!", OUTSIDE),
    ]
    connection = warehouse(completions=[{"completion_id": "a"}], logprobs=tokens)
    models.create_views(connection)
    (found,) = whole(connection, "choice_confidence")
    first = (" 9\n", 11) if lowest < -1e-6 else ("0", 0)
    assert (found["lowest_token"], found["lowest_token_index"]) == first


def test_an_answer_of_which_nothing_is_known_has_no_confidence() -> None:
    connection = warehouse(completions=[{"completion_id": "a"}], logprobs=[token("a", 0, "x", OUTSIDE)])
    models.create_views(connection)
    (found,) = whole(connection, "choice_confidence")
    assert {name for name, value in found.items() if value is not None} == {
        *("completion_id", "choice_index", "tokens", "tokens_outside_top", "tokens_with_alternatives"),
    }


def test_answer_rates(chat: DuckDBPyConnection) -> None:
    names = (
        "created_date model choices truncated truncated_share filtered filtered_share unfinished refusal_known refusals"
        " refusal_share"
    ).split()
    assert whole(chat, "answer_rates") == [
        dict(zip(names, (DAY, "gpt-4o", 4, 1, 0.25, 1, 0.25, 0, 2, 1, 0.5), strict=True)),
        dict(zip(names, (None, "o3", 1, 0, 0.0, 0, 0.0, 1, 1, 0, 0.0), strict=True)),
    ]


def test_where_no_refusal_field_was_sent_there_is_no_rate() -> None:
    connection = warehouse(
        completions=[{"completion_id": "a"}],
        choices=[{"completion_id": "a", "choice_index": 0, "refusal_sent": False, "finish_reason": "stop"}],
    )
    models.create_views(connection)
    (found,) = whole(connection, "answer_rates")
    assert (found["refusals"], found["refusal_share"], found["refusal_known"]) == (None, None, 0)


def test_no_view_loses_or_doubles_a_row(chat: DuckDBPyConnection) -> None:
    assert rows(
        chat,
        """
        select
            (select count(*) from marts.choices_wide) as choices_wide,
            (select count(*) from marts.tool_calls_wide) as tool_calls_wide,
            (select sum(calls) from marts.tool_usage) as calls,
            (select count(*) from marts.token_confidence) as tokens,
            (select sum(tokens) from marts.choice_confidence) as tokens_of_choices,
            (select sum(choices) from marts.answer_rates) as choices
        """,
    ) == [
        {
            "choices_wide": len(CHOICES),
            "tool_calls_wide": len(TOOL_CALLS) + 1,
            "calls": len(TOOL_CALLS) + 1,
            "tokens": len(LOGPROBS),
            "tokens_of_choices": len(LOGPROBS),
            "choices": len(CHOICES),
        }
    ]
