"""Nothing is lost: from the tables alone each API object can be rebuilt, however odd it is."""

import copy
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebuild import Tables, load, normal, read, rebuild, same, through_duckdb
from stored_completions.sandbox import Account
from stored_completions.tables import TABLES

Path_ = tuple[str | int, ...]


class Digits(str):
    """A number as it is written, where Python would write it in another way."""


TOKEN = {
    "token": " é",
    "bytes": [32, 195, 169],
    "logprob": -0.25,
    "top_logprobs": [
        {"token": " é", "bytes": [32, 195, 169], "logprob": -0.25},
        {"token": "\\xc3", "bytes": [195], "logprob": -9999.0},
    ],
}
FULL: dict[str, Any] = {
    "id": "chatcmpl-full",
    "object": "chat.completion",
    "created": 1738960610,
    "model": "gpt-5.4",
    "service_tier": "default",
    "system_fingerprint": "fp_50cad350e4",
    "request_id": "req_1",
    "input_user": "user-1",
    "seed": 4944116822809979520,
    "temperature": 1.0,
    "top_p": 0.95,
    "presence_penalty": 0,
    "frequency_penalty": -0.5,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_object"},
    "moderation": {"input": {"flagged": False}},
    "metadata": {"team": "x", "": "empty key"},
    "x_groq": {"id": "req_2", "usage": {"queue_time": 0.01}},
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "queue_time": 0.001,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 1, "x": 1},
        "completion_tokens_details": {"reasoning_tokens": 2, "accepted_prediction_tokens": 0},
    },
    "choices": [
        {
            "index": 1,
            "finish_reason": "tool_calls",
            "content_filter_results": {"hate": {"filtered": False}},
            "logprobs": None,
            "message": {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Let me think.",
                "refusal": "",
                "function_call": {"name": "f", "arguments": '{"a":1}'},
                "audio": {"id": "a", "data": "UklGRg==", "expires_at": 1738964210, "transcript": "Hi"},
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}},
                    {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "SELECT 1"}},
                    {"id": "c3", "type": "mcp", "index": 2, "mcp": {"name": "h"}},
                ],
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "start_index": 0,
                            "end_index": 2,
                            "title": "T",
                            "url": "https://e.x",
                        },
                    },
                    {"type": "url_citation", "title": "flat", "url": "https://e.y"},
                ],
            },
        },
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": {"content": [TOKEN, TOKEN | {"bytes": None}], "refusal": [TOKEN]},
            "message": {"role": "assistant", "content": " é é"},
        },
    ],
}
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.0, 0.5, -9999.0, 1e20, 5e-324),
    *(2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 10**30),
    *(float("nan"), float("inf"), -float("inf"), 253402300800),
    *map(Digits, ("1e400", "-1e400", "0.12345678901234567890123", "1E2", "-0", "-0.0", "9007199254740993.0")),
    *(
        "",
        "text",
        "1715361795",
        "null",
        "{}",
        '{"a":',
        "UklGRg",
        "not base64!",
        "a\0b",
        "é✓😀",
        "\u2028\ufffe",
    ),
    *("\ud800", "lone \udc00 low", '\t\n\r\x1f\x7f\\"', "$escaped"),
    *([], {}, [None], [{}], [[]], ["a", None], [1, 256, -1], [0, None], [195], [True], [1.0], [float("nan")]),
    *({"a": None}, {"": ""}, {"a$escaped": "x"}, {"$escaped": "{}"}, {"\ud800": 1}, {"a": {"b$escaped": 1}}),
    *({"\udfff$escaped": ["\ud800"]}, {"name": "n", "arguments": {}}, {"content": []}, {"token": "a"}),
    *([{"a$escaped": '"x"'}], [{"token": "a"}], {"index": 0}, {"tokens": ["a"], "token_logprobs": [-1]}),
]
ODD_NAMES = [
    "",
    "x",
    "id$escaped",
    "$escaped",
    "$escaped$escaped",
    "\ud800",
    "\udfff$escaped",
    "a\0b",
    'q"\\',
    "é",
]
LOGPROBS = ("choices", 1, "logprobs")
OPAQUE = ("tools", "tool_choice", "response_format", "moderation", "x_groq", "content_filter_results")


def spell(value: Any, *, escaped: bool, space: str = "") -> str:
    """JSON as a server may write it: surrogates and control characters escaped or as they are."""
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, dict):
        names = ((spell(name, escaped=escaped), item) for name, item in value.items())
        members = (
            f"{name}{space}:{space}{spell(item, escaped=escaped, space=space)}" for name, item in names
        )
        return f"{{{space}{f'{space},'.join(members)}{space}}}"
    if isinstance(value, list):
        items = (spell(item, escaped=escaped, space=space) for item in value)
        return f"[{space}{f',{space}'.join(items)}{space}]"
    if isinstance(value, str) and not escaped:
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"'
    return json.dumps(value)


def paths(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    """Where every value is that stands in `value`, at any level."""
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, item in members:
        yield (*here, step)
        yield from paths(item, (*here, step))


def parent(value: Any, path: Path_) -> Any:
    for step in path[:-1]:
        value = value[step]
    return value


def changed(completion: dict[str, Any], path: Path_, to: Any) -> dict[str, Any]:
    completion = copy.deepcopy(completion)
    parent(completion, path)[path[-1]] = to
    return completion


def lost(texts: list[str], tables: Tables) -> list[Any]:
    """What differs of each object that cannot be rebuilt: the top-level fields as sent and as rebuilt."""
    rebuilt = rebuild(tables)
    aside = [normal(json.loads(row["body"], strict=False)) for row in tables["quarantine"]]
    missing = []
    for sent in (json.loads(text, strict=False) for text in texts):
        found = (
            rebuilt.get(sent["id"]) if isinstance(sent, dict) and isinstance(sent.get("id"), str) else None
        )
        if not same(sent, found) and normal(sent) not in aside:
            left, right = normal(sent) or {}, normal(found) or {}
            names = [name for name in left | right if left.get(name) != right.get(name)]
            missing.append([(name, left.get(name), right.get(name)) for name in names])
    return missing


def invalid_json(tables: Tables) -> list[str]:
    """JSON columns that DuckDB cannot read."""
    texts = [
        row[column.name]
        for table in TABLES
        for column in table.columns
        if column.type == "json"
        for row in tables[table.name]
    ]
    query = "select value from (select unnest(?::varchar[]) as value) where not json_valid(value)"
    with duckdb.connect() as connection:
        return [value for (value,) in connection.execute(query, [texts]).fetchall()]


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def every_change() -> Iterator[dict[str, Any]]:
    """FULL with each of its values replaced by every odd one, left out, and put under every odd name.

    Logprobs only where it is they that change: they take most of the time.
    """
    light = changed(FULL, LOGPROBS, None)
    for path in paths(FULL):
        if path == ("id",) or (path[0] in OPAQUE and len(path) > 2) or _is_repeated(path):
            continue
        completion = FULL if path[:3] == LOGPROBS else light
        yield from (changed(completion, path, to) for to in ODD)
        yield renamed(completion, path, None)
        if isinstance(path[-1], str):
            yield from (renamed(completion, path, name) for name in ODD_NAMES)


def _is_repeated(path: Path_) -> bool:
    """Whether it lies in a token like the first, or in the second alternative."""
    in_logprobs = path[:3] == LOGPROBS and len(path) > 4
    return in_logprobs and (path[3] == "refusal" or path[4] == 1 or path[6:7] == (1,))


def renamed(completion: dict[str, Any], path: Path_, name: str | None) -> dict[str, Any]:
    """`completion` with the value at `path` under another name, or left out."""
    completion = copy.deepcopy(completion)
    holder = parent(completion, path)
    value = holder.pop(path[-1])
    return completion if name is None else changed(completion, (*path[:-1], name), value)


def test_every_change_of_a_completion_is_rebuilt_from_parquet_and_duckdb(tmp_path: Path) -> None:
    """Half of them written with escapes, half with everything raw that Python's json lets through."""
    fifth = islice(every_change(), 0, None, 5)  # no path has a multiple of 5 changes: each meets others
    completions = [completion | {"id": f"c{at}"} for at, completion in enumerate(fifth)]
    differences = []
    for start in range(0, len(completions), 1000):
        texts = [
            spell(item, escaped=bool(at % 2)) for at, item in enumerate(completions[start : start + 1000])
        ]
        folder = tmp_path / str(start)
        folder.mkdir()
        tables = through_duckdb(load(*map(encoded, texts)), folder)
        assert tables["quarantine"] == []
        differences += lost(texts, tables)
    assert differences[:3] == []


ANYTHING = st.recursive(
    st.sampled_from(ODD) | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(ODD_NAMES) | st.text(), inner, max_size=3)
    ),
    max_leaves=6,
).map(copy.deepcopy)  # what is drawn may be changed again
GENERATED = Account.generate(30, seed=3, logprob_share=0.1, tokens=3, top_logprobs=2).completions()


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A completion with one to four things about it changed, at any level."""
    completion: dict[str, Any] = copy.deepcopy(draw(st.sampled_from([FULL, *GENERATED])))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(list(paths(completion)) or [("x",)]))
        holder, step = parent(completion, path), path[-1]
        if isinstance(holder, list):
            change = draw(st.sampled_from(["set", "remove", "repeat", "insert", "reverse"]))
        else:
            change = draw(st.sampled_from(["set", "set", "remove", "rename", "add"]))
        match change:
            case "set":
                holder[step] = draw(ANYTHING)
            case "remove":
                holder.pop(step)
            case "repeat":
                holder.append(copy.deepcopy(holder[step]))
            case "insert":
                holder.insert(step, draw(ANYTHING))
            case "reverse":
                holder.reverse()
            case "rename":
                holder[draw(st.sampled_from(ODD_NAMES))] = holder.pop(step)
            case "add":
                holder[draw(st.sampled_from(ODD_NAMES) | st.text())] = draw(ANYTHING)
    return completion


@given(st.lists(mutated(), min_size=1, max_size=3), st.booleans(), st.sampled_from(["", " ", "\r\n\t "]))
def test_any_page_is_rebuilt(completions: list[dict[str, Any]], escaped: bool, space: str) -> None:
    for place, completion in enumerate(completions):
        completion["id"] = f"c{place}" if isinstance(completion.get("id"), str) else completion.get("id")
    texts = [spell(completion, escaped=escaped, space=space) for completion in completions]
    tables = read(load(*map(encoded, texts)))
    assert lost(texts, tables) == []
    assert invalid_json(tables) == []


@given(st.lists(ANYTHING, max_size=4), st.booleans())
def test_any_list_is_loaded_or_set_aside(entries: list[Any], escaped: bool) -> None:
    texts = [spell(entry, escaped=escaped) for entry in entries]
    tables = read(load(*map(encoded, texts)))
    assert tables["completions"] == []
    assert lost(texts, tables) == []


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("", None),
        (True, 1),
        (False, 0),
        (False, None),
        (0, None),
        ("1", 1),
        (1, 1.5),
        (2**53, 2**53 + 1),
        (float("nan"), None),
        (float("nan"), "<NaN>"),
        ([None], []),
        (["a", "b"], ["b", "a"]),
        ({"a": 1}, {"b": 1}),
        ("\ud800", "\ufffd"),
    ],
)
def test_these_differ(left: Any, right: Any) -> None:
    for path in (
        ("x",),
        ("usage", "x"),
        ("choices", 0, "x"),
        ("choices", 0, "message", "tool_calls", 0, "x"),
    ):
        assert not same(changed(FULL, path, left), changed(FULL, path, right))
        assert same(changed(FULL, path, left), changed(FULL, path, left))


@pytest.mark.parametrize(("left", "right"), [(1, 1.0), (0.0, -0.0), (None, []), ({}, []), ({"a": None}, {})])
def test_these_are_the_same(left: Any, right: Any) -> None:
    assert same(changed(FULL, ("choices", 0, "x"), left), changed(FULL, ("choices", 0, "x"), right))


def test_the_order_of_choices_is_that_of_their_index_alone() -> None:
    choices = FULL["choices"]
    assert same(FULL, FULL | {"choices": choices[::-1]})
    assert not same(FULL, FULL | {"choices": [choices[0] | {"index": 0}, choices[1] | {"index": 1}]})
    unnumbered = [{name: choice[name] for name in choice if name != "index"} for choice in choices]
    assert not same(FULL | {"choices": unnumbered}, FULL | {"choices": unnumbered[::-1]})
    assert not same(FULL | {"choices": unnumbered[::-1]}, FULL)


def test_the_order_of_tool_calls_and_tokens_counts() -> None:
    for path in (("choices", 0, "message", "tool_calls"), ("choices", 1, "logprobs", "content")):
        assert not same(FULL, changed(FULL, path, _value_at(FULL, path)[::-1]))


@given(mutated(), st.data())
def test_rebuild_sees_every_change(completion: dict[str, Any], data: st.DataObject) -> None:
    """The comparison is no rubber stamp: whatever else a value becomes is a difference."""
    sent = json.loads(spell(completion, escaped=True))
    path = data.draw(st.sampled_from(list(paths(sent))))
    value = json.loads(spell(data.draw(ANYTHING), escaped=True))
    other = changed(sent, path, value)
    assert same(sent, other) == (normal(_value_at(sent, path)) == normal(value))


def _value_at(completion: Any, path: Path_) -> Any:
    return parent(completion, path)[path[-1]]
