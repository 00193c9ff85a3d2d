"""The short way of logprobs makes the rows that Arrow's reader makes, or refuses: held against each other."""

import copy
import json
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from stored_completions import logprobs
from stored_completions.logprobs import Slice, logprob_tables
from stored_completions.pages import is_strict, utf8
from stored_completions.usual_logprobs import Unusual, entries, read
from test_round_trip import ANYTHING, ODD, ODD_NAMES, changed, encoded, parent, paths, renamed, spell
from test_round_trip import TOKEN as WEIGHED

ALONE = WEIGHED | {"bytes": None, "top_logprobs": []}
USUAL = {"content": [WEIGHED, ALONE, WEIGHED, WEIGHED | {"top_logprobs": None}, WEIGHED], "refusal": None}
MARKS = [
    '"',
    "\\",
    ",",
    "},",
    "}]}",
    "]",
    '{"token":',
    '","logprob":-1,"bytes":[1]}',
    '\\",\\"bytes\\":',
    "\n",
    "é",
]


def made(raw: bytes) -> Any:
    """Rows of two choices with these logprobs, and what stays whole of each."""
    slices = [Slice("a", index, 0, Raw(raw), {}) for index in range(2)]
    tables = logprob_tables(slices)
    rows = {name: sorted(map(repr, table.to_pylist())) for name, table in tables.items()}
    return rows, [slice_.extra for slice_ in slices]


def is_usual(raw: bytes) -> bool:
    """Whether they take the short way. Both ways make the same of them."""
    raw = utf8(raw)  # as every page is
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(logprobs, "entries", lambda _: None)
        expected = made(raw)
    assert made(raw) == expected, raw
    found = entries(raw)
    try:
        return found is not None and len(read([found.text] * 2)) == 2
    except Unusual:
        return False


def written(value: Any) -> list[str]:
    """The same JSON in the ways that servers write it."""
    return [
        json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        json.dumps(value),
        json.dumps(value, indent=2, ensure_ascii=False),
    ]


def in_order(value: Any, *names: str) -> Any:
    """The value with these members of each of its objects first."""
    if isinstance(value, list):
        return [in_order(item, *names) for item in value]
    if not isinstance(value, dict):
        return value
    ordered = {name: value[name] for name in names if name in value} | value
    return {name: in_order(item, *names) for name, item in ordered.items()}


def test_every_server_s_way_of_writing_is_usual() -> None:
    shapes = [
        USUAL,
        USUAL | {"refusal": []},
        {"content": USUAL["content"]},
        {"content": None, "refusal": USUAL["content"]},
        {"content": [], "refusal": [ALONE]},
    ]
    for shape in shapes:
        for names in (("token", "bytes", "logprob"), ("token", "logprob", "bytes")):
            assert all(is_usual(text.encode()) for text in written(in_order(shape, *names)))


def test_every_nineteenth_change_makes_the_same_rows_both_ways_or_is_refused() -> None:
    changes = [changed(USUAL, path, to) for path in paths(USUAL) for to in ODD]
    changes += [
        renamed(USUAL, path, name)
        for path in paths(USUAL)
        for name in (None, *ODD_NAMES)
        if isinstance(path[-1], str)
    ]
    taken = [is_usual(encoded(spell(odd, escaped=False))) for odd in islice(changes, 0, None, 19)]
    assert 0.05 < sum(taken) / len(taken) < 0.95


@given(
    st.lists(st.lists(st.sampled_from(MARKS) | st.text(max_size=3)).map("".join), min_size=1), st.booleans()
)
def test_a_token_may_look_like_what_stands_between_tokens(texts: list[str], escaped: bool) -> None:
    content = [WEIGHED | {"token": text, "bytes": list(text.encode("utf-8", "replace"))} for text in texts]
    raw = utf8(encoded(spell({"content": content, "refusal": None}, escaped=escaped)))
    assert is_usual(raw) or not is_strict(raw)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """The usual logprobs, in which up to three values are others."""
    value: Any = copy.deepcopy(USUAL)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(paths(value)) or [("content",)]))
        parent(value, path)[path[-1]] = draw(ANYTHING)
    return value


@given(mutated(), st.booleans(), st.sampled_from(["", " ", "\r\n\t "]))
def test_any_logprobs_make_the_same_rows_both_ways_or_are_refused(
    value: Any, escaped: bool, space: str
) -> None:
    is_usual(encoded(spell(value, escaped=escaped, space=space)))
