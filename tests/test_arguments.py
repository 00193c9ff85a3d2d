"""Arguments of calls against the schemas of the tools offered: a verdict, or an honest unknown."""

import json
from typing import Any

import pytest
from msgspec import Raw

from stored_completions.completions import Rows
from stored_completions.items import item
from stored_completions.pages import Entry

Verdict = tuple[bool | None, str | None]
FITS: Verdict = (True, None)
UNKNOWN: Verdict = (None, None)

OBJECT = {
    "type": "object",
    "properties": {"order": {"type": "string", "pattern": "^[A-Z]-[0-9]+$"}, "floor": {"type": "integer"}},
    "required": ["order"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {"node": {"properties": {"kids": {"items": {"$ref": "#/$defs/node"}}, "n": {"type": "integer"}}}}
}


def tools(parameters: Any, name: str = "f") -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": name, "parameters": parameters}}]


def verdicts(offered: Any, *calls: dict[str, Any], legacy: dict[str, Any] | None = None) -> list[Verdict]:
    """Those of the calls of one completion, then of its legacy function_call if it has one."""
    message = {"tool_calls": list(calls)} | ({"function_call": legacy} if legacy else {})
    body = {"id": "a", "tools": offered, "choices": [{"index": 0, "message": message}]}
    rows = Rows("default", 0)
    listed = item(Entry(Raw(json.dumps(body).encode())))
    assert listed is not None
    rows.add(listed)
    made = {table.name: found.to_pylist() for table, found in rows.tables("load")}
    found = [(row["arguments_fit"], row["arguments_problem"]) for row in made["tool_calls"]]
    last = made["choices"][0]
    return [*found, *([(last["function_call_fit"], last["function_call_problem"])] if legacy else [])]


def call(arguments: Any, name: str = "f") -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": text}}


def verdict(parameters: Any, arguments: Any) -> Verdict:
    return verdicts(tools(parameters), call(arguments))[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"order": "A-1"}, FITS),
        ({"order": "A-1", "floor": 3}, FITS),
        ({"order": "A-1", "floor": 3.0}, FITS),
        ({"order": "A-1", "floor": 3.5}, (False, "type")),
        ({"order": "A-1", "floor": 10**40}, FITS),
        ({"order": "a-1"}, (False, "pattern")),
        ({}, (False, "required")),
        ({"order": "A-1", "x": None}, (False, "additionalProperties")),
        ([], (False, "type")),
        ("", (False, "not_json")),
        ('{"order": "A-1"', (False, "not_json")),
        ("NaN", (False, "not_json")),
    ],
)
def test_arguments_are_held_against_their_schema(arguments: Any, expected: Verdict) -> None:
    assert verdict(OBJECT, arguments) == expected


@pytest.mark.parametrize(
    "offered",
    [
        None,
        "none",
        [],
        [None, {"type": "function"}, {"function": {"name": 5, "parameters": OBJECT}}],
        tools(OBJECT, "g"),
        tools(None),
        tools([]),
        tools({"type": "nonsense"}),
        tools({"required": "order"}),
        [*tools(OBJECT), *tools({})],
        [{"type": "custom", "custom": {"name": "f"}}],
    ],
)
def test_without_one_good_schema_nothing_is_said_but_that_it_is_no_json(offered: Any) -> None:
    assert verdicts(offered, call({"order": 1}), call("{")) == [UNKNOWN, (False, "not_json")]


def test_a_custom_tool_takes_text_and_arguments_that_are_no_text_are_elsewhere() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "select"}}
    assert verdicts(tools(OBJECT), custom, {"function": {"name": "f", "arguments": {"order": 1}}}) == [
        UNKNOWN,
        UNKNOWN,
    ]


def test_each_call_is_held_against_its_own_tool_and_completion() -> None:
    both = [*tools({"required": ["a"]}, "f"), *tools({"required": ["b"]}, "g")]
    assert verdicts(both, call({"a": 1}), call({"a": 1}, "g"), call({}, "h"), legacy={"name": "g", "arguments": "{}"}) == [
        FITS,
        (False, "required"),
        UNKNOWN,
        (False, "required"),
    ]  # fmt: skip


def test_no_call_is_no_call() -> None:
    assert verdicts(tools(OBJECT), legacy={"name": "", "arguments": ""}) == [UNKNOWN]
    assert verdicts(tools(OBJECT), legacy={"name": "f", "arguments": ""}) == [(False, "not_json")]


@pytest.mark.parametrize(
    "reference",
    [
        "http://127.0.0.1:9/schema.json",
        "file:///etc/passwd",
        "other.json",
        "#anchor",
        "#/$defs/gone",
        "#/type/x",
    ],
)
def test_nothing_is_fetched(reference: str) -> None:
    assert verdict({"$ref": reference, "type": "object"}, {}) == UNKNOWN


@pytest.mark.parametrize("draft", ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"])  # fmt: skip
def test_references_within_a_schema_are_followed(draft: str) -> None:
    schema = {
        "$schema": draft,
        "properties": {"a": {"$ref": "#/$defs/x~1y"}},
        "$defs": {"x/y": {"type": "string"}},
    }
    assert [verdict(schema, {"a": "b"}), verdict(schema, {"a": 1})] == [FITS, (False, "type")]


def test_a_schema_of_another_kind_is_unknown() -> None:
    assert verdict({"$schema": "http://127.0.0.1:9/mine", "type": "object"}, {}) == UNKNOWN


def test_a_tree_is_judged_to_its_last_leaf() -> None:
    schema = TREE | {"$ref": "#/$defs/node"}
    leaf: dict[str, Any] = {"n": "one"}
    for _ in range(30):
        leaf = {"kids": [leaf]}
    assert verdict(schema, {"kids": [{"kids": [{"n": 1}]}]}) == FITS
    assert verdict(schema, leaf) == (False, "type")


def test_patterns_take_linear_time() -> None:
    schema = {"properties": {"a": {"pattern": "^(a+)+$"}}}
    assert verdict(schema, {"a": "a" * 5_000 + "b"}) == (False, "pattern")
    assert verdict({"properties": {"a": {"pattern": "(?=a)b"}}}, {"a": "b"}) == UNKNOWN
    assert verdict({"properties": {"a": {"pattern": "(a{1000}){1000}"}}}, {"a": "b"}) == UNKNOWN


def doubling(levels: int) -> dict[str, Any]:
    """Each level asks for the next twice: two to the power of `levels` ways through."""
    defs: dict[str, Any] = {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": defs | {f"d{levels}": {"type": "object"}}}


def neighbours(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"unevaluatedProperties": False}
    for at in range(levels):
        schema = {"allOf": [schema], "unevaluatedProperties": False, "properties": {f"k{at}": {}}}
    return schema


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


BRANCHING = {"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (doubling(8), {}, FITS),
        (doubling(40), {}, UNKNOWN),
        (neighbours(4), {}, FITS),
        (neighbours(40), {}, UNKNOWN),
        (BRANCHING, nested(5), FITS),
        (BRANCHING, nested(60), UNKNOWN),
        ({"$ref": "#"}, {}, FITS),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, {}, FITS),
        ({"$dynamicRef": "#x", "$dynamicAnchor": "x"}, {}, UNKNOWN),
        ({"properties": {f"p{at}": {} for at in range(10_000)}}, {}, UNKNOWN),
    ],
)
def test_what_could_explode_is_not_tried(schema: Any, value: Any, expected: Verdict) -> None:
    assert verdict(schema, value) == expected


def test_a_very_deep_schema_or_value_stops_nothing() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert verdict(OBJECT, deep) == (False, "not_json")
    assert verdict({"items": {"type": "string"}}, nested(400)) == FITS
    schema: Any = {}
    for _ in range(300):
        schema = {"not": schema}
    assert verdict(schema, {}) == UNKNOWN
