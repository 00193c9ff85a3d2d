"""The sandbox API over real HTTP: what it lists, what it refuses, and how it fails when it is told to."""

import gzip
import inspect
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from console import run
from stored_completions.sandbox import Account, Fault, Rules, Sandbox, faults

NOON = 1758024000
NOON_SAID = "Tue, 16 Sep 2025 12:00:00 GMT"
KEY = {"Authorization": "Bearer sk-anything"}
LIST = "/v1/chat/completions"


def completion(completion_id: str, created: int = NOON, **fields: Any) -> dict[str, Any]:
    return {
        "object": "chat.completion",
        "id": completion_id,
        "model": "gpt-4o-mini-2024-07-18",
        "created": created,
        "metadata": {},
        **fields,
    }


def account_of(*completions: dict[str, Any]) -> Account:
    account = Account()
    for each in completions:
        account.add(each)
    return account


def in_seconds(*counts: int) -> Account:
    """`counts[n]` rows in the n-th second from noon, called <second>.<number>."""
    return account_of(
        *(
            completion(f"{second}.{number}", NOON + second)
            for second, count in enumerate(counts)
            for number in range(count)
        )
    )


@contextmanager
def served(account: Account | None = None, **options: Any) -> Iterator[tuple[Sandbox, httpx.Client]]:
    with (
        Sandbox(account, **{"now": NOON + 1000.0, **options}) as sandbox,
        httpx.Client(base_url=sandbox.url, headers=KEY, verify=False) as client,
    ):
        yield sandbox, client


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["data"]]


def error(message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


# ---------------------------------------------------------------------------- lists


def test_newest_come_first_when_no_order_is_asked_for() -> None:
    with served(in_seconds(1, 1, 1)) as (_, client):
        assert ids(client.get(LIST)) == ["2.0", "1.0", "0.0"]
        assert ids(client.get(LIST, params={"order": "desc"})) == ["2.0", "1.0", "0.0"]
        assert ids(client.get(LIST, params={"order": "asc"})) == ["0.0", "1.0", "2.0"]


def test_a_page_is_an_envelope_around_the_stored_bytes() -> None:
    account = Account()
    account.add(b'{ "id":"b", "created":2,  "seed":-9007199254740993 }')
    account.add(b'{"id":"a","created":1,"x":1.0}')
    with served(account) as (_, client):
        assert client.get(LIST).content == (
            b'{"object":"list","data":[{ "id":"b", "created":2,  "seed":-9007199254740993 },'
            b'{"id":"a","created":1,"x":1.0}],"first_id":"b","last_id":"a","has_more":false}'
        )


def test_an_empty_page_has_null_ids() -> None:
    empty: dict[str, Any] = {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    with served() as (_, client):
        assert client.get(LIST).json() == empty
    with served(in_seconds(1)) as (_, client):
        assert client.get(LIST, params={"after": "0.0"}).json() == empty


def test_a_page_holds_twenty_rows_unless_asked_otherwise() -> None:
    with served(in_seconds(*[1] * 150)) as (_, client):
        assert len(ids(client.get(LIST))) == 20
        assert len(ids(client.get(LIST, params={"limit": 100}))) == 100
        everything = client.get(LIST, params={"limit": 150}).json()
        assert (len(everything["data"]), everything["has_more"]) == (150, False)
        assert client.get(LIST, params={"limit": 149}).json()["has_more"] is True


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_after_never_returns_the_rest_of_the_cursors_second(order: str) -> None:
    with served(in_seconds(1, 3, 1)) as (_, client):
        first = ids(client.get(LIST, params={"order": order, "limit": 2}))
        rest = ids(client.get(LIST, params={"order": order, "after": first[-1]}))
        assert first[1].startswith("1.")
        assert [first[0], *rest] == (["0.0", "2.0"] if order == "asc" else ["2.0", "0.0"])


def test_order_within_a_second_changes_from_request_to_request_but_not_from_run_to_run() -> None:
    def walks() -> list[list[str]]:
        with served(in_seconds(8, 8)) as (_, client):
            return [ids(client.get(LIST, params={"order": "asc"})) for _ in range(4)]

    seen = walks()
    assert all(sorted(walk) == sorted(seen[0]) for walk in seen)
    assert all(walk[:8] == sorted(walk[:8]) or walk[0][0] == "0" for walk in seen)
    assert len({tuple(walk) for walk in seen}) == 4
    assert walks() == seen


def test_positional_cursors_lose_nothing() -> None:
    account = in_seconds(5, 7, 3)
    for order in ("asc", "desc"):
        with served(account, cursor="positional") as (_, client):
            walked: list[str] = []
            while page := ids(
                client.get(
                    LIST, params={"order": order, "limit": 4} | ({"after": walked[-1]} if walked else {})
                )
            ):
                walked += page
        assert walked == (account.ids() if order == "asc" else account.ids()[::-1])


def test_filters_are_equality_and_add_up() -> None:
    account = account_of(
        completion("a", 1, metadata={"team": "x", "env": "prod"}),
        completion("b", 2, metadata={"team": "x", "env": "dev"}, model="gpt-4o-2024-08-06"),
        completion("c", 3, metadata={"team": "xy", "a[b]": "é"}),
        completion("d", 4, metadata=None),
    )
    with served(account) as (_, client):

        def found(**params: str) -> list[str]:
            return ids(client.get(LIST, params=params))

        assert found(model="gpt-4o-2024-08-06") == ["b"]
        assert found(model="gpt-4o") == []
        assert found(**{"metadata[team]": "x"}) == ["b", "a"]
        assert found(**{"metadata[team]": "x", "metadata[env]": "prod"}) == ["a"]
        assert found(**{"metadata[a[b]]": "é"}) == ["c"]
        assert found(**{"metadata[team]": "x", "after": "c"}) == ["b", "a"]
        account.add(completion("e", 5, metadata={"team": "x"}))
        account.update_metadata("a", {"team": "z"})
        account.delete("b")
        assert found(**{"metadata[team]": "x"}) == ["e"]


def test_positional_cursors_may_come_from_outside_the_filter() -> None:
    account = account_of(
        *(completion(str(number), number, model="even" if number % 2 == 0 else "odd") for number in range(6))
    )
    with served(account, cursor="positional") as (_, client):
        assert ids(client.get(LIST, params={"model": "even", "after": "3"})) == ["2", "0"]


def test_late_rows_appear_when_the_clock_reaches_them() -> None:
    account = in_seconds(1, 1)
    account.add(completion("late", NOON), visible_at=NOON + 60)
    missing = error("Completion late not found", "completion_id", "not_found")
    with served(account, now=NOON + 30) as (sandbox, client):
        assert ids(client.get(LIST)) == ["1.0", "0.0"]
        assert client.get(LIST, params={"after": "late"}).status_code == 400
        for path in (f"{LIST}/late", f"{LIST}/late/messages"):
            assert (client.get(path).status_code, client.get(path).json()) == (404, missing)
        assert client.delete(f"{LIST}/late").status_code == 404
        sandbox.clock.advance(30)
        assert sorted(ids(client.get(LIST))) == ["0.0", "1.0", "late"]
        assert client.get(f"{LIST}/late").json() == completion("late")


@pytest.mark.parametrize(
    ("vanished", "status", "expected"),
    [
        ("400", 400, error("Completion gone not found", "after", "not_found")),
        ("404", 404, error("Completion gone not found", "after", "not_found")),
        ("restart", 200, ["1.0", "0.0"]),
        ("empty", 200, []),
    ],
)
def test_a_cursor_that_is_gone(vanished: str, status: int, expected: Any) -> None:
    account = in_seconds(1, 1, 1)
    account.add(completion("gone"))
    account.delete("gone")
    account.delete("2.0")
    with served(account, vanished=vanished) as (_, client):
        answer = client.get(LIST, params={"after": "gone"})
        assert answer.status_code == status
        assert (ids(answer) if status == 200 else answer.json()) == expected


def test_servers_that_end_lists_differently() -> None:
    with served(in_seconds(1, 1, 1)) as (sandbox, client):

        def envelope(**params: Any) -> dict[str, Any]:
            answer: dict[str, Any] = client.get(LIST, params=params).json()
            return {name: value for name, value in answer.items() if name != "data"}

        sandbox.rules = Rules(has_more="full_pages")
        full = {"object": "list", "first_id": "2.0", "last_id": "0.0", "has_more": True}
        assert envelope(limit=3) == full
        assert envelope(limit=4) == {**full, "has_more": False}
        sandbox.rules = Rules(has_more="omitted")
        assert envelope(limit=3) == {"object": "list", "first_id": "2.0", "last_id": "0.0"}
        sandbox.rules = Rules(ignore_after=True)
        assert ids(client.get(LIST, params={"limit": 2, "after": "1.0"})) == ["2.0", "1.0"]


def test_a_limit_beyond_any_list() -> None:
    with served(account_of(completion("a", 1))) as (_, client):
        assert ids(client.get(LIST, params={"limit": str(2**63)})) == ["a"]


def test_limits_over_the_maximum() -> None:
    words = "Invalid 'limit': integer above maximum value. Expected a value <= 3, but got 4 instead."
    with served(in_seconds(*[1] * 9), max_limit=3) as (sandbox, client):
        refused = client.get(LIST, params={"limit": 4})
        assert (refused.status_code, refused.json()) == (
            400,
            error(words, "limit", "integer_above_max_value"),
        )
        assert len(ids(client.get(LIST, params={"limit": 3}))) == 3
        assert len(ids(client.get(LIST))) == 3
        sandbox.rules = Rules(max_limit=3, over_limit="clamp")
        clamped = client.get(LIST, params={"limit": 4}).json()
        assert (len(clamped["data"]), clamped["has_more"]) == (3, True)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            {"limit": "0"},
            error(
                "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.",
                "limit",
                "integer_below_min_value",
            ),
        ),
        (
            {"limit": "1e2"},
            error(
                "Invalid type for 'limit': expected an integer, but got a string instead.",
                "limit",
                "invalid_type",
            ),
        ),
        (
            {"metadata": "false"},
            error(
                "Invalid type for 'metadata': expected an object, but got a string instead.",
                "metadata",
                "invalid_type",
            ),
        ),
        *(
            (
                {name: "x"},
                error(
                    "Invalid type for 'metadata': expected an object, but got a string instead.",
                    "metadata",
                    "invalid_type",
                ),
            )
            for name in ("metadata[]", "metadata[a][b]")
        ),
        (
            {"order": "newest"},
            error(
                "Invalid value: 'newest'. Supported values are: 'asc' and 'desc'.", "order", "invalid_value"
            ),
        ),
    ],
)
def test_parameters_that_make_no_sense(params: dict[str, str], expected: Any) -> None:
    with served() as (_, client):
        answer = client.get(LIST, params=params)
        assert (answer.status_code, answer.json()) == (400, expected)


def test_a_hundred_thousand_rows_are_paged_by_cursor() -> None:
    account = Account()
    account.add_lines(b'{"id":"%d","created":%d}' % (number, number // 3) for number in range(100_000))
    with served(account) as (_, client):
        seen: set[str] = set()
        after: dict[str, str] = {}
        while page := ids(client.get(LIST, params={"order": "asc", "limit": 999, **after})):
            seen.update(page)
            after = {"after": page[-1]}
        assert 99_800 < len(seen) <= 100_000
        assert len(ids(client.get(LIST, params={"after": "99999", "limit": 1}))) == 1


# ---------------------------------------------------------------------------- one completion


def test_get_update_and_delete() -> None:
    account = Account()
    account.add(b'{"id":"a","created":1,"seed":18446744073709551616,"metadata":{"old":"x"},"top_p":1.0}')
    with served(account) as (_, client):
        changed = client.post(f"{LIST}/a", json={"metadata": {"new": "\u00e9", "k": ""}})
        expected = {
            "id": "a",
            "created": 1,
            "seed": 18446744073709551616,
            "metadata": {"new": "é", "k": ""},
            "top_p": 1.0,
        }
        assert (changed.status_code, changed.json()) == (200, expected)
        assert client.get(f"{LIST}/a").json() == expected
        assert client.get(LIST).json()["data"] == [expected]
        assert client.post(f"{LIST}/a", json={"metadata": None}).json()["metadata"] == {}
        assert client.delete(f"{LIST}/a").json() == {
            "object": "chat.completion.deleted",
            "id": "a",
            "deleted": True,
        }
        missing = error("Completion a not found", "completion_id", "not_found")
        for answer in (
            client.get(f"{LIST}/a"),
            client.delete(f"{LIST}/a"),
            client.get(f"{LIST}/a/messages"),
            client.post(f"{LIST}/a", json={"metadata": {}}),
        ):
            assert (answer.status_code, answer.json()) == (404, missing)
        assert ids(client.get(LIST)) == []


@pytest.mark.parametrize(
    ("body", "message", "param", "code"),
    [
        (b"{}", "Missing required parameter: 'metadata'.", "metadata", "missing_required_parameter"),
        (
            b'{"metadata":[]}',
            "Invalid type for 'metadata': expected an object, but got an array instead.",
            "metadata",
            "invalid_type",
        ),
        (
            b'{"metadata":{"n":1}}',
            "Invalid type for 'metadata.n': expected a string, but got an integer instead.",
            "metadata.n",
            "invalid_type",
        ),
        (
            json.dumps({"metadata": {str(number): "" for number in range(17)}}).encode(),
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
            "but got an object with 17 properties instead.",
            "metadata",
            "object_above_max_properties",
        ),
        (
            json.dumps({"metadata": {"k": "v" * 513}}).encode(),
            "Invalid 'metadata.k': string too long. Expected a string with maximum length 512, "
            "but got a string with length 513 instead.",
            "metadata.k",
            "string_above_max_length",
        ),
        (
            json.dumps({"metadata": {"k" * 65: "v"}}).encode(),
            "Invalid 'metadata': string too long. Expected a string with maximum length 64, "
            "but got a string with length 65 instead.",
            "metadata",
            "string_above_max_length",
        ),
    ],
)
def test_metadata_that_cannot_be(body: bytes, message: str, param: str, code: str) -> None:
    with served(account_of(completion("a"))) as (_, client):
        answer = client.post(f"{LIST}/a", content=body)
        assert (answer.status_code, answer.json()) == (400, error(message, param, code))
        assert client.get(f"{LIST}/a").json() == completion("a")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]"])
def test_an_update_that_is_no_json_object(body: bytes) -> None:
    with served(account_of(completion("a"))) as (_, client):
        answer = client.post(f"{LIST}/a", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith("We could not parse the JSON body")


def test_input_messages_are_paged_oldest_first() -> None:
    account = Account()
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:,"}},
    ]
    said: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello", "name": "ada"},
        {"role": "user", "content": parts},
    ]
    account.add(completion("a"), messages=said)
    none: dict[str, Any] = {"text": None, "image_url": None, "input_audio": None, "file": None}
    stored = [
        {"id": "a-0", "role": "system", "content": "Be brief.", "content_parts": None, "name": None},
        {"id": "a-1", "role": "user", "content": "Hello", "content_parts": None, "name": "ada"},
        {
            "id": "a-2",
            "role": "user",
            "content": "What is this? ",
            "content_parts": [
                {**none, **parts[0]},
                {**none, "type": "image_url", "image_url": {"url": "data:,", "detail": None}},
            ],
            "name": None,
        },
    ]
    with served(account) as (_, client):
        path = f"{LIST}/a/messages"
        assert client.get(path).json() == {
            "object": "list",
            "data": stored,
            "first_id": "a-0",
            "last_id": "a-2",
            "has_more": False,
        }
        assert client.get(path, params={"limit": 2}).json()["has_more"] is True
        assert client.get(path, params={"after": "a-1"}).json()["data"] == stored[2:]
        assert client.get(path, params={"order": "desc", "after": "a-1"}).json()["data"] == stored[:1]
        assert client.get(path, params={"after": "a-2"}).json() == {
            "object": "list",
            "data": [],
            "first_id": None,
            "last_id": None,
            "has_more": False,
        }
        assert client.get(path, params={"after": "a-9"}).status_code == 400


# ---------------------------------------------------------------------------- objects that break the schema


BROKEN = [
    b'{"id":"text","created":"1715361795"}',
    b'{"id":"zero","created":0}',
    b'{"id":"float","created":1715361795.75}',
    b'{"created":5}',
    b'{"id":"nan","created":5,"temperature":NaN}',
    b'{"id":"huge","created":5,"seed":123456789012345678901234567890}',
    b'{"id":"deep","created":5,"x":' + b"9" * 5000 + b"}",
    b'{"id":"surrogate","created":5,"metadata":{"k":"\\ud800"}}',
    b'{"id":"nul","created":5,"content":"\\u0000"}',
    b'{"id":"\xff","created":5}',
    b'{"id":7,"created":true}',
    b'{"id":"","created":null}',
    b"[1,2]",
    b'{"id":"cut","created":5',
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_whatever_is_stored_is_served_byte_for_byte(body: bytes) -> None:
    account = in_seconds(1)
    account.add(body)
    with served(account) as (_, client):
        answer = client.get(LIST, params={"order": "asc"}).content
        assert body in answer
        assert len(account) == 2


def test_unusable_seconds_have_a_place_of_their_own() -> None:
    account = Account()
    account.add({"id": "text", "created": "20"})
    account.add({"id": "float", "created": 10.9})
    account.add({"id": "placed", "created": "soon"}, at=15)
    account.add({"id": "last", "created": None})
    assert account.ids() == ["float", "placed", "text", "last"]


def test_python_objects_that_utf8_cannot_carry_are_escaped() -> None:
    account = account_of(
        {"id": "a", "created": 1, "text": "\ud800é", "temperature": float("nan"), "seed": 2**70}
    )
    with served(account) as (_, client):
        assert client.get(f"{LIST}/a").content == (
            b'{"id":"a","created":1,"text":"\\ud800\\u00e9","temperature":NaN,"seed":1180591620717411303424}'
        )


def test_repeated_ids_are_all_listed() -> None:
    account = account_of(completion("a", 1, n=1), completion("a", 2, n=2))
    with served(account) as (_, client):
        assert [each["n"] for each in client.get(LIST).json()["data"]] == [2, 1]
        assert client.get(f"{LIST}/a").json()["n"] == 2


def test_an_account_from_a_file(tmp_path: Path) -> None:
    wrapped = {"completion": completion("b", NOON + 1), "messages": [{"role": "user", "content": "Hi"}]}
    lines = [json.dumps(completion("a")), "", json.dumps(wrapped), '{"id":"c","created":NaN}']
    plain, packed = tmp_path / "account.ndjson", tmp_path / "account.ndjson.gz"
    plain.write_text("\n".join(lines))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        with served(Account.from_ndjson(path)) as (_, client):
            assert sorted(ids(client.get(LIST))) == ["a", "b", "c"]
            assert ids(client.get(f"{LIST}/b/messages")) == ["b-0"]


# ---------------------------------------------------------------------------- who may ask, and for what


def test_any_key_will_do_but_none_will_not() -> None:
    with served() as (sandbox, client):
        assert client.get(LIST).status_code == 200
        assert httpx.get(sandbox.url + LIST, headers={"api-key": "azure"}).status_code == 200
        for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic abc"}):
            answer = httpx.get(sandbox.url + LIST, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"]["message"].startswith("You didn't provide an API key.")


@pytest.mark.parametrize(
    ("key", "masked"),
    [("sk-proj-0123456789abcdef", "sk-proj-************cdef"), ("sk-short", "s*******"), ("x", "x")],
)
def test_a_wrong_key_is_refused_and_masked(key: str, masked: str) -> None:
    with served(api_key="sk-right") as (sandbox, _):
        answer = httpx.get(sandbox.url + LIST, headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()) == (
            401,
            error(
                f"Incorrect API key provided: {masked}. "
                "You can find your API key at https://platform.openai.com/account/api-keys.",
                code="invalid_api_key",
            ),
        )
        assert httpx.get(sandbox.url + LIST, headers={"api-key": "sk-right"}).status_code == 200


def test_other_methods_and_other_places() -> None:
    with served() as (_, client):
        answer = client.post(LIST, json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
        assert answer.json() == error("Only GET requests are accepted.", code="method_not_supported")
        assert client.put(f"{LIST}/a").headers["allow"] == "GET, POST, DELETE"
        assert client.head(LIST).status_code == client.request("QUERY", LIST).status_code == 405
        assert client.get("/v1/models").json() == error("Invalid URL (GET /v1/models)")


def test_azure_paths_are_the_same_account() -> None:
    with served(in_seconds(1)) as (sandbox, _):
        answer = httpx.get(
            f"{sandbox.url}/openai{LIST}", params={"api-version": "preview"}, headers={"api-key": "k"}
        )
        assert ids(answer) == ["0.0"]


def test_every_answer_says_when_and_which() -> None:
    with served(now=NOON) as (sandbox, client):
        answers = [client.get(LIST), client.get(f"{LIST}/x"), httpx.get(sandbox.url + LIST)]
        assert {answer.headers["date"] for answer in answers} == {NOON_SAID}
        assert len({answer.headers["x-request-id"] for answer in answers}) == 3
        assert all(answer.headers["openai-processing-ms"].isdigit() for answer in answers)
        sandbox.rules = Rules(date_header=False)
        assert "date" not in client.get(LIST).headers


def test_a_connection_is_kept() -> None:
    with served(in_seconds(1)) as (sandbox, _), httpx.Client(headers=KEY) as client:
        streams = set()
        for path in (LIST, f"{LIST}/nothing", LIST, "/nowhere"):
            answer = client.get(sandbox.url + path)
            streams.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
        assert len(streams) == 1


def test_requests_are_noted() -> None:
    with served(in_seconds(1)) as (sandbox, client):
        client.get(LIST, params={"limit": 5, "metadata[a]": "b"})
        client.delete(f"{LIST}/0.0")
        client.get("/sandbox/status")
        assert sandbox.requests == [
            ("GET", LIST, {"limit": "5", "metadata[a]": "b"}),
            ("DELETE", f"{LIST}/0.0", {}),
        ]


def test_rules_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="vanished is one of 400, 404, restart, empty, not 'gone'"):
        Sandbox(Account(), vanished="gone")
    with pytest.raises(TypeError):
        Sandbox(Account(), speed=3)


def test_a_stopped_sandbox_answers_nobody() -> None:
    with Sandbox(in_seconds(1)) as sandbox, httpx.Client(headers=KEY) as client:
        url = sandbox.url + LIST
        client.get(url)
        sandbox.stop()
        with pytest.raises(httpx.TransportError):
            client.get(url)
        with pytest.raises(RuntimeError, match="not started"):
            _ = sandbox.base_url


def test_many_threads_at_once() -> None:
    account = Account()
    with served(account) as (_, client), ThreadPoolExecutor(8) as pool:

        def busy(thread: int) -> None:
            for number in range(25):
                account.add(completion(f"{thread}.{number}", NOON + number))
                assert client.get(LIST, params={"limit": 50, "model": "gpt-4o-mini-2024-07-18"}).is_success

        list(pool.map(busy, range(8)))
        assert len(account) == 200
        assert account.ids() == sorted(account.ids(), key=lambda each: int(each.split(".")[1]))


# ---------------------------------------------------------------------------- faults


RATE = {
    "error": {
        "message": "Rate limit reached. Please try again later.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
}


@pytest.mark.parametrize(
    ("fault", "status", "header", "body"),
    [
        (Fault.rate_limited(), 429, {}, RATE),
        (Fault.rate_limited(retry_after_ms=50), 429, {"retry-after-ms": "50"}, RATE),
        (Fault.rate_limited(retry_after=1.5), 429, {"retry-after": "1.5"}, RATE),
        (Fault.rate_limited(retry_at=NOON), 429, {"retry-after": NOON_SAID}, RATE),
        (Fault.status(418, {"a": 1}, {"x-a": "b"}), 418, {"x-a": "b"}, {"a": 1}),
        (Fault.not_a_list(), 200, {"content-type": "application/json"}, {"status": "ok"}),
    ],
)
def test_answers_in_place_of_the_apis_own(
    fault: Fault, status: int, header: dict[str, str], body: dict[str, Any]
) -> None:
    with served(in_seconds(1)) as (sandbox, client):
        sandbox.faults.extend([fault])
        answer = client.get(LIST)
        assert (answer.status_code, answer.json()) == (status, body)
        assert header.items() <= dict(answer.headers).items()
        assert ids(client.get(LIST)) == ["0.0"]


@pytest.mark.parametrize("status", [400, 403, 408, 409, 500, 502, 503, 504, 599])
def test_any_status_has_an_error_body(status: int) -> None:
    with served() as (sandbox, client):
        sandbox.faults.extend([Fault.status(status)])
        answer = client.get(LIST)
        assert answer.status_code == status
        assert answer.json()["error"].keys() == {"message", "type", "param", "code"}


def test_a_quota_that_is_used_up() -> None:
    with served() as (sandbox, client):
        sandbox.faults.extend([Fault.quota()])
        answer = client.get(LIST)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")


def test_bodies_that_are_no_json() -> None:
    with served() as (sandbox, client):
        sandbox.faults.extend([Fault.html(), Fault.not_json(), Fault.status(502, "Bad gateway")])
        html, cut, text = client.get(LIST), client.get(LIST), client.get(LIST)
        assert (html.status_code, html.headers["content-type"]) == (200, "text/html; charset=utf-8")
        for answer in (html, cut, text):
            with pytest.raises(json.JSONDecodeError):
                answer.json()
        assert (text.status_code, text.text) == (502, "Bad gateway")


@pytest.mark.parametrize(
    ("fault", "raised", "words"),
    [
        (Fault.cut(), httpx.RemoteProtocolError, "without sending complete message body"),
        (Fault.cut(0), httpx.RemoteProtocolError, "received 0 bytes"),
        (Fault.reset(), httpx.ReadError, "reset"),
        (Fault.reset(0.5), httpx.ReadError, "reset"),
        (Fault.close(), httpx.RemoteProtocolError, "without sending a response"),
    ],
)
def test_connections_that_end_early(fault: Fault, raised: type[Exception], words: str) -> None:
    with served(in_seconds(*[1] * 20)) as (sandbox, client):
        client.get(LIST)
        sandbox.faults.extend([fault])
        with pytest.raises(raised, match=words):
            client.get(LIST)
        assert len(ids(client.get(LIST))) == 20


def test_slow_answers() -> None:
    with served(in_seconds(1), latency=0.01) as (sandbox, client):
        started = perf_counter()
        client.get(LIST)
        assert perf_counter() - started >= 0.01
        sandbox.faults.extend([Fault.slow(0.05)])
        with pytest.raises(httpx.ReadTimeout):
            client.get(LIST, timeout=0.02)
        assert ids(client.get(LIST)) == ["0.0"]


def test_redirects() -> None:
    with served(in_seconds(1)) as (sandbox, client):
        sandbox.faults.extend([Fault.redirect(f"{sandbox.url}{LIST}?limit=1")])
        assert client.get(LIST).status_code == 307
        sandbox.faults.extend([Fault.redirect(f"{sandbox.url}{LIST}?limit=1", 302)])
        assert ids(client.get(LIST, follow_redirects=True)) == ["0.0"]


def test_faults_are_met_in_order_by_the_requests_they_are_meant_for() -> None:
    with served(in_seconds(1)) as (sandbox, client):
        sandbox.faults.extend(
            [Fault.status(503).on("/messages"), Fault.none(), Fault.status(500), Fault.status(502)]
        )
        wanted = [LIST, LIST, f"{LIST}/0.0/messages", LIST, LIST]
        assert [client.get(path).status_code for path in wanted] == [200, 500, 503, 502, 200]
        sandbox.faults.extend([Fault.status(500)] * 3)
        assert len(sandbox.faults) == 3
        sandbox.faults.clear()
        assert client.get(LIST).status_code == 200


# ---------------------------------------------------------------------------- driven by another process


def test_control_over_http() -> None:
    with served(in_seconds(1), now=NOON) as (_, client):
        assert client.post(
            "/sandbox/faults", json=[{"fault": "status", "status": 500}, {"fault": "cut", "path": "/x"}]
        ).json() == {"faults_waiting": 2}
        lines = [
            json.dumps(completion("b", NOON + 1)),
            json.dumps({"completion": completion("c"), "visible_at": NOON + 9}),
        ]
        assert client.post("/sandbox/completions", content="\n".join(lines)).json() == {"added": 2}
        lines = [json.dumps({"completion": {"id": "nan", "x": float("nan")}, "visible_at": NOON + 99})]
        assert client.post("/sandbox/completions", content="\n".join(lines)).json() == {"added": 1}
        listed = [completion("d", NOON + 2), {"completion": completion("e"), "at": NOON + 3}]
        assert client.post("/sandbox/completions", json=listed).json() == {"added": 2}
        assert [client.get(LIST).status_code, client.get("/v1/models").status_code] == [500, 404]
        assert ids(client.get(LIST)) == ["e", "d", "b", "0.0"]
        assert client.post("/sandbox/clock", json={"advance": 8.5}).json() == {"now": NOON + 8.5}
        assert client.post("/sandbox/clock", json={"now": NOON + 10}).json() == {"now": NOON + 10}
        assert len(ids(client.get(LIST))) == 5
        assert client.post("/sandbox/rules", json={"max_limit": 2, "over_limit": "clamp"}).json() == {}
        assert len(ids(client.get(LIST, params={"limit": 9}))) == 2
        status = client.get("/sandbox/status").json()
        assert status.pop("seconds") >= 0
        assert status == {
            "completions": 6,
            "newest_created": NOON + 3,
            "now": NOON + 10,
            "requests": 5,
            "requests_by_kind": {"list": 4, "other": 1},
            "faults_waiting": 1,
        }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sandbox/faults", [{"fault": "earthquake"}]),
        ("/sandbox/faults", [{"fault": "cut", "colour": 1}]),
        ("/sandbox/faults", [{"status": 500}]),
        ("/sandbox/clock", {"forward": 3}),
        ("/sandbox/clock", {}),
        ("/sandbox/rules", {"vanished": "gone"}),
        ("/sandbox/nothing", {}),
    ],
)
def test_control_requests_that_make_no_sense(path: str, body: Any) -> None:
    with served() as (sandbox, client):
        assert client.post(path, json=body).status_code == (404 if path.endswith("nothing") else 400)
        assert client.post("/sandbox/completions", content=b"[{").status_code == 400
        assert (len(sandbox.faults), len(sandbox.account)) == (0, 0)


@pytest.mark.parametrize("verbose", [False, True])
def test_nothing_is_said_unless_asked_for(verbose: bool, capfd: pytest.CaptureFixture[str]) -> None:
    with served(in_seconds(1), verbose=verbose) as (sandbox, client):
        client.get(LIST, params={"limit": 3})
        sandbox.faults.extend([Fault.reset()])
        with pytest.raises(httpx.ReadError):
            client.get(LIST)
    out, err = capfd.readouterr()
    assert out == ""
    assert [line.split('"')[1:] for line in err.splitlines()] == (
        [
            ["GET /v1/chat/completions?limit=3 HTTP/1.1", " 200 184"],
            ["GET /v1/chat/completions HTTP/1.1", " 200 184"],
        ]
        if verbose
        else []
    )


def test_a_running_clock_can_be_moved() -> None:
    with Sandbox() as sandbox:
        before = sandbox.clock.now()
        sandbox.clock.advance(3600)
        assert 3600 <= sandbox.clock.now() - before < 3660


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serving_ends_cleanly_when_told_to(number: int) -> None:
    program = (
        "from stored_completions.sandbox import Account\n"
        "from stored_completions.sandbox.serve import serve\n"
        "serve(Account.generate(3), announce=lambda url: print(url, flush=True))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert len(ids(httpx.get(f"{url}/chat/completions", headers=KEY))) == 3
        process.send_signal(number)
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


# ---------------------------------------------------------------------------- held against recorded traffic


def exchanges(corpus: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.open(corpus / "http_exchanges.ndjson.gz")]


def recorded_account(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every stored completion that any recorded answer shows, as first shown."""
    shown: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["method"] == "GET" and row["status"] == 200 and "/messages" not in row["uri"]:
            for each in row["response_body"].get("data", [row["response_body"]]):
                shown.setdefault(each["id"], each)
    return shown


def said_at(row: dict[str, Any]) -> float:
    return parsedate_to_datetime(row["response_headers"]["date"]).timestamp()


def test_every_recorded_list_page_is_what_the_sandbox_answers(corpus: Path) -> None:
    """The same seconds in the same order and the same has_more, on all pages of the recorded account.

    A row can be seen from three seconds after `created` until its recorded deletion.
    """
    rows = exchanges(corpus)
    stored = recorded_account(rows)
    deleted = {row["uri"].rsplit("/", 1)[1]: said_at(row) for row in rows if row["method"] == "DELETE"}
    pages = [row for row in rows if row["method"] == "GET" and urlsplit(row["uri"]).path == LIST]
    assert len(pages) == 34
    for page in pages:
        account, now = Account(), said_at(page)
        for each in stored.values():
            if deleted.get(each["id"], now) >= now:
                account.add(each, visible_at=each["created"] + 3)
        with served(account, now=now) as (_, client):
            answer = client.get(f"{LIST}?{urlsplit(page['uri']).query}").json()
        recorded = page["response_body"]
        assert answer.keys() == recorded.keys()
        assert [each["created"] for each in answer["data"]] == [each["created"] for each in recorded["data"]]
        assert answer["has_more"] == recorded["has_more"]


def recorded_messages(rows: list[dict[str, Any]], completion_id: str) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if f"/{completion_id}/messages" in row["uri"] and row["status"] == 200:
            found.update((message["id"], message) for message in row["response_body"]["data"])
    return [found[message_id] for message_id in sorted(found)]


def test_recorded_answers_about_one_completion_are_the_sandboxs_word_for_word(corpus: Path) -> None:
    rows = exchanges(corpus)
    stored = recorded_account(rows)
    about_one = [row for row in rows if urlsplit(row["uri"]).path.startswith(f"{LIST}/")]
    assert len(about_one) == 52
    for row in about_one:
        url, account = urlsplit(row["uri"]), Account()
        completion_id = url.path.split("/")[4]
        if row["status"] == 200:
            body = {**row["response_body"], "id": completion_id, "metadata": {}}
            account.add(
                stored.get(completion_id, body),
                messages=recorded_messages(rows, completion_id),
            )
        with served(account) as (_, client):
            answer = client.request(row["method"], f"{url.path}?{url.query}", json=row["request_body"])
        assert (answer.status_code, answer.json()) == (row["status"], row["response_body"])
        assert answer.headers["content-type"] == row["response_headers"]["content-type"]


def test_the_recorded_refusal_of_a_key(corpus: Path) -> None:
    (recorded,) = [row for row in exchanges(corpus) if row["status"] == 401]
    with served(api_key="right") as (sandbox, _):
        answer = httpx.get(sandbox.url + LIST, headers={"api-key": "not-a-real-key"})
    expected = recorded["response_body"]["error"]
    assert answer.headers["content-type"] == recorded["response_headers"]["content-type"]
    assert {**answer.json()["error"], "message": None} == {**expected, "message": None}
    unmasked = answer.json()["error"]["message"].partition("not-a-re")
    assert (unmasked[0], unmasked[2].partition(". ")[2]) == (
        expected["message"].partition("not-a-re")[0],
        expected["message"].partition(". ")[2],
    )


def test_the_help_names_every_fault_and_what_it_takes() -> None:
    said = run("sandbox", "--help", at=Path.cwd()).out
    for name in faults.NAMES:
        assert re.search(rf"^.*\b{name}\b.*$", said, re.M)
        for argument in inspect.signature(getattr(Fault, name)).parameters:
            assert re.search(rf"\b{name} \([^)]*\b{argument}\b", said), (name, argument)


def test_a_fault_that_is_told_too_little_says_what_it_takes() -> None:
    with pytest.raises(ValueError, match=r"'redirect'.*'location'; it takes: location, status"):
        Fault.read({"fault": "redirect"})
    with pytest.raises(ValueError, match=r"'quota'.*it takes: nothing"):
        Fault.read({"fault": "quota", "retry_after": 5})
