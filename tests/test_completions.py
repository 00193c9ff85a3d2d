"""Completions as they come -> whole rows of every light table, and what of them stands in `extra`."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from msgspec import Raw

from given import Row
from rebuild import NOW, Tables, load, read
from stored_completions.completions import Known, Rows
from stored_completions.items import item
from stored_completions.pages import Entry
from stored_completions.tables import TABLES

LOADED_AT = datetime.fromtimestamp(NOW / 1_000_000, UTC)


def loaded(completion: str) -> Tables:
    return read(load(completion.encode()))


def one(table: str, completion: Mapping[str, Any]) -> Row:
    """The only row of a table."""
    (row,) = loaded(json.dumps({"id": "a", **completion}))[table]
    return row


def said(row: Row) -> Row:
    """What a row says beside its keys: the columns that are not NULL."""
    ours = {"completion_id", "created_date", "source", "row_hash", "first_seen_at", "last_seen_at"}
    return {
        name: json.loads(value) if name == "extra" else value
        for name, value in row.items()
        if value is not None and name not in {*ours, "_dlt_load_id"}
    }


def test_a_recorded_completion() -> None:
    sent = """{"object":"chat.completion","id":"chatcmpl-A","model":"gpt-5.4","created":1738960610,
        "request_id":"req_1","tool_choice":"auto","usage":{"total_tokens":31,"completion_tokens":18,
        "prompt_tokens":13},"seed":-4944116822809979520,"top_p":1.0,"temperature":1,"presence_penalty":0.0,
        "frequency_penalty":0.5,"system_fingerprint":"fp_1","input_user":null,"service_tier":"default",
        "tools":null,"metadata":{"team":"x","n":1},"choices":[{"index":0,"message":{"content":"Hello",
        "role":"assistant","tool_calls":null,"function_call":null},"finish_reason":"stop",
        "logprobs":null}],"response_format":null}"""
    day = date(2025, 2, 7)
    tables = loaded(sent)
    row_hash = tables["completions"][0].pop("row_hash")
    assert len(row_hash) == 32
    assert {name: [list(row.values()) for row in rows] for name, rows in tables.items() if rows} == {
        "completions": [
            [
                *(
                    "chatcmpl-A",
                    datetime(2025, 2, 7, 20, 36, 50, tzinfo=UTC),
                    day,
                    "gpt-5.4",
                    "default",
                    "fp_1",
                ),
                *("req_1", None, -4944116822809979520, 1.0, 1.0, 0.0, 0.5, None, '"auto"', None, None),
                *('{"team":"x","n":1}', None, "default", LOADED_AT, LOADED_AT, None, None, "load"),
            ]
        ],
        "choices": [["chatcmpl-A", 0, day, "stop", "assistant", "Hello", None, False, *[None] * 10, "load"]],
        "usage": [["chatcmpl-A", day, 13, 18, 31, *[None] * 11, "load"]],
        "metadata": [["chatcmpl-A", "team", day, "x", "load"], ["chatcmpl-A", "n", day, None, "load"]],
    }


NOT_JSON = {"arguments_valid": False, "arguments_fit": False, "arguments_problem": "not_json"}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"created": "1715361795"}, {"extra": {"created": "1715361795"}}),
        ({"created": 1.5}, {"extra": {"created": 1.5}}),
        ({"created": 10**12}, {"extra": {"created": 10**12}}),
        ({"created": 0}, {"created_at": datetime(1970, 1, 1, tzinfo=UTC)}),
        ({"created": -1}, {"created_at": datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)}),
        ({"seed": 2**63 - 1}, {"seed": 2**63 - 1}),
        ({"seed": 2**64 - 1}, {"extra": {"seed": 2**64 - 1}}),
        ({"seed": 1.0}, {"extra": {"seed": 1.0}}),
        ({"temperature": 2**53}, {"temperature": float(2**53)}),
        ({"temperature": 2**53 + 1}, {"extra": {"temperature": 2**53 + 1}}),
        ({"temperature": True}, {"extra": {"temperature": True}}),
        ({"model": ""}, {"model": ""}),
        ({"model": 5}, {"extra": {"model": 5}}),
        ({"service_tier": "galactic"}, {"service_tier": "galactic"}),
        ({"model": "a\0b"}, {"model": "a\0b"}),
        ({"model": "\ud800"}, {"extra": {"model$escaped": '"\\ud800"'}}),
        ({"temperature": float("nan")}, {"extra": {"temperature$escaped": "NaN"}}),
        ({"tools": [{"x": "\ud800"}]}, {"extra": {"tools$escaped": '[{"x": "\\ud800"}]'}}),
        ({"x": None, "y": [], "z": {}}, {}),
        ({"x": "", "y": 0, "z": False}, {"extra": {"x": "", "y": 0, "z": False}}),
        ({"x": 10**30}, {"extra": {"x": 10**30}}),
        ({"x$escaped": 1}, {"extra": {"x$escaped$escaped": "1"}}),
        ({"x": {"y$escaped": 1}}, {"extra": {"x$escaped": '{"y$escaped": 1}'}}),
        ({"\udc00": [1]}, {"extra": {"$escaped": '{"\\udc00":[1]}'}}),
        ({"": "\ud800"}, {"extra": {"$escaped": '{"":"\\ud800"}'}}),
        ({"object": "chat.completion"}, {}),
        ({"object": "x"}, {"extra": {"object": "x"}}),
        ({"choices": "none"}, {"extra": {"choices": "none"}}),
        ({"choices": [None, {"index": 0}]}, {"extra": {"choices": [None, {"index": 0}]}}),
        ({"usage": [1]}, {"extra": {"usage": [1]}}),
        ({"metadata": ["a"]}, {"metadata": '["a"]'}),
    ],
)
def test_columns_of_a_completion(sent: dict[str, Any], expected: Row) -> None:
    row = one("completions", {"object": "chat.completion", **sent})
    assert said(row) == expected
    assert row["created_date"] == (row["created_at"].date() if row["created_at"] else None)


def test_an_absent_object_is_not_the_implied_one() -> None:
    assert said(one("completions", {})) == {"extra": {"object": None}}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"message": {"refusal": None}}, {"refusal_sent": True}),
        ({"message": {"refusal": ""}}, {"refusal_sent": True, "refusal": ""}),
        ({"message": {}}, {"refusal_sent": False}),
        ({}, {"refusal_sent": False}),
        ({"message": "Hi"}, {"refusal_sent": False, "extra": {"message": "Hi"}}),
        ({"finish_reason": "eos"}, {"refusal_sent": False, "finish_reason": "eos"}),
        (
            {"message": {"content": [{"type": "text"}]}},
            {"refusal_sent": False, "extra": {"message": {"content": [{"type": "text"}]}}},
        ),
        (
            {"message": {"reasoning_content": "Hm"}, "x": 2**64 - 1},
            {"refusal_sent": False, "extra": {"message": {"reasoning_content": "Hm"}, "x": 2**64 - 1}},
        ),
        (
            {"message": {"function_call": {"name": "f", "arguments": {"a": 1}}}},
            {
                "refusal_sent": False,
                "function_call_name": "f",
                "extra": {"message": {"function_call": {"arguments": {"a": 1}}}},
            },
        ),
        (
            {"message": {"audio": {"id": "i", "data": "UklGRg==", "expires_at": 1, "transcript": "T"}}},
            {
                "refusal_sent": False,
                "audio_id": "i",
                "audio_data": b"RIFF",
                "audio_expires_at": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
                "audio_transcript": "T",
            },
        ),
        (
            {"message": {"audio": {"data": "UklGRg"}}},
            {"refusal_sent": False, "extra": {"message": {"audio": {"data": "UklGRg"}}}},
        ),
    ],
)
def test_columns_of_a_choice(choice: dict[str, Any], expected: Row) -> None:
    assert said(one("choices", {"choices": [{"index": 3, **choice}]})) == {"choice_index": 3, **expected}


@pytest.mark.parametrize(
    ("sent", "indexes", "extras"),
    [
        ([2, 0, -1], [2, 0, -1], [None, None, None]),
        ([0, None], [0, 1], [{"index": 0}, {"index": None}]),
        ([1, 1], [0, 1], [{"index": 1}, {"index": 1}]),
        ([1, "0"], [0, 1], [{"index": 1}, {"index": "0"}]),
        ([1, False], [0, 1], [{"index": 1}, {"index": False}]),
        ([1.0], [0], [{"index": 1.0}]),
        ([2**63], [0], [{"index": 2**63}]),
    ],
)
def test_choices_take_their_index_or_all_take_their_positions(
    sent: list[Any], indexes: list[int], extras: list[Any]
) -> None:
    rows = loaded(json.dumps({"id": "a", "choices": [{"index": index} for index in sent]}))["choices"]
    assert [row["choice_index"] for row in rows] == indexes
    assert [row["extra"] and json.loads(row["extra"]) for row in rows] == extras


def test_a_choice_without_index_is_not_one_with_index_0() -> None:
    assert said(one("choices", {"choices": [{}]}))["extra"] == {"index": None}


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
            {
                "tool_call_id": "c",
                "type": "function",
                "name": "f",
                "arguments": '{"a":1}',
                "arguments_valid": True,
            },
        ),
        ({"function": {"arguments": '{"a":'}}, {"arguments": '{"a":', **NOT_JSON}),
        ({"function": {"arguments": ""}}, {"arguments": "", **NOT_JSON}),
        ({"function": {"arguments": "NaN"}}, {"arguments": "NaN", **NOT_JSON}),
        ({"function": {"arguments": {}}}, {"extra": {"function": {"arguments": {}}}}),
        ({"function": {"arguments": None}}, {}),
        ({"function": {"x": 1}, "y": 2}, {"extra": {"function": {"x": 1}, "y": 2}}),
        (
            {"type": "custom", "custom": {"name": "g", "input": "{}"}, "function": {"name": "f"}},
            {"type": "custom", "name": "g", "arguments": "{}", "extra": {"function": {"name": "f"}}},
        ),
        ({"type": "mcp", "mcp": {"a": 1}}, {"type": "mcp", "extra": {"mcp": {"a": 1}}}),
    ],
)
def test_columns_of_a_tool_call(call: dict[str, Any], expected: Row) -> None:
    row = one("tool_calls", {"choices": [{"index": 1, "message": {"tool_calls": [call]}}]})
    assert said(row) == {"choice_index": 1, "tool_call_index": 0, **expected}


def test_a_list_that_is_not_all_tool_calls_stays_whole() -> None:
    calls = [{"id": "c"}, None]
    tables = loaded(json.dumps({"id": "a", "choices": [{"index": 0, "message": {"tool_calls": calls}}]}))
    assert tables["tool_calls"] == []
    assert said(tables["choices"][0])["extra"] == {"message": {"tool_calls": calls}}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (
            {
                "type": "url_citation",
                "url_citation": {"start_index": 0, "end_index": 2, "title": "T", "url": "u"},
            },
            {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "T", "url": "u"},
        ),
        ({"type": "url_citation", "url": "u"}, {"type": "url_citation", "extra": {"url": "u"}}),
        ({"url_citation": {"start_index": 0.5}}, {"extra": {"url_citation": {"start_index": 0.5}}}),
    ],
)
def test_columns_of_an_annotation(annotation: dict[str, Any], expected: Row) -> None:
    row = one("annotations", {"choices": [{"index": 0, "message": {"annotations": [annotation]}}]})
    assert said(row) == {"choice_index": 0, "annotation_index": 0, **expected}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"total_tokens": 3}, {"total_tokens": 3}),
        ({"total_tokens": None}, {}),
        (
            {"prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 2, "x": 3}},
            {"cached_tokens": 1, "prompt_audio_tokens": 2, "extra": {"prompt_tokens_details": {"x": 3}}},
        ),
        (
            {"completion_tokens_details": {"audio_tokens": 2, "text_tokens": 1.5}},
            {"completion_audio_tokens": 2, "extra": {"completion_tokens_details": {"text_tokens": 1.5}}},
        ),
        ({"completion_tokens_details": [1]}, {"extra": {"completion_tokens_details": [1]}}),
        ({"queue_time": 0.5}, {"extra": {"queue_time": 0.5}}),
    ],
)
def test_columns_of_usage(usage: dict[str, Any], expected: Row) -> None:
    assert said(one("usage", {"usage": usage})) == expected


@pytest.mark.parametrize("usage", [None, {}, [], [1], "none"])
def test_no_usage_gives_no_row(usage: Any) -> None:
    assert loaded(json.dumps({"id": "a", "usage": usage}))["usage"] == []


def test_metadata_pairs() -> None:
    sent = {"a": "", "": "x", "n": 1, "z": None, "bad": "\ud800", "\ud800": "unnamed", "nul\0": "a\0b"}
    tables = loaded(json.dumps({"id": "a", "metadata": sent}))
    pairs = [(row["key"], row["value"]) for row in tables["metadata"]]
    assert pairs == [("a", ""), ("", "x"), ("n", None), ("z", None), ("bad", None), ("nul\0", "a\0b")]
    assert said(tables["completions"][0])["extra"]["metadata$escaped"] == json.dumps(sent)


@pytest.mark.parametrize(
    "sent", ['{"x":1}', '{"id":""}', '{"id":null}', '{"id":5}', '{"id":"\\ud800"}', "5", '"a"']
)
def test_what_has_no_usable_id_is_set_aside_whole(sent: str) -> None:
    tables = loaded(sent)
    (row,) = tables["quarantine"]
    assert tables["completions"] == []
    assert (row["source"], row["reason"], row["seen_at"]) == ("default", "it has no usable id", LOADED_AT)
    assert row["body"] == sent


@pytest.mark.parametrize(
    ("created", "second"),
    [
        ("5", 5),
        ('"5"', 5),
        ("5.9", 5),
        ("true", None),
        ("null", None),
        ("1e400", None),
        ("NaN", None),
        ('"soon"', None),
        ("[]", None),
        ("1" * 5000, None),
    ],
)
def test_the_second_that_the_walk_stands_on(created: str, second: int | None) -> None:
    found = item(Entry(Raw(f'{{"id":"a","created":{created}}}'.encode())))
    assert found
    assert found.created == second


def test_the_hash_is_that_of_the_object_whatever_the_order_of_its_fields_and_metadata() -> None:
    def row_hash(text: str) -> str:
        found = item(Entry(Raw(text.encode())))
        assert found
        return found.row_hash

    plain = row_hash('{"id":"a","x":1,"metadata":{"k":"v","l":"w"}}')
    assert row_hash('{"metadata":{"l":"w","k":"v"},"x":1,"id":"a"}') == plain
    others = [
        '{"id":"a","x":2,"metadata":{"k":"v","l":"w"}}',
        '{"id":"a","x":1,"metadata":{"k":"w","l":"v"}}',
    ]
    others += [
        '{"id":"a","x":1}',
        '{"id":"a","x":1,"metadata":{}}',
        '{"id":"a","xm":1}',
        '{"id":"a","x":"1m"}',
    ]
    assert len({plain, *map(row_hash, others)}) == 1 + len(others)


def test_what_was_known_keeps_its_stamps() -> None:
    rows = Rows("second", now=NOW)
    found = item(Entry(Raw(b'{"id":"a"}')))
    assert found
    rows.add(found, Known(row_hash="old", source="second", first_seen_at=1, messages_synced_at=2))
    (row,) = read(rows.tables("load"))["completions"]
    stamps = [row[name] for name in ("first_seen_at", "last_seen_at", "messages_synced_at")]
    assert [(at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() for at in stamps] == [
        1e-6,
        NOW / 1e6,
        2e-6,
    ]
    assert (row["source"], row["deleted_at"]) == ("second", None)


def test_every_table_has_its_schema_however_many_rows_it_has() -> None:
    for tables in (Rows("default", now=0).tables("load"), load(b'{"id":"a","choices":[{}]}')):
        found = [(table.name, plain(loaded.schema)) for table, loaded in tables]
        assert found == [(table.name, table.schema) for table in TABLES]


def plain(schema: pa.Schema) -> pa.Schema:
    """What a dictionary is of, for columns in which values repeat."""
    return pa.schema(
        [
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in schema
        ]
    )


def test_a_body_is_kept_as_it_was_sent() -> None:
    sent = '{"\\ud800": 1, "b":[1 ,2], "b": 3}'
    assert Entry(Raw(sent.encode())).body == sent
    assert Entry(Raw(b"5")).body == "5"
