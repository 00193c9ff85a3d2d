"""What makes messages the same, and answers found again: no server, no warehouse."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stored_completions.messages.hashes import Hashes
from stored_completions.messages.keys import hash_key
from stored_completions.pages import fields
from stored_completions.store import create_own_tables

HASHES = Hashes(b"k" * 32)
SILENT = ("", (), (None, None), None)
CALL = ("function", "f", '{"a": 1}')


def said(message: dict[str, Any]) -> str | None:
    members = fields(json.dumps(message).encode())
    assert members is not None
    return HASHES.message(members)


def sent_again(content: Any, **more: Any) -> str | None:
    return said({"id": "c-2", "role": "assistant", "content": content, "content_parts": None, **more})


@given(st.text(min_size=1))
def test_an_answer_is_found_in_later_requests(text: str) -> None:
    assert HASHES.answer(text, *SILENT) == sent_again(text) == sent_again(text, refusal=None, annotations=[])
    assert HASHES.answer(text, *SILENT) != sent_again(text + " ")
    assert HASHES.answer(text, *SILENT) != HASHES.answer(None, text, *SILENT[1:])


@given(st.text(min_size=1))
def test_an_answer_that_is_a_text_is_hashed_like_any_other(text: str) -> None:
    written = json.dumps(["answer", [text, "", [], ["", ""], ""]]).encode()
    hashed = blake2b(written, key=b"k" * 32, digest_size=16).hexdigest()
    assert HASHES.texts([text, None, ""]) == [hashed, None, None]


def test_an_answer_of_calls_is_found_by_what_it_calls() -> None:
    call = {"id": "call_9", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    custom = {"id": "x", "type": "custom", "custom": {"name": "g", "input": "select 1"}}
    assert HASHES.answer(None, None, [CALL], (None, None), None) == sent_again(None, tool_calls=[call])
    assert HASHES.answer("", None, [CALL], ("", ""), None) == sent_again("", tool_calls=[call | {"id": "b"}])
    assert HASHES.answer(None, None, [CALL, ("custom", "g", "select 1")], (None, None), None) == sent_again(
        None, tool_calls=[call, custom]
    )
    assert HASHES.answer(None, None, [], ("f", "{}"), None) == sent_again(
        None, function_call={"name": "f", "arguments": "{}"}
    )
    assert HASHES.answer(None, None, [], (None, None), "audio_1") == sent_again(None, audio={"id": "audio_1"})


@pytest.mark.parametrize("content", [None, "", []])
def test_nothing_is_no_answer(content: Any) -> None:
    assert sent_again(content) is None
    assert HASHES.answer(content or None, *SILENT) is None


def test_parts_count_where_they_are_more_than_text() -> None:
    text = {"type": "text", "text": "a", "image_url": None, "file": None}
    image = {"type": "image_url", "image_url": {"url": "u", "detail": None}, "text": None}
    plain = said({"role": "user", "content": "a"})
    assert plain == said({"role": "user", "content": "a", "content_parts": [text], "name": None, "id": "1"})
    assert plain == said({"role": "user", "content": [{"type": "text", "text": "a"}]})
    with_image = said({"role": "user", "content": "a", "content_parts": [text, image]})
    assert with_image == said(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "u"}},
            ],
        }
    )
    others = [
        {"role": "user", "content": "a", "name": "ada"},
        {"role": "system", "content": "a"},
        {"role": "user", "content": "A"},
        {"role": "tool", "content": "a", "tool_call_id": "1"},
    ]
    assert len({plain, with_image, *map(said, others)}) == 6
    assert said(others[3]) == said(others[3] | {"tool_call_id": "2"})


def test_instructions_are_those_of_system_and_developer() -> None:
    def instructions(*messages: dict[str, Any]) -> str | None:
        return HASHES.instructions([fields(json.dumps(message).encode()) or {} for message in messages])

    user = {"role": "user", "content": "a"}
    assert instructions(user) is None
    assert instructions({"role": "system", "content": "s"}, user) == instructions(
        {"role": "developer", "content": "s"}
    )
    assert instructions({"role": "system", "content": "s"}) != instructions(
        {"role": "system", "content": "t"}
    )


def test_another_key_makes_other_hashes() -> None:
    assert Hashes(b"a" * 32).answer("x", *SILENT) != Hashes(b"b" * 32).answer("x", *SILENT)


def test_the_warehouse_makes_a_key_once_and_says_when_another_is_used() -> None:
    heard: list[str] = []
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with duckdb.connect() as connection:
        create_own_tables(connection)
        own = hash_key(connection, None, now, heard.append)
        assert hash_key(connection, None, now, heard.append) == own
        assert heard == []
        later = now + timedelta(days=1)
        configured = hash_key(connection, "k" * 32, later, heard.append)
        assert hash_key(connection, "k" * 32, later, heard.append) == configured != own
        assert hash_key(connection, None, now + timedelta(days=2), heard.append) == own
        assert [sentence.partition(",")[0] for sentence in heard] == [
            "Hashes of messages are made with another key from now on"
        ] * 2
        salts = connection.execute("select salt from chat.hash_keys").fetchall()
    assert set(salts) == {(own.hex(),), (None,)}
    with duckdb.connect() as another:
        create_own_tables(another)
        assert hash_key(another, None, now, heard.append) != own
        assert hash_key(another, "k" * 32, now, heard.append) == configured
