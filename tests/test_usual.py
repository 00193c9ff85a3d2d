"""The short way of the usual shape makes the rows of the exact one, or refuses: held against each other."""

import copy
import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from stored_completions import exact, usual
from stored_completions.completions import arrow
from stored_completions.exact import Gathered
from stored_completions.items import item
from stored_completions.pages import read_page
from stored_completions.sandbox import Account
from stored_completions.tables import TABLES
from test_round_trip import ANYTHING, FULL, ODD, ODD_NAMES, changed, encoded, parent, paths, renamed, spell

OURS = ("default", "hash", 1, 2, None, None)
MESSAGE = FULL["choices"][0]["message"]
CITATION = MESSAGE["annotations"][0]
USUAL = {
    **{name: value for name, value in FULL.items() if name != "x_groq"},
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
    "choices": [
        {
            "index": 1,
            "finish_reason": "tool_calls",
            "logprobs": None,
            "message": {
                "role": "assistant",
                "content": None,
                "refusal": "",
                "function_call": MESSAGE["function_call"],
                "audio": {
                    "id": "audio_1",
                    "expires_at": 1_700_000_000,
                    "transcript": "T",
                    "data": "UklGRg==",
                },
                "tool_calls": MESSAGE["tool_calls"][:2],
                "annotations": [CITATION, CITATION],
            },
        },
        FULL["choices"][1],
    ],
}

Made = tuple[dict[str, pa.Table], list[Any]]


def gathered() -> Gathered:
    return Gathered({table.name: [] for table in TABLES}, [])


def slices(rows: Gathered) -> list[Any]:
    return [vars(slice_) | {"raw": bytes(slice_.raw)} for slice_ in rows.slices]


def made(rows: Gathered) -> Made:
    return {table.name: arrow(table, rows.rows[table.name]) for table in TABLES}, slices(rows)


def is_usual(text: bytes) -> bool:
    """Whether the object takes the short way, and if so that both ways make the same of it."""
    (listed,) = read_page(b'{"data":[%b]}' % text).completions
    found = item(listed)
    assert found
    short, long = gathered(), gathered()
    exact.add(found, OURS, long)
    is_taken = usual.add(found, OURS, short)
    expected = long if is_taken else gathered()
    are_alike = repr((short.rows, slices(short))) == repr((expected.rows, slices(expected)))
    assert are_alike or made(short) == made(expected), text
    return is_taken


def every_change() -> Iterator[Any]:
    for path in paths(USUAL):
        if path == ("id",) or "logprobs" in path[:-1]:
            continue
        for to in ODD:
            yield changed(USUAL, path, to)
        for name in (None, *(ODD_NAMES if isinstance(path[-1], str) else ())):
            yield renamed(USUAL, path, name)


def test_every_fifth_change_makes_the_same_rows_both_ways_or_is_refused() -> None:
    assert is_usual(spell(USUAL, escaped=True).encode())
    taken = [
        is_usual(encoded(spell(completion, escaped=bool(at % 2), space=" " * (at % 3))))
        for at, completion in enumerate(islice(every_change(), 0, None, 5))
    ]
    assert 0.05 < sum(taken) / len(taken) < 0.95


def hash_and_rows(completion: Any) -> tuple[str, Made] | None:
    """Both of a completion of the usual shape."""
    (listed,) = read_page(b'{"data":[%b]}' % encoded(spell(completion, escaped=True))).completions
    found, rows = item(listed), gathered()
    assert found
    return (found.row_hash, made(rows)) if usual.add(found, OURS, rows) else None


def test_whatever_changes_a_row_changes_the_hash_and_order_does_not() -> None:
    plain = hash_and_rows(USUAL)
    assert plain
    for completion in islice(every_change(), 0, None, 11):
        found = hash_and_rows(completion)
        assert not found or found[1] == plain[1] or found[0] != plain[0], completion
    backwards = hash_and_rows({name: USUAL[name] for name in reversed(USUAL)})
    reordered = hash_and_rows(USUAL | {"metadata": dict(reversed(USUAL["metadata"].items()))})
    assert backwards
    assert reordered
    assert backwards[0] == reordered[0] == plain[0]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A completion of the usual shape, in which up to three values are others."""
    completion: dict[str, Any] = copy.deepcopy(USUAL)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from([path for path in paths(completion) if path != ("id",)]))
        parent(completion, path)[path[-1]] = draw(ANYTHING)
    return completion


@given(mutated(), st.booleans(), st.sampled_from(["", " ", "\r\n\t "]))
def test_any_completion_makes_the_same_rows_both_ways_or_is_refused(
    completion: dict[str, Any], escaped: bool, space: str
) -> None:
    is_usual(encoded(spell(completion, escaped=escaped, space=space)))


def test_names_may_be_repeated_and_escaped() -> None:
    text = json.dumps(USUAL)
    assert is_usual(text.replace('"seed"', '"\\u0073eed"').encode())
    assert is_usual(text.replace('"object": "chat.completion"', '"object": "chat\\u002ecompletion"').encode())
    assert is_usual(text.replace('"seed"', '"top_p": 1, "top_p": null, "seed": null, "seed"').encode())


def test_what_the_sandbox_generates_is_usual() -> None:
    generated = Account.generate(500, logprob_share=0.1).completions()
    assert all(is_usual(json.dumps(completion).encode()) for completion in generated)


def test_all_that_was_recorded_of_the_list_is_usual(corpus: Path) -> None:
    with gzip.open(corpus / "list_pages.ndjson.gz", "rt", encoding="utf-8") as lines:
        listed = [body for line in lines for body in json.loads(line)["body"]["data"]]
    assert all(is_usual(json.dumps(body).encode()) for body in listed)


def test_all_that_was_recorded_makes_the_same_rows_both_ways_or_is_refused(corpus: Path) -> None:
    taken = []
    for name in ("recorded.ndjson.gz", "assembled_logprobs.ndjson.gz"):
        with gzip.open(corpus / name, "rt", encoding="utf-8") as lines:
            taken += [is_usual(json.dumps(json.loads(line)["body"] | {"id": "a"}).encode()) for line in lines]
    assert sum(taken) > len(taken) / 2
