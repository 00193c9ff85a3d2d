"""Input messages through the real thing: each exactly once, exactly as listed, whatever comes in between."""

import base64
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rebuild import normal, unescape
from stored_completions.errors import AccessError, ServiceError, Stopped, UsageError
from stored_completions.messages.attachments import taken_out
from stored_completions.rounds import Bounds
from stored_completions.sandbox import Account, Fault, Sandbox
from stored_completions.sandbox.messages import stored_messages
from stored_completions.status import status
from stored_completions.stop import Stop
from synced import (
    NAME,
    NOW,
    Heard,
    assert_exact,
    assert_sound,
    environment,
    one,
    rows,
    serving,
    synced,
    until,
)

FEW = Bounds(messages=7)
OLD = NOW - 500
DYING = Path(__file__).with_name("dying.py")

Message = dict[str, Any]

COLUMNS = ("role", "name", "content", "content_parts", "tool_calls", "tool_call_id", "extra")


def completion(id_: str, *, created: int = OLD, answer: Any = "Yes.", **fields: Any) -> dict[str, Any]:
    message = answer if isinstance(answer, dict) else {"role": "assistant", "content": answer}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": id_, "object": "chat.completion", "created": created, "choices": choices, **fields}


def asked(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def account_of(*prompts: list[Message], **fields: Any) -> Account:
    """Completions `c0`, `c1`, ... with these messages, a second apart."""
    account = Account()
    for number, messages in enumerate(prompts):
        account.add(completion(f"c{number}", created=OLD + number, **fields), messages=messages)
    return account


def loaded(folder: Path) -> dict[str, list[Message]]:
    """The messages of each completion that was asked for them, put together again from their rows."""
    columns = ", ".join(COLUMNS)
    found: dict[str, list[Message]] = {
        id_: []
        for (id_,) in rows(
            folder, "select completion_id from chat.completions where messages_synced_at is not null"
        )
    }
    for id_, index, message_id, *values in rows(
        folder,
        f"select completion_id, message_index, message_id, {columns} from chat.messages"
        " order by completion_id, message_index",
    ):
        assert index == len(found[id_])
        row = dict(zip(COLUMNS, values, strict=True))
        extra = unescape(json.loads(row.pop("extra") or "{}"))
        row |= {name: row[name] and json.loads(row[name]) for name in ("content_parts", "tool_calls")}
        found[id_].append({"id": message_id, **row, **extra})
    return found


def listed(account: Account) -> dict[str, list[Message]]:
    """What the API lists of each completion."""
    stored = {id_: account.row(id_, NOW * 2) for id_ in account.ids()}
    return {id_: [json.loads(body) for _, body in stored_messages(row)] for id_, row in stored.items() if row}


def assert_messages(folder: Path, account: Account) -> None:
    expected = {id_: normal(messages) for id_, messages in listed(account).items()}
    assert {id_: normal(messages) for id_, messages in loaded(folder).items()} == expected
    assert_sound(folder)


def requests(sandbox: Sandbox) -> Counter[str]:
    """How often each completion was asked for its messages."""
    paths = [path for _, path, _ in sandbox.requests if path.endswith("/messages")]
    return Counter(path.split("/")[-2] for path in paths)


@pytest.fixture(scope="module")
def company() -> Account:
    return Account.generate(150)


@pytest.fixture(scope="module")
def folder(company: Account, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with messages, loaded in many rounds; tests only read it."""
    folder = tmp_path_factory.mktemp("messages")
    with serving(company) as sandbox:
        report = synced(sandbox, folder, messages=True, bounds=Bounds(messages=40))
        assert report.messages.messages_synced == 150
        assert set(requests(sandbox).values()) == {1}
    return folder


def test_messages_are_the_accounts(folder: Path, company: Account) -> None:
    assert_messages(folder, company)
    assert_exact(folder, company)


def test_the_run_says_what_was_read(folder: Path, company: Account) -> None:
    number = sum(map(len, listed(company).values()))
    run = rows(
        folder, "select outcome, messages_synced, messages_loaded, messages_failed from chat.sync_runs"
    )
    assert run == [("done", 150, number, 0)]


def test_children_have_the_day_of_their_completion(folder: Path) -> None:
    for table in ("messages", "prompts"):
        wrong = f"chat.{table} as child join chat.completions using (completion_id)"
        assert (
            one(
                folder,
                f"select count(*) from {wrong} where child.created_date is distinct from completions.created_date",
            )
            == 0
        )


def test_a_prompt_is_the_history_of_all_its_messages(folder: Path) -> None:
    """Whoever continues a completion has its prompt's hash, and its answer's, among his own."""
    continued = rows(
        folder,
        "select count(*), count(distinct messages.completion_id || messages.message_index)"
        " from chat.messages join chat.prompts on prompts.prompt_hash = messages.history_hash"
        " join chat.choices on choices.completion_id = prompts.completion_id"
        " and choices.answer_hash = messages.message_hash where messages.role = 'assistant'",
    )
    answers = one(folder, "select count(*) from chat.messages where role = 'assistant'")
    assert answers > 20
    assert continued[0][1] == answers


# Asked for once


def test_nothing_is_asked_for_twice(tmp_path: Path) -> None:
    account = account_of(asked("One?"), [], asked("Three?"))
    with serving(account) as sandbox:
        assert synced(sandbox, tmp_path, messages=True).messages.messages_loaded == 2
        again = synced(sandbox, tmp_path, messages=True)
        assert (again.outcome, again.published) == ("nothing_new", False)
        assert requests(sandbox) == {"c0": 1, "c1": 1, "c2": 1}
        account.add(completion("new", created=NOW - 5), messages=asked("Four?"))
        report = synced(sandbox, tmp_path, messages=True)
        assert (report.counts.rows_new, report.messages.messages_loaded) == (1, 1)
        assert requests(sandbox) == {"c0": 1, "c1": 1, "c2": 1, "new": 1}
    assert_messages(tmp_path, account)
    assert one(tmp_path, "select count(*) from chat.prompts") == 3


def test_the_filter_counts_for_messages_too(tmp_path: Path) -> None:
    account = account_of(asked("One?"), metadata={"team": "a"}, model="m")
    account.add(completion("b", metadata={"team": "b"}, model="m"), messages=asked("Two?"))
    account.add(completion("n", metadata={"team": "a"}, model="n"), messages=asked("Three?"))
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        assert requests(sandbox) == {}
        synced(sandbox, tmp_path, messages=True, model="m", metadata=["team=a"])
        assert requests(sandbox) == {"c0": 1}


def test_a_run_is_bounded_and_the_next_goes_on_oldest_first(tmp_path: Path) -> None:
    account = account_of(*[asked(f"{number}?") for number in range(30)])
    with serving(account) as sandbox:
        first = synced(sandbox, tmp_path, messages=True, max_messages=12, bounds=FEW)
        assert first.messages.messages_synced == 12
        assert set(requests(sandbox)) == {f"c{number}" for number in range(12)}
        synced(sandbox, tmp_path, messages=True, bounds=FEW)
        assert set(requests(sandbox).values()) == {1}
    assert_messages(tmp_path, account)


def test_a_completion_that_is_gone_is_not_asked_for_again(tmp_path: Path) -> None:
    account = Account()
    for number in range(2):
        account.add(completion(f"c{number}", created=1_700_000_000 + number), messages=asked("?"))
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        account.delete("c0")
        report = synced(sandbox, tmp_path, messages=True)
        assert (report.messages.messages_synced, report.messages.messages_failed) == (2, 0)
        synced(sandbox, tmp_path, messages=True)
        assert requests(sandbox) == {"c0": 1, "c1": 1}
    assert loaded(tmp_path).keys() == {"c0", "c1"}
    assert one(tmp_path, "select string_agg(completion_id) from chat.prompts") == "c1"


def test_a_404_right_after_the_completion_is_not_believed(tmp_path: Path) -> None:
    account = Account()
    account.add(completion("young", created=int(time.time()) - 2), messages=asked("One?"))
    with serving(account, now=time.time()) as sandbox:
        sandbox.faults.extend([Fault.status(404).on("/young/messages"), Fault.status(404).on("/young")])
        report = synced(sandbox, tmp_path, messages=True)
        assert (report.outcome, report.messages.messages_failed) == ("done", 1)
        assert synced(sandbox, tmp_path, messages=True).messages.messages_synced == 1
    assert_messages(tmp_path, account)


# What fails


def test_one_that_fails_is_no_reason_to_leave_out_the_others(tmp_path: Path) -> None:
    account = account_of(*[asked(f"{number}?") for number in range(20)])
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        sandbox.faults.extend([Fault.status(404).on("/c3/messages"), Fault.status(500).on("/c5/messages")])
        report = synced(sandbox, tmp_path, messages=True, max_attempts=1, bounds=FEW)
        assert (report.outcome, report.messages.messages_synced, report.messages.messages_failed) == (
            "done",
            18,
            2,
        )
        assert "Those of 2 could not be read" in " ".join(report.sentences())
        assert status(tmp_path / NAME).messages == {"read": 18, "waiting": 2, "failed": 2}
        assert loaded(tmp_path).keys() == set(account.ids()) - {"c3", "c5"}
        again = synced(sandbox, tmp_path, messages=True)
        assert (again.messages.messages_synced, again.messages.messages_failed) == (2, 0)
        assert status(tmp_path / NAME).messages == {"read": 20, "waiting": 0, "failed": 0}
        assert set(requests(sandbox).values()) == {1, 2}
    assert_messages(tmp_path, account)


def test_a_server_without_messages_is_not_asked_on_and_on(tmp_path: Path) -> None:
    account = account_of(*[asked(f"{number}?") for number in range(60)])
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        sandbox.faults.extend([Fault.status(404).on("/messages")] * 60)
        with pytest.raises(
            ServiceError, match=r"10 completions in a row could not be read.*may not store them"
        ):
            synced(sandbox, tmp_path, messages=True)
        assert sum(requests(sandbox).values()) < 30
        sandbox.faults.clear()
        synced(sandbox, tmp_path, messages=True)
    assert_messages(tmp_path, account)
    assert rows(tmp_path, "select outcome, messages_synced from chat.sync_runs order by started_at") == [
        ("done", 0),
        ("failed", 0),
        ("done", 60),
    ]


def test_a_key_without_the_permission_ends_it_and_keeps_what_was_read(tmp_path: Path) -> None:
    account = account_of(*[asked(f"{number}?") for number in range(20)])
    with serving(account) as sandbox:
        sandbox.faults.extend([Fault.none().on("/messages")] * 11 + [Fault.status(403).on("/messages")])
        with pytest.raises(AccessError):
            synced(sandbox, tmp_path, messages=True, bounds=FEW, in_flight=1)
        assert len(loaded(tmp_path)) == 11
        synced(sandbox, tmp_path, messages=True)
    assert_messages(tmp_path, account)


def test_a_wish_to_stop_keeps_what_was_read(tmp_path: Path) -> None:
    account = account_of(*[asked(f"{number}?") for number in range(40)])
    stop = Stop()

    class Stopping(Heard):
        def messages(self, done: int, total: int) -> None:
            super().messages(done, total)
            if done == 15:
                stop(signal.SIGTERM, None)

    watcher = Stopping()
    with serving(account) as sandbox:
        with pytest.raises(Stopped):
            synced(sandbox, tmp_path, messages=True, stop=stop, watcher=watcher, bounds=FEW)
        assert watcher.read[0] == (1, 40)
        assert 15 <= len(loaded(tmp_path)) < 40
        synced(sandbox, tmp_path, messages=True)
        assert set(requests(sandbox).values()) == {1}
    assert_messages(tmp_path, account)


# Several at a time, at a rate that the server bears


def test_eight_are_in_flight_and_a_refusal_that_one_meets_loses_nothing(tmp_path: Path) -> None:
    account = account_of(*[asked(f"{number}?") for number in range(30)])
    with serving(account, latency=0.02) as sandbox:
        sandbox.faults.extend([Fault.none().on("/messages")] * 12)
        sandbox.faults.extend([Fault.rate_limited(retry_after_ms=50).on("/messages")] * 4)
        report = synced(sandbox, tmp_path, messages=True)
        assert (report.retries, sandbox.busiest) == (4, 8)
        assert report.messages.messages_failed == 0
    assert_messages(tmp_path, account)


# Odd messages


def test_every_page_is_read_and_one_that_repeats_for_ever_is_a_failure(tmp_path: Path) -> None:
    long = [{"role": "user", "content": f"{number}"} for number in range(250)]
    account = account_of(long, long[:100], asked("?"))
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        sandbox.rules = type(sandbox.rules)(ignore_after=True, has_more="full_pages")
        report = synced(sandbox, tmp_path, messages=True)
        assert (report.messages.messages_synced, report.messages.messages_failed) == (1, 2)
        assert requests(sandbox) == {"c0": 2, "c1": 2, "c2": 1}
        sandbox.rules = type(sandbox.rules)(max_limit=30)
        synced(sandbox, tmp_path, messages=True)
    assert_messages(tmp_path, account)


ODD: list[Message] = [
    {"role": "user", "content": "half of a \ud83d", "name": "\udc00"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "t", "type": "function", "function": {}}]},
    {"role": "tool", "content": "42", "tool_call_id": "t", "vendor": {"n": 123456789012345678901234567890}},
    {"role": "user", "content": {"not": "text"}, "name": 7},
    {"role": "user", "content": "NUL \x00 and 'quotes' \"too\"; drop table chat.messages; --"},
    {"role": None, "content": ""},
    {"content": [{"type": "text", "text": "half \ud83d"}, {"type": "file", "file": {"file_id": "f"}}]},
    {"role": "user", "content": "x" * 1_000_000},
]


def test_nothing_of_a_message_is_lost(tmp_path: Path) -> None:
    last_word = [*asked("Write on"), {"role": "assistant", "content": "Once upon"}]
    vendors = [{"role": "user", "content": "a", "id": 5, "x$escaped": [1.50, "\ud83d"]}]
    account = account_of(ODD, vendors, last_word)
    with serving(account) as sandbox:
        synced(sandbox, tmp_path, messages=True)
    assert_messages(tmp_path, account)


def test_what_is_no_message_is_set_aside_whole(tmp_path: Path) -> None:
    body = '{"object":"list","data":[{"role":"user","content":"a"}, "b", "b", 3],"has_more":false}'
    with serving(account_of([])) as sandbox:
        sandbox.faults.extend([Fault.status(200, json.loads(body)).on("/messages")])
        synced(sandbox, tmp_path, messages=True)
    assert [message["content"] for message in loaded(tmp_path)["c0"]] == ["a"]
    assert rows(tmp_path, "select sha256, source, body from chat.quarantine order by body") == [
        (sha256(text.encode()).hexdigest(), "default", text) for text in ('"b"', "3")
    ]


def test_answers_that_are_listed_are_not_messages(tmp_path: Path) -> None:
    """Also where an earlier answer is the same as the last one, and only all of them are left out."""
    same = [*asked("Sure?"), {"role": "assistant", "content": "Yes."}, *asked("Really?")]
    three = [
        {"index": number, "message": {"role": "assistant", "content": f"Yes.{number or ''}"}}
        for number in range(3)
    ]
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    account = account_of(same)
    account.add(completion("several", choices=three), messages=same)
    called = {"role": "assistant", "content": None, "tool_calls": [call]}
    account.add(completion("called", answer=called), messages=asked("Call!"))
    with serving(account, list_answers=True) as sandbox:
        synced(sandbox, tmp_path, messages=True)
    assert_messages(tmp_path, account)
    assert rows(tmp_path, "select message_count from chat.prompts order by completion_id") == [
        (3,),
        (1,),
        (3,),
    ]


# Images


PIXEL = b"\x89PNG" + bytes(range(256)) * 4
URL = f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
DIGEST = sha256(PIXEL).hexdigest()


def with_images() -> Account:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": URL, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        {"type": "image_url", "image_url": {"url": "data:image/gif;base64,QUJ="}},
    ]
    return account_of([{"role": "user", "content": parts}], [{"role": "user", "content": parts[:2]}])


def test_images_can_be_kept_once(tmp_path: Path) -> None:
    account = with_images()
    with serving(account) as sandbox:
        synced(sandbox, tmp_path, messages=True, images="once")
    kept = rows(tmp_path, "select sha256, media_type, data from chat.attachments order by media_type")
    assert kept == [
        (sha256(b"ABC").hexdigest(), "application/pdf", b"ABC"),
        (DIGEST, "image/png", PIXEL),
    ]
    parts = loaded(tmp_path)["c0"][0]["content_parts"]
    urls = [
        part["image_url"]["url"] if part["image_url"] else part["file"]["file_data"] for part in parts[1:]
    ]
    assert urls == [
        f"data:image/png;sha256,{DIGEST}",
        "https://pictures.example/1.png",
        f"data:application/pdf;sha256,{kept[0][0]}",
        "data:image/gif;base64,QUJ=",
    ]
    text = json.dumps(loaded(tmp_path))
    for digest, _, data in kept:
        text = text.replace(f";sha256,{digest}", f";base64,{base64.b64encode(data).decode()}")
    assert normal(json.loads(text)) == normal(listed(account))


@pytest.mark.parametrize(
    ("sent", "stays"),
    [
        (URL, f"data:image/png;dropped,{len(PIXEL)}"),
        ("data:application/pdf;name=a.pdf;base64,QUI=", "data:application/pdf;name=a.pdf;dropped,2"),
        ("data:image/gif;base64,QUJ=", "data:image/gif;dropped,2"),
        ("data:,plain", "data:,plain"),
        ("https://pictures.example/1.png", "https://pictures.example/1.png"),
    ],
)
def test_images_can_be_dropped(sent: str, stays: str) -> None:
    for part in ({"image_url": {"url": sent}, "n": 1.50}, {"file": {"file_data": sent}}):
        raw = json.dumps([part]).encode()
        assert taken_out(raw, "drop") == (raw.replace(sent.encode(), stays.encode()), [])
        assert taken_out(raw, "keep") == (raw, [])


# What stays


def test_a_completion_that_is_replaced_keeps_its_messages(tmp_path: Path) -> None:
    account = account_of(asked("One?"), asked("Two?"))
    with serving(account) as sandbox:
        synced(sandbox, tmp_path, messages=True)
        before = rows(tmp_path, "select completion_id, messages_synced_at from chat.completions order by 1")
        account.update_metadata("c0", {"team": "a"})
        report = synced(sandbox, tmp_path, messages=True)
        assert (report.counts.rows_changed, report.messages.messages_synced) == (1, 0)
    assert (
        rows(tmp_path, "select completion_id, messages_synced_at from chat.completions order by 1") == before
    )
    assert_messages(tmp_path, account)
    assert one(tmp_path, "select count(answer_hash) from chat.choices") == 2


def test_the_walk_goes_on_where_a_run_that_read_only_messages_left_it(tmp_path: Path) -> None:
    account = account_of(*[asked(f"{number}?") for number in range(300)])
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        sandbox.clock.advance(100_000)
        assert synced(sandbox, tmp_path, messages=True).messages.messages_synced == 300
        assert synced(sandbox, tmp_path).counts.rows_seen == 1


def test_what_takes_long_is_published_meanwhile(tmp_path: Path) -> None:
    account = account_of(*[asked(f"{number}?") for number in range(20)])
    seen: list[int] = []

    class Looking(Heard):
        def messages(self, done: int, total: int) -> None:
            if done % 7 == 1:
                seen.append(one(tmp_path, "select count(messages_synced_at) from chat.completions"))

    with serving(account) as sandbox:
        bounds = Bounds(messages=7, publish_every=0)
        report = synced(sandbox, tmp_path, messages=True, watcher=Looking(), bounds=bounds, in_flight=1)
    assert seen == [0, 7, 14]
    assert report.published
    assert_messages(tmp_path, account)


@pytest.mark.parametrize("moments", [(3, 37)])
def test_killed_at_any_moment(tmp_path: Path, moments: tuple[int, ...]) -> None:
    """Each kill falls while messages are asked for or written; rounds that were written are not asked for again."""
    account = account_of(*[asked(f"{number}?") for number in range(60)])
    command = [sys.executable, str(DYING), "0", str(tmp_path / NAME), "10"]
    with serving(account, latency=0.002) as sandbox:
        synced(sandbox, tmp_path)
        env = environment(sandbox, tmp_path) | {"SOURCES__STORED_COMPLETIONS__MESSAGES": "true"}
        read = 0
        for moment in moments:
            process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, text=True)
            until(partial(is_asked, sandbox, moment), process)
            process.kill()
            assert process.wait() == -9
            synced(sandbox, tmp_path)
            assert_sound(tmp_path)
            before, read = read, len(loaded(tmp_path))
            assert before <= read < 60
            assert read >= moment - 18
        synced(sandbox, tmp_path, messages=True)
        assert max(requests(sandbox).values()) <= 1 + len(moments)
    assert_messages(tmp_path, account)


def is_asked(sandbox: Sandbox, moment: int) -> bool:
    """Whether so many completions were asked for their messages."""
    return len(requests(sandbox)) >= moment


def test_hashes_outlive_a_content_that_is_dropped_where_the_key_is_ones_own(tmp_path: Path) -> None:
    """With the warehouse's own key, which stands in the file, guesses could be tried: then there are none."""
    first = asked("My secret?")
    account = account_of(first, [*first, {"role": "assistant", "content": "Yes."}, *asked("And yours?")])
    found = {}
    for name, key in (("key", {"content_key": "k" * 32}), ("none", {})):
        folder = tmp_path / name
        folder.mkdir()
        with serving(account) as sandbox:
            synced(sandbox, folder, messages=True, content="drop", **key)
        assert_sound(folder)
        found[name] = (
            rows(folder, "select thread_id, turn_index, resent_tokens from marts.turns order by 2, 1"),
            rows(folder, "from chat.prompts order by completion_id"),
            rows(folder, "select answer_hash from chat.choices order by completion_id"),
        )
        assert rows(folder, "select distinct content from chat.messages") == [("[dropped]",)]
        assert b"secret" not in (folder / NAME).read_bytes()
    turns, prompts, answers = found["key"]
    assert [turn[:2] for turn in turns] == [("c0", 0), ("c0", 1)]
    assert len({*prompts, *answers} - {(None,)}) == 3
    turns, prompts, answers = found["none"]
    assert [turn[:2] for turn in turns] == [("c0", 0), ("c1", 0)]
    assert [(row[2], row[3], row[4]) for row in prompts] == [(1, None, None), (3, None, None)]
    assert set(answers) == {(None,)}


def test_another_key_is_refused_once_messages_were_read(tmp_path: Path) -> None:
    account = account_of(asked("One?"))
    own, key = {}, {"content_key": "k" * 32}
    with serving(account) as sandbox:
        for name, before, after in (("d0", own, key), ("d1", key, own)):
            account.add(completion(name, created=OLD), messages=asked("Two?"))
            synced(sandbox, tmp_path, messages=True, change_policy=True, **before)
            with pytest.raises(UsageError, match=r"Set the former key again .* --change-policy"):
                synced(sandbox, tmp_path, **after)
            synced(sandbox, tmp_path, **before)
