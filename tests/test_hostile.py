"""Input that means harm, through the real thing: what it says is kept, and does nothing."""

from pathlib import Path
from typing import Any

import pytest

from console import KEY, run
from stored_completions.sandbox import Account, Fault
from synced import NOW, assert_sound, one, rows, serving, synced, tables
from test_round_trip import lost
from test_sync import completion, recent

SQL = "'; drop table chat.completions; --"
NASTY = (
    SQL,
    '"; drop schema chat cascade; --',
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\u202e\u2028\ufeff",
    "../../etc/passwd",
    "{{ 7*7 }}${x}%s%n",
    "=cmd|' /C calc'!A0",
    "\x1b[2J",
    "",
)


def nasty(number: int, text: str) -> dict[str, Any]:
    """The text everywhere that a completion has a text or a name."""
    call = {"id": text, "type": "function", "function": {"name": text, "arguments": text}}
    annotation = {
        "type": text,
        "url_citation": {"title": text, "url": text, "start_index": 0, "end_index": 1},
    }
    token = {
        "token": text,
        "bytes": None,
        "logprob": -0.5,
        "top_logprobs": [{"token": text, "bytes": [0], "logprob": -1}],
    }
    message = {
        "role": text,
        "content": text,
        "refusal": text,
        "tool_calls": [call],
        "annotations": [annotation],
    }
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": text,
        "logprobs": {"content": [token], "refusal": None},
    }
    own = {
        "model": text,
        "service_tier": text,
        "input_user": text,
        "request_id": text,
        "system_fingerprint": text,
    }
    other = {"tools": [{text: text}], "metadata": {text: text, "plain": text}, f"x{text}": text}
    return completion(f"{text}#{number}", NOW - 100 + number, choices=[choice], **own, **other)


def test_names_and_contents_do_nothing(tmp_path: Path) -> None:
    sent = [nasty(number, text) for number, text in enumerate(NASTY)]
    account = Account()
    for row in sent:
        account.add(row)
    bodies = [row.body.decode() for row in account.rows().rows]
    with serving(account) as sandbox:
        report = synced(sandbox, tmp_path)
        assert report.counts.rows_new + report.counts.rows_quarantined == len(sent)
        assert report.counts.rows_quarantined == 2, "an id with a lone surrogate is none"
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
    assert lost(bodies, everything(tmp_path)) == []
    assert_sound(tmp_path)
    for arguments in (
        ("report", "costs", "--by", f"metadata:{SQL}"),
        ("dashboard", "--output", "page.html"),
    ):
        assert run(*arguments, at=tmp_path).code == 0, arguments
    assert one(tmp_path, "select count(*) from chat.completions") == len(sent) - 2


def everything(folder: Path) -> dict[str, list[dict[str, Any]]]:
    aside = rows(folder, "select sha256, source, reason, body from chat.quarantine")
    names = ("sha256", "source", "reason", "body")
    return {**tables(folder), "quarantine": [dict(zip(names, row, strict=True)) for row in aside]}


def test_sizes_beyond_anything_expected(tmp_path: Path) -> None:
    """10 MB of text, 1,000 tool calls, 5,000 metadata pairs, 300 choices."""
    text = "long 'text' \0 " * 700_000
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    calls = [call | {"id": f"c{number}"} for number in range(1_000)]
    choice = {"index": 0, "message": {"role": "assistant", "content": text, "tool_calls": calls}}
    choices = [choice, *({"index": number, "message": {"content": "x"}} for number in range(1, 300))]
    pairs = {f"k{number}": str(number) for number in range(5_000)}
    account = recent(3)
    account.add(completion("large", NOW - 50, choices=choices, metadata=pairs))
    bodies = [row.body.decode() for row in account.rows().rows]
    with serving(account) as sandbox:
        assert synced(sandbox, tmp_path).counts.rows_new == 4
    assert lost(bodies, everything(tmp_path)) == []
    counts = "select (select count(*) from chat.metadata), (select count(*) from chat.tool_calls)"
    assert rows(tmp_path, counts) == [(5_003, 1_000)]
    assert_sound(tmp_path)


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_takes_the_key_nowhere(tmp_path: Path, status: int) -> None:
    with serving(recent(3)) as sandbox, serving(recent(3)) as other:
        sandbox.faults.extend([Fault.redirect(f"{other.base_url}/chat/completions", status)])
        done = run("sync", at=tmp_path, url=sandbox.base_url)
        assert (done.code, other.requests) == (1, [])
        assert f"a redirect to {other.url}" in done.err
    assert KEY not in done.err


def test_plain_http_beyond_this_machine_must_be_allowed(tmp_path: Path) -> None:
    done = run("sync", at=tmp_path, url="http://192.0.2.1/v1")
    assert done.code == 2
    assert "--insecure-http" in done.err
