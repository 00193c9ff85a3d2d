"""What a policy makes of content: column by column, setting by setting, and from one sync to the next."""

import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from console import run
from rebuild import load, read
from stored_completions.check import check
from stored_completions.config import settings
from stored_completions.content.policy import KEPT, Policy, levels
from stored_completions.content.record import described
from stored_completions.content.stage import treated
from stored_completions.errors import UsageError
from stored_completions.sandbox import Account
from stored_completions.status import status
from synced import NAME, NOW, Heard, one, rows, serving, synced

KEY = "0123456789abcdef0123456789abcdef"
OFF = "[dropped]"
Row = dict[str, Any]


def policy(said: Any, logprobs: str = "all") -> Policy:
    return Policy(dict(KEPT.levels) | levels(said), logprobs, KEY.encode())


def stored(said: Policy, *purged: str, **fields: Any) -> dict[str, Row]:
    """The first row of each table of one completion, without what is NULL."""
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", **fields}
    tables = ((table, treated(table, rows, said, purged)) for table, rows in load(json.dumps(body).encode()))
    return {
        name: {column: value for column, value in found[0].items() if value is not None}
        for name, found in read(tables).items()
        if found
    }


def answer(**message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


def hashed(text: str) -> str:
    return "hmac:" + hmac.digest(KEY.encode(), text.encode(), "sha256").hex()[:32]


# Column by column


def test_what_is_dropped_is_marked_and_null_and_empty_stay() -> None:
    found = stored(policy("drop"), **answer(content="Hi", refusal="", audio={"id": "a", "data": "QUJD"}))
    assert found["choices"] == {
        "completion_id": "c1",
        "choice_index": 0,
        "created_date": found["completions"]["created_date"],
        "finish_reason": "stop",
        "role": "assistant",
        "content": OFF,
        "refusal": "",
        "refusal_sent": True,
        "audio_id": "a",
        "audio_data": OFF.encode(),
        "_dlt_load_id": "load",
    }


def test_equal_values_have_equal_hashes_wherever_they_stand() -> None:
    found = stored(
        policy("hash"), metadata={"team": "acme", "n": 1}, input_user="acme", **answer(content="acme")
    )
    assert found["metadata"]["value"] == found["completions"]["input_user"] == hashed("acme")
    assert found["choices"]["content"] == hashed("acme")
    pairs = {"team": hashed("acme"), "n": hashed("1")}
    assert json.loads(found["completions"]["metadata"]) == pairs


@pytest.mark.parametrize("level", ["drop", "hash"])
def test_json_stays_json(level: str) -> None:
    calls = [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "no json"}}]
    found = stored(
        policy(level), tools=[{"type": "function"}], tool_choice="auto", **answer(tool_calls=calls)
    )
    texts = [
        found["completions"]["tools"],
        found["completions"]["tool_choice"],
        found["tool_calls"]["arguments"],
    ]
    assert all(isinstance(json.loads(text), str) for text in texts)
    assert (found["tool_calls"]["name"], found["tool_calls"]["arguments_valid"]) == ("f", False)


def test_a_group_alone() -> None:
    calls = [
        {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}", "parsed": "secret"}}
    ]
    one_call = answer(content="hello", tool_calls=calls)
    found = stored(policy(("tool_arguments=drop",)), metadata={"a": "b"}, **one_call)
    assert found["choices"]["content"] == "hello"
    assert found["metadata"]["value"] == "b"
    assert found["tool_calls"]["arguments"] == f'"{OFF}"'
    assert json.loads(found["tool_calls"]["extra"]) == {"function": {"parsed": OFF}}


def test_extra_keeps_its_fields_and_numbers_and_each_follows_its_group() -> None:
    found = stored(
        policy(("answers=drop", "metadata=hash")),
        x_groq={"id": "text"},
        x_time=1.5,
        created="1715361795",
        input_user=["text"],
        tools="\ud800",
        usage={"prompt_tokens": 1, "x_note": "text", "prompt_tokens_details": {"x": 5}},
        **answer(
            content=["text"], reasoning_content="text", function_call={"name": "f", "arguments": {"a": 1}}
        ),
    )
    extra = {name: json.loads(row["extra"]) for name, row in found.items() if "extra" in row}
    assert extra == {
        "completions": {
            "x_groq": OFF,
            "x_time": 1.5,
            "created": OFF,
            "input_user": hashed('["text"]'),
            "tools$escaped": '"\\ud800"',
        },
        "choices": {
            "message": {"content": OFF, "reasoning_content": OFF, "function_call": {"arguments": {"a": 1}}}
        },
        "usage": {"x_note": OFF, "prompt_tokens_details": {"x": 5}},
    }


TOKENS = [
    {"token": "Hi", "bytes": [72, 105], "logprob": -0.1, "top_logprobs": [{"token": "Ho", "logprob": -2.0}]}
]


def test_logprobs_without_alternatives_or_none_at_all() -> None:
    choice = {"index": 0, "message": {}, "logprobs": {"content": TOKENS, "x": TOKENS}}
    kept, tokens, none = (
        stored(policy("keep", said), choices=[choice]) for said in ("all", "tokens", "none")
    )
    assert "top_logprobs" in kept
    assert tokens["logprobs"] == kept["logprobs"]
    assert "top_logprobs" not in tokens
    bare = [{name: value for name, value in TOKENS[0].items() if name != "top_logprobs"}]
    assert json.loads(tokens["choices"]["extra"]) == {"logprobs": {"content": bare, "x": bare}}
    assert not none.keys() & {"logprobs", "top_logprobs"}
    assert "extra" not in none["choices"] or json.loads(none["choices"]["extra"]) == {}


def test_tokens_keep_their_numbers() -> None:
    choice = {"index": 0, "message": {}, "logprobs": {"content": TOKENS}}
    found = stored(policy("tokens=hash"), choices=[choice])
    digest = hmac.digest(KEY.encode(), b"Hi", "sha256")[:16]
    assert (found["logprobs"]["token"], found["logprobs"]["bytes"]) == (hashed("Hi"), digest)
    assert (found["logprobs"]["logprob"], found["top_logprobs"]["logprob"]) == (-0.1, -2.0)


def test_only_what_was_purged_loses_everything() -> None:
    bodies = [
        {"id": id_, "object": "chat.completion", "created": 1, "model": "m", **answer(content=id_)}
        for id_ in ("c1", "c2")
    ]
    found = read(
        (table, treated(table, rows, KEPT, ["c2"]))
        for table, rows in load(*(json.dumps(body).encode() for body in bodies))
    )
    assert [(row["completion_id"], row["content"]) for row in found["choices"]] == [("c1", "c1"), ("c2", OFF)]


# Settings


def test_a_setting_names_one_level_or_some_groups() -> None:
    off = dict.fromkeys(KEPT.levels, "drop")
    assert levels("drop") == off
    assert levels(("drop", "metadata=keep")) == off | {"metadata": "keep"}
    assert levels({"tool-arguments": "hash"}) == {"tool_arguments": "hash"}
    assert levels('{"tokens": "drop"}') == {"tokens": "drop"}
    assert levels("tokens=drop, answers=hash") == {"tokens": "drop", "answers": "hash"}


@pytest.mark.parametrize(
    ("said", "hint"), [("dorp", "'drop'"), ("answer=drop", "'answers'"), ("answers=of", "no level")]
)
def test_a_slip_is_told(said: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        levels(said)


def test_stronger_places_beat_weaker_ones_group_by_group(tmp_path: Path) -> None:
    (tmp_path / ".dlt").mkdir()
    section = "[sources.stored_completions"
    (tmp_path / ".dlt" / "config.toml").write_text(
        f'{section}]\nlogprobs = "none"\n{section}.content]\nanswers = "drop"\ntokens = "drop"\n'
    )
    prefix = "SOURCES__STORED_COMPLETIONS__"
    environ = {"OPENAI_API_KEY": "sk-1", f"{prefix}CONTENT__TOKENS": "hash", f"{prefix}CONTENT_KEY": KEY}
    found = settings({"content": ("metadata=drop",)}, environ, tmp_path).content
    assert found.said() == {
        "answers": "drop",
        "tool_arguments": "keep",
        "messages": "keep",
        "tokens": "hash",
        "metadata": "drop",
        "logprobs": "none",
    }
    assert KEY not in repr(found)
    kept = settings({"content": ("keep",)}, environ, tmp_path).content
    assert kept.keeps_all


def test_a_hash_needs_a_key_that_is_long_enough() -> None:
    for key, said in ((None, "there is no content_key"), ("short", "has 5 characters")):
        environ = {"OPENAI_API_KEY": "sk-1", "SOURCES__STORED_COMPLETIONS__CONTENT_KEY": key or ""}
        with pytest.raises(UsageError, match=said):
            settings({"content": ("hash",)}, environ, None)


# From one sync to the next


def small() -> Account:
    account = Account()
    for number in range(4):
        account.add(
            {
                "id": f"c{number}",
                "created": NOW - 60,
                "model": "m",
                "metadata": {"a": "1"},
                **answer(content="x"),
            }
        )
    return account


def test_a_policy_is_recorded_and_only_tightened(tmp_path: Path) -> None:
    account, heard = small(), Heard()
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        report = synced(sandbox, tmp_path, content="drop", watcher=heard)
        assert "The content policy is drop from now on" in heard.sentences[0]
        assert (report.counts.rows_changed, report.counts.rows_quarantined) == (4, 0)
        assert synced(sandbox, tmp_path, content="drop").outcome == "nothing_new"
        assert one(tmp_path, f"select count(*) from chat.choices where content = '{OFF}'") == 4
        for looser in ({}, {"content": ("drop", "tokens=keep")}, {"content": "hash", "content_key": KEY}):
            with pytest.raises(UsageError, match="--change-policy"):
                synced(sandbox, tmp_path, **looser)
        account.update_metadata("c1", {"a": "2", "b": "3"})
        assert synced(sandbox, tmp_path, content="drop").counts.rows_changed == 1
        synced(sandbox, tmp_path, change_policy=True)
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
    recorded = rows(
        tmp_path,
        "select policy from chat.content_policies where content_group = 'answers' order by changed_at",
    )
    assert recorded == [("drop",), ("keep",)]


def test_a_tighter_policy_is_recorded_also_when_nothing_is_new(tmp_path: Path) -> None:
    with serving(Account()) as sandbox:
        synced(sandbox, tmp_path)
        assert synced(sandbox, tmp_path, logprobs="none").published
        with pytest.raises(UsageError, match="of logprobs"):
            synced(sandbox, tmp_path)


def test_another_key_is_refused(tmp_path: Path) -> None:
    with serving(small()) as sandbox:
        synced(sandbox, tmp_path, content="hash", content_key=KEY)
        assert synced(sandbox, tmp_path, content="hash", content_key=KEY).outcome == "nothing_new"
        with pytest.raises(UsageError, match="content_key is another one"):
            synced(sandbox, tmp_path, content="hash", content_key=KEY[::-1])


def test_rows_of_another_source_under_an_older_policy_are_left_alone(tmp_path: Path) -> None:
    with serving(small()) as sandbox:
        synced(sandbox, tmp_path, source="a")
        report = synced(sandbox, tmp_path, source="b", content="drop")
    assert (report.counts.rows_seen, report.counts.rows_changed, report.counts.rows_quarantined) == (4, 0, 0)


def test_the_command_line_refuses_with_2_and_status_says_the_policy(tmp_path: Path) -> None:
    with serving(small()) as sandbox:
        synced(sandbox, tmp_path, content=("drop", "metadata=keep"), logprobs="tokens")
        refused = run("sync", at=tmp_path, url=sandbox.base_url)
        own = settings({"api_key": "sk-1", "base_url": sandbox.base_url}, {}, None)
        failed = [finding.found for finding in check(own, tmp_path / NAME) if finding.error]
    assert len(failed) == 1
    assert "of answers, tool_arguments, messages, tokens, logprobs." in failed[0]
    assert (refused.code, refused.out) == (2, "")
    assert "of answers, tool_arguments, messages, tokens, logprobs." in refused.err
    policy = status(tmp_path / NAME).content_policy
    assert described(policy) == (
        "answers drop, tool_arguments drop, messages drop, tokens drop, the rest keep, logprobs tokens"
    )
