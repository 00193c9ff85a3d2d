"""`export`: whole inputs with whole answers in OpenAI's formats, and a count of what makes no example."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from console import run
from given import Row, at, warehouse
from stored_completions import models
from stored_completions.examples import (
    CUSTOM_CALL,
    CUSTOM_TOOL,
    NO_ANSWER,
    NO_MESSAGES,
    NO_PARTS,
    NO_PLACE,
    NOT_KEPT,
    Wanted,
    lines,
)
from stored_completions.reports.periods import Period
from stored_completions.sandbox import Account
from synced import NAME, serving, synced

TOOLS = '[{"type":"function","function":{"name":"find","parameters":{"type":"object"}}}]'
DAYS = {"a": "2025-03-01", "b": "2025-03-02", "c": "2025-03-03"}


def message(completion_id: str, index: int, role: str, **more: Any) -> Row:
    return {"completion_id": completion_id, "message_index": index, "role": role} | more


def choice(completion_id: str, index: int = 0, **more: Any) -> Row:
    return {"completion_id": completion_id, "choice_index": index, "finish_reason": "stop"} | more


def asked(**rows: list[Row]) -> DuckDBPyConnection:
    """Completions a, b and c of three days, each asked "Hi?", with the given rows instead where there are."""
    completions = [
        {"completion_id": id_, "created_at": at(f"{day} 12:00"), "model": f"model-{id_}"}
        for id_, day in DAYS.items()
    ]
    connection = warehouse(
        **{
            "completions": completions,
            "choices": [choice(id_, content=f"Hello {id_}") for id_ in DAYS],
            "messages": [message(id_, 0, "user", content="Hi?") for id_ in DAYS],
        }
        | rows
    )
    models.create_views(connection)
    return connection


def made(
    connection: DuckDBPyConnection, kind: str = "fine-tuning", **wanted: Any
) -> tuple[list[Any], dict[str, int]]:
    left_out: Counter[str] = Counter()
    found = [json.loads(line) for line in lines(connection, kind, Wanted(**wanted), left_out)]
    return found, dict(left_out)


def answers(connection: DuckDBPyConnection, **wanted: Any) -> list[str]:
    return [example["messages"][-1]["content"] for example in made(connection, **wanted)[0]]


def test_fine_tuning_has_the_whole_conversation_the_calls_and_the_tools() -> None:
    connection = asked(
        completions=[{"completion_id": "a", "created_at": at("2025-03-01 12:00"), "tools": TOOLS}],
        choices=[
            choice("a", finish_reason="tool_calls"),
            choice("a", 1, content="Grüße", function_call_name=""),
        ],
        tool_calls=[
            {
                "completion_id": "a",
                "choice_index": 0,
                "tool_call_index": index,
                "tool_call_id": f"call_{index}",
                "type": "function",
                "name": "find",
                "arguments": '{"x":1}',
            }
            for index in (1, 0)
        ],
        messages=[
            message("a", 1, "user", content="Hi?", name="ada"),
            message("a", 0, "developer", content=""),
            message("a", 2, "assistant", tool_calls='[{"id":"call_9"}]'),
            message("a", 3, "tool", content="5", tool_call_id="call_9"),
            message(
                "a",
                4,
                "user",
                content="And? ",
                content_parts='[{"type":"text","text":"And?","image_url":null},'
                '{"type":"image_url","image_url":{"url":"https://a.example/b.png","detail":null}}]',
            ),
        ],
    )
    before = [
        {"role": "system", "content": ""},
        {"role": "user", "content": "Hi?", "name": "ada"},
        {"role": "assistant", "tool_calls": [{"id": "call_9"}]},
        {"role": "tool", "content": "5", "tool_call_id": "call_9"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And?"},
                {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
            ],
        },
    ]
    calls = [
        {"id": f"call_{index}", "type": "function", "function": {"name": "find", "arguments": '{"x":1}'}}
        for index in (0, 1)
    ]
    assert made(connection) == (
        [
            {"messages": [*before, {"role": "assistant", "tool_calls": calls}], "tools": json.loads(TOOLS)},
            {"messages": [*before, {"role": "assistant", "content": "Grüße"}], "tools": json.loads(TOOLS)},
        ],
        {},
    )


def test_evals_have_items() -> None:
    connection = asked(
        completions=[{"completion_id": "a", "model": "m", "metadata": '{"team":"x"}'}],
        choices=[choice("a", 2, content="Hello")],
        messages=[message("a", 0, "user", content="Hi?")],
    )
    item = {
        "messages": [{"role": "user", "content": "Hi?"}],
        "answer": "Hello",
        "tool_calls": [],
        "completion_id": "a",
        "choice_index": 2,
        "model": "m",
        "metadata": {"team": "x"},
    }
    assert made(connection, "evals") == ([{"item": item}], {})


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, "abc"),
        ({"model": "model-b"}, "b"),
        ({"metadata": {"team": "x"}}, "ab"),
        ({"metadata": {"team": "x", "step": "1"}}, "a"),
        ({"metadata": {"team": "' or true --"}}, ""),
        ({"period": Period(at("2025-03-02 00:00").date(), None)}, "bc"),
        ({"period": Period(None, at("2025-03-02 00:00").date())}, "ab"),
        ({"most_perplexity": 2.5}, "a"),
        ({"most_perplexity": 1.5}, ""),
        ({"finish_reasons": ("length",)}, ""),
    ],
)
def test_only_what_is_wanted(wanted: dict[str, Any], expected: str) -> None:
    connection = asked(
        metadata=[
            {"completion_id": "a", "key": "team", "value": "x"},
            {"completion_id": "a", "key": "step", "value": "1"},
            {"completion_id": "b", "key": "team", "value": "x"},
        ],
        logprobs=[
            {"completion_id": id_, "choice_index": 0, "kind": "content", "token_index": 0, "logprob": logprob}
            for id_, logprob in (("a", -0.7), ("b", -1.5))
        ],
    )
    assert answers(connection, **wanted) == [f"Hello {id_}" for id_ in expected]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ({"messages": [message("a", 0, "user", content="Hi?"), message("b", 0, "user", content="Hi?")]}, NO_MESSAGES),
        ({"messages": [message(id_, 0, "user", content="[dropped]" if id_ == "c" else "Hi?") for id_ in DAYS]}, NOT_KEPT),
        ({"messages": [message(id_, 0, "user", content="hmac:00" if id_ == "c" else "Hi?") for id_ in DAYS]}, NOT_KEPT),
        ({"messages": [message(id_, 0, "user", content=None if id_ == "c" else "Hi?") for id_ in DAYS]}, NOT_KEPT),
        (
            {
                "messages": [
                    message(id_, 0, "user", content_parts='[{"type":"image_url","image_url":{"url":"data:image/png;dropped,9"}}]')
                    if id_ == "c"
                    else message(id_, 0, "user", content="Hi?")
                    for id_ in DAYS
                ]
            },
            NO_PARTS,
        ),
        (
            {
                "messages": [
                    message(id_, 0, "user", content_parts='[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]')
                    if id_ == "c"
                    else message(id_, 0, "user", content="Hi?")
                    for id_ in DAYS
                ]
            },
            NO_PLACE,
        ),
        (
            {
                "completions": [
                    {"completion_id": id_, "created_at": at(f"{day} 12:00")}
                    | ({"tools": '[{"type":"custom","custom":{"name":"c"}}]'} if id_ == "c" else {})
                    for id_, day in DAYS.items()
                ]
            },
            CUSTOM_TOOL,
        ),
        ({"choices": [choice(id_, content=None if id_ == "c" else f"Hello {id_}") for id_ in DAYS]}, NO_ANSWER),
        ({"choices": [choice(id_, content="[dropped]" if id_ == "c" else f"Hello {id_}") for id_ in DAYS]}, NOT_KEPT),
        ({"tool_calls": [{"completion_id": "c", "choice_index": 0, "tool_call_index": 0, "type": "custom"}]}, CUSTOM_CALL),
    ],
)  # fmt: skip
def test_what_lacks_its_input_or_its_answer_is_left_out_and_counted(
    rows: dict[str, list[Row]], why: str
) -> None:
    connection = asked(**rows)
    assert answers(connection) == ["Hello a", "Hello b"]
    assert made(connection)[1] == {why: 1}


def test_deleted_and_cut_off_answers_are_no_examples() -> None:
    connection = asked(
        completions=[
            {"completion_id": "a", "deleted_at": at("2025-03-09 00:00")},
            {"completion_id": "b"},
            {"completion_id": "c"},
        ],
        choices=[
            choice("a", content="x"),
            choice("b", content="y", finish_reason="length"),
            choice("c", content="z"),
        ],
    )
    assert answers(connection) == ["z"]


def test_an_image_that_is_kept_once_stands_in_its_place_again() -> None:
    parts = '[{"type":"image_url","image_url":{"url":"data:image/png;sha256,' + "0" * 64 + '"}}]'
    connection = asked(
        messages=[message(id_, 0, "user", content_parts=parts) for id_ in DAYS],
        attachments=[{"sha256": "0" * 64, "media_type": "image/png", "data": b"\x00\xff"}],
    )
    url = made(connection)[0][0]["messages"][0]["content"][0]["image_url"]["url"]
    assert url == "data:image/png;base64,AP8="


def test_the_command_writes_a_file_and_says_what_was_left_out(tmp_path: Path) -> None:
    account = Account.generate(60, logprob_share=0.2)
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        none = run("export", "fine-tuning", "--warehouse", NAME, at=tmp_path)
        assert (none.code, none.out) == (0, "")
        assert "0 examples.\nAnswers left out: " in none.err
        assert none.err.endswith("Input messages are read by `stored-completions sync --messages`.\n")
        synced(sandbox, tmp_path, messages=True)
    done = run("export", "evals", "--warehouse", NAME, "--output", "items.jsonl", at=tmp_path)
    items = [json.loads(line)["item"] for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    assert done.code == 0
    assert done.err.startswith(f"{len(items)} examples written to items.jsonl.\n")
    assert len(items) > 40
    assert {item["completion_id"] for item in items} <= set(account.ids())
    assert all(item["messages"][0]["role"] in ("system", "developer") for item in items)
    for filters, sentence in (
        (
            ["--metadata", "feature=triage"],
            "No completion has the metadata feature 'triage'. Did you mean 'ticket-triage'?",
        ),
        (
            ["--metadata", "team=x"],
            "has the metadata team 'x'. `stored-completions report costs --by metadata:team` lists",
        ),
        (["--metadata", "featur=x"], "No completion has the metadata key 'featur'. Did you mean 'feature'?"),
        (
            ["--model", "gpt-4o-2024-08-60"],
            "the model 'gpt-4o-2024-08-60'. Did you mean 'gpt-4o-2024-08-06'?",
        ),
    ):
        misspelt = run("export", "evals", *filters, "--output", "none.jsonl", at=tmp_path)
        assert (misspelt.code, (tmp_path / "none.jsonl").exists()) == (2, False)
        assert sentence in misspelt.err
    none = run("export", "evals", "--metadata", "feature=ticket-triage", "--until", "2020", at=tmp_path)
    assert (none.code, none.err) == (0, "0 examples.\nNo answer matches --metadata and --until together.\n")
    wrong = run("export", "evals", "--metadata", "team", at=tmp_path)
    assert (wrong.code, wrong.out) == (2, "")
