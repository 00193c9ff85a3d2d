"""Given tool calls and tokens, the rows of the reports about them by hand."""

from datetime import date
from math import log
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from given import Row, at, warehouse
from stored_completions import models
from stored_completions.reports.asking import Question, ask
from stored_completions.reports.catalog import CONFIDENCE, TOOLS, Definition
from stored_completions.reports.dimensions import dimensions
from stored_completions.reports.periods import Period

MARCH = Period(date(2026, 3, 1), date(2026, 3, 31))
HALF = log(0.5)


def token(completion_id: str, index: int, logprob: float, choice: int = 0) -> Row:
    key = {"completion_id": completion_id, "choice_index": choice, "kind": "content", "token_index": index}
    return key | {"token": "x", "logprob": logprob}


def call(completion_id: str, index: int, name: str, arguments: str, **more: Any) -> Row:
    key = {"completion_id": completion_id, "choice_index": 0, "tool_call_index": index, "type": "function"}
    return key | {"name": name, "arguments": arguments, "arguments_valid": True, **more}


@pytest.fixture(scope="module", params=["UTC", "America/Los_Angeles"])
def chat(request: pytest.FixtureRequest) -> DuckDBPyConnection:
    connection = warehouse(
        completions=[
            {"completion_id": "a", "created_at": at("2026-03-01 00:30"), "model": "m"},
            {"completion_id": "b", "created_at": at("2026-03-31 23:30"), "model": "n"},
            {"completion_id": "c", "created_at": at("2026-02-20 12:00"), "model": "m"},
        ],
        choices=[
            {"completion_id": id_, "choice_index": index, "finish_reason": reason}
            for id_, index, reason in (("a", 0, "stop"), ("a", 1, "length"), ("b", 0, "tool_calls"), ("c", 0, "stop"))
        ],
        tool_calls=[
            call("a", 0, "find", "{}", arguments_fit=True),
            call("a", 1, "find", "{}", arguments_fit=True),
            call("a", 2, "find", "{", arguments_valid=False, arguments_fit=False),
            call("b", 0, "find", "{}", arguments_fit=False),
            call("b", 1, "sql", "x", type="custom", arguments_valid=None),
            call("c", 0, "find", "{}"),
        ],
        logprobs=[
            token("a", 0, HALF),
            token("a", 1, -9999.0),
            token("a", 0, HALF * 3, choice=1),
            token("b", 0, -9999.0),
            token("c", 0, 0.0),
        ],
        top_logprobs=[token("a", 0, HALF) | {"rank": rank} for rank in (0, 1)],
    )  # fmt: skip
    connection.execute(f"set TimeZone = '{request.param}'")
    models.create_views(connection)
    return connection


def shown(connection: DuckDBPyConnection, definition: Definition, by: list[str], *names: str) -> list[Any]:
    answer = ask(connection, definition, Question(dimensions(by), MARCH))
    return [tuple(row.values[name] for name in names) for row in (*answer.rows, answer.total)]


def test_tools(chat: DuckDBPyConnection) -> None:
    names = "tool_name calls previous_calls invalid_arguments unfit_arguments judged_arguments repeated_calls".split()
    assert shown(chat, TOOLS, [], *names) == [
        ("find", 4, 1, 1, 1, 4, 1),
        ("sql", 1, None, 0, 0, 0, 0),
        (None, 5, 1, 1, 1, 4, 1),
    ]


def test_tools_by_how_the_answer_ended(chat: DuckDBPyConnection) -> None:
    assert shown(chat, TOOLS, ["finish-reason"], "finish_reason", "tool_name", "calls") == [
        ("stop", "find", 3),
        ("tool_calls", "find", 1),
        ("tool_calls", "sql", 1),
        (None, None, 5),
    ]


def test_confidence_is_that_of_all_tokens(chat: DuckDBPyConnection) -> None:
    names = "model choices tokens tokens_outside_top mean_logprob perplexity".split()
    mean = round(2 * HALF, 6)
    assert shown(chat, CONFIDENCE, [], *names) == [
        ("m", 2, 3, 1, mean, 4.0),
        ("n", 1, 1, 1, None, None),
        (None, 3, 4, 2, mean, 4.0),
    ]
    entropy = round(-2 * 0.5 * HALF, 6)
    alternatives = (
        "tokens_with_alternatives",
        "mean_entropy",
        "mean_unlisted_probability",
        "previous_tokens",
    )
    assert shown(chat, CONFIDENCE, [], *alternatives) == [
        (1, entropy, 0.0, 1),
        (0, None, None, None),
        (1, entropy, 0.0, 1),
    ]


def test_confidence_by_how_the_answer_ended(chat: DuckDBPyConnection) -> None:
    assert shown(chat, CONFIDENCE, ["finish-reason"], "finish_reason", "choices", "tokens") == [
        ("stop", 1, 2),
        ("length", 1, 1),
        ("tool_calls", 1, 1),
        (None, 3, 4),
    ]
