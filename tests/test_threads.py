"""Prompts, turns and threads: given hashes of who said what, the whole rows of the views, worked out by hand."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from duckdb import DuckDBPyConnection

from given import READ_AT, Row, insert, publish, rows, warehouse
from stored_completions.reports import rollup
from stored_completions.reports import threads as whole

START = datetime(2025, 3, 1, 23, 30, tzinfo=UTC)
DAY = date(2025, 3, 1)
MODEL = "m"


def completion(id_: str, seconds: int, **fields: Any) -> Row:
    at = START + timedelta(seconds=seconds)
    return {"completion_id": id_, "created_at": at, "model": MODEL, **fields}


COMPLETIONS = [
    completion("a1", 0),
    completion("a2", 60),
    completion("a2 again", 120),
    completion("a2 otherwise", 180, model="n"),
    completion("a3", 4_000),
    completion("call", 0),
    completion("called", 10),
    completion("same", 20),
    completion("same too", 30),
    completion("after same", 40, deleted_at=START),
    completion("late", 50),
    completion("elsewhere", 60, source="eu"),
    completion("unread", 70),
    {"completion_id": "undated", "created_at": None, "model": MODEL},
]
CHOICES = [
    ("a1", 0, "w", "W"),
    ("a1", 1, "x", "X"),
    ("a2", 0, "y", "Y"),
    ("a2 again", 0, "z", "Z"),
    ("a2 otherwise", 0, None, ""),
    ("a3", 0, "w", "W"),
    ("call", 0, "c", None),
    ("called", 0, "d", "D"),
    ("same", 0, "q", "Q"),
    ("same too", 0, "q", "Q"),
    ("after same", 0, "x", "X"),
    ("unread", 0, "x", "X"),
    ("undated", 0, "t", "T"),
]
PROMPTS = {
    "a1": ("p", 2, "s"),
    "a2": ("p x u", 4, "s"),
    "a2 again": ("p x u", 4, "s"),
    "a2 otherwise": ("p x v", 4, "s"),
    "a3": ("p x u y t", 7, "s"),
    "call": ("k", 1, None),
    "called": ("k c r", 3, None),
    "same": ("o", 1, None),
    "same too": ("o", 1, None),
    "after same": ("o q b", 3, None),
    "late": ("l", 3, None),
    "elsewhere": ("p x u", 4, "s"),
    "undated": ("n", 1, None),
}
RESENT = [
    ("a2", 2, "p", "x"),
    ("a2 again", 2, "p", "x"),
    ("a2 otherwise", 2, "p", "x"),
    ("a3", 2, "p", "x"),
    ("a3", 4, "p x u", "y"),
    ("called", 1, "k", None),
    ("after same", 1, "o", "q"),
    ("late", 1, "unheard of", "x"),
    ("elsewhere", 2, "p", "x"),
]
USAGE = [
    {"completion_id": "a1", "prompt_tokens": 1_500, "completion_tokens": 10, "total_tokens": 1_510},
    {
        "completion_id": "a2",
        "prompt_tokens": 1_700,
        "completion_tokens": 20,
        "total_tokens": 1_720,
        "cached_tokens": 1_024,
    },
    {"completion_id": "a2 again", "prompt_tokens": 1_450, "completion_tokens": 30, "total_tokens": 1_480},
    {"completion_id": "a2 otherwise", "prompt_tokens": 1_600, "completion_tokens": 40, "total_tokens": 1_640},
    {"completion_id": "a3", "prompt_tokens": 2_000, "completion_tokens": 50, "total_tokens": 2_050},
    {"completion_id": "called", "prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    {"completion_id": "same", "prompt_tokens": 1_023, "completion_tokens": 1, "total_tokens": 1_024},
    {"completion_id": "after same", "prompt_tokens": 2_000, "completion_tokens": 1, "total_tokens": 2_001},
]
CALLS = [("call", True), ("called", False), ("called", None), ("undated", False)]


@pytest.fixture(scope="module", params=["UTC", "America/Los_Angeles"])
def chat(request: pytest.FixtureRequest) -> Iterator[DuckDBPyConnection]:
    price = {"price_model_id": MODEL, "tier": "standard", "price_basis": "listed"}
    given = warehouse(
        completions=COMPLETIONS,
        choices=[
            {"completion_id": id_, "choice_index": index, "answer_hash": hash_, "content": content}
            for id_, index, hash_, content in CHOICES
        ],
        tool_calls=[
            {"completion_id": id_, "choice_index": 0, "tool_call_index": index, "arguments_valid": valid}
            for index, (id_, valid) in enumerate(CALLS)
        ],
        usage=USAGE,
        messages=[
            {
                "completion_id": id_,
                "message_index": index,
                "role": "assistant",
                "history_hash": before,
                "message_hash": hash_,
            }
            for id_, index, before, hash_ in RESENT
        ],
        prompts=[
            {
                "completion_id": id_,
                "prompt_hash": prompt,
                "message_count": count,
                "system_prompt_hash": instructions,
            }
            for id_, (prompt, count, instructions) in PROMPTS.items()
        ],
        model_price_rules=[{"rule_no": 1, "kind": "equals", "pattern": MODEL, "price_model_id": MODEL}],
        model_prices=[
            price
            | {
                "price_no": 1,
                "input": Decimal("0.010"),
                "cached_input": Decimal("0.004"),
                "output": Decimal(1),
            }
        ],
    )
    with given as connection:
        connection.execute(f"set TimeZone = '{request.param}'")
        publish(connection)
        yield connection


def turn(id_: str, thread: str | None = None, **differing: Any) -> Row:
    """A first turn unless it differs; counters and costs come from the usage given above."""
    given = next(row for row in COMPLETIONS if row["completion_id"] == id_)
    at = given["created_at"]
    used: Row = next((row for row in USAGE if row["completion_id"] == id_), {})
    _, count, _ = PROMPTS[id_]
    cached = used.get("cached_tokens")
    cost = None
    if used and given["model"] == MODEL:
        plain, read = used["prompt_tokens"] - (cached or 0), cached or 0
        cost = plain * Decimal("0.010") + read * Decimal("0.004") + used["completion_tokens"]
    return {
        "completion_id": id_,
        "source": given.get("source", "default"),
        "created_at": at,
        "created_date": at and at.date(),
        "model": given["model"],
        "thread_id": thread or id_,
        "thread_date": at and DAY,
        "turn_index": 0,
        "continues_id": None,
        "continues_choice_index": None,
        "continued_by": 0,
        "is_regenerated": False,
        "message_count": count,
        "new_messages": count,
        "unknown_answers": 0,
        "prompt_tokens": used.get("prompt_tokens"),
        "cached_tokens": cached,
        "completion_tokens": used.get("completion_tokens"),
        "seconds_since": None,
        "resent_tokens": 0,
        "cacheable_tokens": 0,
        "cost_usd": cost,
        "usage_basis": None if cost is None else "full" if cached else "no_details",
        "possible_saving_usd": None if cost is None else Decimal(0),
        "deleted_at": given.get("deleted_at"),
        **differing,
    }


def continuing(id_: str, thread: str, continues: tuple[str, int], index: int = 1, **differing: Any) -> Row:
    return turn(
        id_,
        thread,
        turn_index=index,
        continues_id=continues[0],
        continues_choice_index=continues[1],
        **differing,
    )


def test_turns(chat: DuckDBPyConnection) -> None:
    """1,500 tokens begin with 11 times 128 that can be cached, 1,450 as well; 1,023 are too few, another model and
    an hour later are too late, and no usage is not known."""
    saved = Decimal("0.006")
    expected = [
        turn("a1", continued_by=3),
        continuing(
            "a2",
            "a1",
            ("a1", 1),
            continued_by=1,
            new_messages=1,
            seconds_since=60,
            resent_tokens=1_500,
            cacheable_tokens=1_408,
            possible_saving_usd=(1_408 - 1_024) * saved,
        ),
        continuing(
            "a2 again",
            "a1",
            ("a1", 1),
            is_regenerated=True,
            new_messages=1,
            seconds_since=120,
            resent_tokens=1_450,
            cacheable_tokens=1_408,
            possible_saving_usd=1_408 * saved,
        ),
        continuing("a2 otherwise", "a1", ("a1", 1), new_messages=1, seconds_since=180, resent_tokens=1_500),
        continuing("a3", "a1", ("a2", 0), 2, new_messages=2, seconds_since=3_940, resent_tokens=1_700),
        turn("call", continued_by=1),
        continuing(
            "called",
            "call",
            ("call", 0),
            new_messages=1,
            seconds_since=10,
            resent_tokens=None,
            cacheable_tokens=None,
            possible_saving_usd=None,
        ),
        turn("same", continued_by=1),
        turn("same too"),
        continuing("after same", "same", ("same", 0), new_messages=1, seconds_since=20, resent_tokens=1_023),
        turn("late", unknown_answers=1),
        turn("elsewhere", unknown_answers=1),
        turn("undated"),
    ]
    found = rows(chat, "from marts.turns")
    assert sorted(found, key=by_id) == sorted(expected, key=by_id)


def by_id(row: Row) -> str:
    return str(row["completion_id"])


def test_threads(chat: DuckDBPyConnection) -> None:
    one = {
        "source": "default",
        "model": MODEL,
        "created_date": DAY,
        "begins_late": False,
        "turns": 1,
        "longest_turns": 1,
        "ends": 1,
        "regenerated_turns": 0,
        "prompt_tokens": None,
        "completion_tokens": None,
        "resent_tokens": 0,
        "resent_share": None,
        "cached_tokens": None,
        "cacheable_tokens": 0,
        "cacheable_share": None,
        "cost_usd": None,
        "unpriced_turns": 1,
        "possible_saving_usd": None,
    }

    def thread(id_: str, first: int, last: int, **differing: Any) -> Row:
        times = {
            "first_at": START + timedelta(seconds=first),
            "last_at": START + timedelta(seconds=last),
        }
        return {"thread_id": id_, **one, **times, **differing}

    expected = [
        thread(
            "a1",
            0,
            4_000,
            turns=5,
            longest_turns=3,
            ends=3,
            regenerated_turns=1,
            prompt_tokens=8_250,
            completion_tokens=150,
            resent_tokens=6_150,
            resent_share=6_150 / 8_250,
            cached_tokens=1_024,
            cacheable_tokens=2_816,
            cacheable_share=2_816 / 8_250,
            cost_usd=Decimal("170.356"),
            unpriced_turns=1,
            possible_saving_usd=Decimal("10.752"),
        ),
        thread(
            "call",
            0,
            10,
            turns=2,
            longest_turns=2,
            prompt_tokens=9,
            completion_tokens=1,
            resent_share=0.0,
            cacheable_share=0.0,
            cost_usd=Decimal("1.09"),
        ),
        thread(
            "same",
            20,
            40,
            turns=2,
            longest_turns=2,
            prompt_tokens=3_023,
            completion_tokens=2,
            resent_tokens=1_023,
            resent_share=1_023 / 3_023,
            cacheable_share=0.0,
            cost_usd=Decimal("32.23"),
            unpriced_turns=0,
            possible_saving_usd=Decimal(0),
        ),
        thread("same too", 30, 30),
        thread("late", 50, 50, begins_late=True),
        thread("elsewhere", 60, 60, begins_late=True, source="eu"),
        thread("undated", 0, 0, first_at=None, last_at=None, created_date=None),
    ]
    found = rows(chat, "from marts.threads order by thread_id")
    assert found == sorted(expected, key=lambda row: str(row["thread_id"]))


def test_prompts(chat: DuckDBPyConnection) -> None:
    """The prompt of a2 was sent three times: once again, and by another source."""
    found = {row["prompt_hash"]: row for row in rows(chat, "from marts.prompts")}
    assert set(found) == {prompt for prompt, _, _ in PROMPTS.values()}
    assert found["p x u"] == {
        "prompt_hash": "p x u",
        "system_prompt_hash": "s",
        "message_count": 4,
        "completion_id": "a2",
        "completions": 3,
        "models": 1,
        "answers": 2,
        "distinct_answers": 2,
        "tool_calls": 0,
        "invalid_tool_calls": 0,
        "prompt_tokens": 3_150,
        "completion_tokens": 50,
        "cost_usd": Decimal("75.356"),
        "unpriced_completions": 1,
        "first_seen_at": START + timedelta(seconds=60),
        "last_seen_at": START + timedelta(seconds=120),
    }
    assert found["k c r"] == {
        "prompt_hash": "k c r",
        "system_prompt_hash": None,
        "message_count": 3,
        "completion_id": "called",
        "completions": 1,
        "models": 1,
        "answers": 1,
        "distinct_answers": 1,
        "tool_calls": 2,
        "invalid_tool_calls": 1,
        "prompt_tokens": 9,
        "completion_tokens": 1,
        "cost_usd": Decimal("1.09"),
        "unpriced_completions": 0,
        "first_seen_at": START + timedelta(seconds=10),
        "last_seen_at": START + timedelta(seconds=10),
    }
    undated = {name: found["n"][name] for name in ("answers", "invalid_tool_calls", "first_seen_at")}
    assert undated == {"answers": 1, "invalid_tool_calls": 1, "first_seen_at": None}
    assert (found["o"]["answers"], found["o"]["distinct_answers"]) == (2, 1)
    assert (found["p"]["answers"], found["p"]["distinct_answers"]) == (2, 2)
    assert (found["p x v"]["answers"], found["p x v"]["distinct_answers"]) == (1, 0)


def test_each_completion_that_was_read_is_one_turn_of_one_thread(chat: DuckDBPyConnection) -> None:
    read = [(id_,) for id_ in sorted(PROMPTS)]
    assert (
        chat.execute("select completion_id from marts.turns order by completion_id collate c").fetchall()
        == read
    )
    (sums,) = chat.execute("select sum(turns), count(*) from marts.threads").fetchall()
    assert sums == (len(PROMPTS), 7)
    assert chat.execute("select sum(completions) from marts.prompts").fetchall() == [(len(PROMPTS),)]


@pytest.mark.parametrize("at_once", [1, 2, 4, 100])
def test_told_in_parts_they_are_the_same(chat: DuckDBPyConnection, at_once: int) -> None:
    chat.execute("begin")
    chat.execute("update reports.turns set message_count = 99, thread_id = completion_id")
    chat.execute("update reports.turns_marks set basis = 'other'")
    chat.execute("commit")
    assert len(rollup.stale_rows(chat)) > 0
    rollup.refresh(chat, turns_at_once=at_once)
    assert rollup.stale_rows(chat) == []
    assert chat.execute("select count(*) from duckdb_tables() where temporary").fetchall() == [(0,)]


def test_parts_are_whole_threads_of_few_turns(chat: DuckDBPyConnection) -> None:
    """`elsewhere` is of another source and no turn of `a1`, but begins as one: they are told together."""
    together = [
        {
            id_
            for (id_,) in chat.execute(
                f"select completion_id from chat.prompts where {part.where}"
            ).fetchall()
        }
        for part in whole.parts(chat, 2)
    ]
    assert sorted(id_ for part in together for id_ in part) == sorted(PROMPTS)
    assert {"a1", "a2", "a2 again", "a2 otherwise", "a3", "elsewhere"} in together
    assert any({"same", "same too", "after same"} <= part for part in together)
    assert len(together) > 3


def test_memory_for_threads_of_many_turns_is_given_back_after_an_error() -> None:
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '192MiB'")
        limit = "select current_setting('memory_limit')"
        connection.execute("begin")
        with pytest.raises(duckdb.ConversionException), whole.room_for(connection, 1_000_000):
            assert connection.execute(limit).fetchall() == [("858.3 MiB",)]
            connection.execute("select cast('no number' as integer)")
        connection.execute("rollback")
        assert connection.execute(limit).fetchall() == [("192.0 MiB",)]


@pytest.mark.parametrize("at_once", [1, 100])
def test_only_threads_that_changed_are_told_anew(at_once: int) -> None:
    """Each step leaves the table as its SQL has it, and no step touches `apart`, whose turn is spoiled before."""
    first = {"completion_id": "first", "created_at": START, "source": "default", "_dlt_load_id": "load"}
    fill = [completion(f"apart {number}", -number) for number in range(20)]
    with warehouse(
        completions=[*fill, completion("second", 90_000), completion("third", 90_060)],
        prompts=[
            *({"completion_id": row["completion_id"], "prompt_hash": row["completion_id"]} for row in fill),
            {"completion_id": "second", "prompt_hash": "p x u", "message_count": 3},
            {"completion_id": "third", "prompt_hash": "p x u y v", "message_count": 5},
        ],
        choices=[{"completion_id": "second", "choice_index": 0, "answer_hash": "y"}],
        messages=[
            {
                "completion_id": id_,
                "message_index": index,
                "role": "assistant",
                "history_hash": before,
                "message_hash": hash_,
            }
            for id_, index, before, hash_ in [
                ("second", 1, "p", "x"),
                ("third", 1, "p", "x"),
                ("third", 3, "p x u", "y"),
            ]
        ],
    ) as connection:
        publish(connection)
        assert threads(connection) == {"second": "second", "third": "second"}
        connection.execute("update reports.turns set message_count = 99 where completion_id = 'apart 7'")
        spoiled = [("reports.turns", DAY, 2)]

        def refreshed() -> dict[str, str]:
            rollup.refresh(connection, turns_at_once=at_once)
            assert [tuple(row.values()) for row in rollup.stale_rows(connection)] == spoiled
            return threads(connection)

        insert(connection, "completions", first | {"created_date": DAY, "messages_synced_at": READ_AT})
        insert(connection, "choices", _child("first", choice_index=0, answer_hash="x"))
        insert(connection, "prompts", _child("first", prompt_hash="p", message_count=1))
        assert refreshed() == {"first": "first", "second": "first", "third": "first"}

        connection.execute("update chat.choices set answer_hash = 'z' where completion_id = 'first'")
        connection.execute("update chat.completions set _dlt_load_id = 'next' where completion_id = 'first'")
        assert refreshed() == {"first": "first", "second": "second", "third": "second"}

        connection.execute("update chat.completions set deleted_at = now() where completion_id = 'third'")
        assert refreshed() == {"first": "first", "second": "second", "third": "second"}

        connection.execute("delete from chat.prompts where completion_id = 'second'")
        connection.execute(
            "update chat.completions set messages_synced_at = null where completion_id = 'second'"
        )
        assert refreshed() == {"first": "first", "third": "third"}


def _child(id_: str, **fields: Any) -> Row:
    return {"completion_id": id_, "created_date": DAY, **fields}


def threads(connection: DuckDBPyConnection) -> dict[str, str]:
    """The thread of each turn that is not `apart`."""
    found = connection.execute(
        "select completion_id, thread_id from marts.turns where not starts_with(completion_id, 'apart')"
    )
    return dict(found.fetchall())
