"""Logprobs -> rows: exact where they fit, and whole in the choice's `extra` where a part does not."""

import json
from datetime import date
from typing import Any

import pytest

from rebuild import load, read

TOKEN: dict[str, Any] = {"token": "Hi", "bytes": [72, 105], "logprob": -0.25, "top_logprobs": []}
Values = tuple[Any, ...]


def loaded(*logprobs: str) -> tuple[list[Values], list[Values], list[Any]]:
    """Rows of logprobs and of top_logprobs without completion and load id, and each choice's extra."""
    choices = ",".join(f'{{"index":{at},"logprobs":{raw}}}' for at, raw in enumerate(logprobs))
    tables = read(load(f'{{"id":"a","created":86400,"choices":[{choices}]}}'.encode()))
    extras = [json.loads(row["extra"]) if row["extra"] else None for row in tables["choices"]]
    rows = {name: [tuple(row.values()) for row in tables[name]] for name in ("logprobs", "top_logprobs")}
    for kind in rows.values():
        assert all(row[0] == "a" and row[-1] == "load" for row in kind)
    return [row[1:-1] for row in rows["logprobs"]], [row[1:-1] for row in rows["top_logprobs"]], extras


def tokens(*values: Any) -> str:
    return json.dumps({"content": list(values), "refusal": None})


DAY = date(1970, 1, 2)
HI = ("Hi", b"Hi", -0.25)


def test_tokens_and_alternatives_of_both_kinds() -> None:
    half = {"token": "\\xc3", "bytes": [195], "logprob": -9999.0}
    nothing = {"token": "", "bytes": None, "logprob": 0}
    raw = json.dumps({"content": [TOKEN, TOKEN | {"top_logprobs": [half, nothing]}], "refusal": [TOKEN]})
    rows, alternatives, extras = loaded(raw, "null", tokens(TOKEN))
    assert rows == [
        (0, "content", 0, DAY, *HI),
        (0, "content", 1, DAY, *HI),
        (2, "content", 0, DAY, *HI),
        (0, "refusal", 0, DAY, *HI),
    ]
    assert alternatives == [
        (0, "content", 1, 0, DAY, "\\xc3", b"\xc3", -9999.0),
        (0, "content", 1, 1, DAY, "", None, 0.0),
    ]
    assert extras == [None, None, None]


@pytest.mark.parametrize(
    ("token", "row"),
    [
        ({"bytes": None}, ("Hi", None, -0.25)),
        ({"bytes": []}, ("Hi", b"", -0.25)),
        ({"token": None}, (None, b"Hi", -0.25)),
        ({"token": "a\0b"}, ("a\0b", b"Hi", -0.25)),
        ({"logprob": -9999.0}, ("Hi", b"Hi", -9999.0)),
        ({"logprob": -1}, ("Hi", b"Hi", -1.0)),
        ({"logprob": None}, ("Hi", b"Hi", None)),
        ({"top_logprobs": None}, HI),
    ],
)
def test_what_fits_stands_in_columns_alone(token: Any, row: Any) -> None:
    assert loaded(tokens(TOKEN | token)) == ([(0, "content", 0, DAY, *row)], [], [None])


@pytest.mark.parametrize(
    ("token", "row"),
    [
        (TOKEN | {"vendor": 1}, HI),
        (TOKEN | {"bytes": [256]}, ("Hi", None, -0.25)),
        (TOKEN | {"bytes": [-1]}, ("Hi", None, -0.25)),
        (TOKEN | {"bytes": [72, None]}, ("Hi", None, -0.25)),
        (TOKEN | {"bytes": [72.0]}, ("Hi", None, -0.25)),
        (TOKEN | {"bytes": [True]}, ("Hi", None, -0.25)),
        (TOKEN | {"bytes": "Hi"}, ("Hi", None, -0.25)),
        (TOKEN | {"token": 5}, (None, b"Hi", -0.25)),
        (TOKEN | {"logprob": "-0.25"}, ("Hi", b"Hi", None)),
        (TOKEN | {"logprob": True}, ("Hi", b"Hi", None)),
        (TOKEN | {"logprob": 2**53 + 1}, ("Hi", b"Hi", None)),
        (TOKEN | {"logprob": -1e20}, ("Hi", b"Hi", -1e20)),
        (TOKEN | {"top_logprobs": {"Hi": -0.25}}, HI),
        (5, (None, None, None)),
    ],
)
def test_what_does_not_fit_stays_whole_beside_what_does(token: Any, row: Any) -> None:
    odd = {"content": [TOKEN, token], "refusal": None}
    rows, alternatives, extras = loaded(tokens(TOKEN), json.dumps(odd), tokens(TOKEN))
    assert rows == [
        (0, "content", 0, DAY, *HI),
        (1, "content", 0, DAY, *HI),
        (1, "content", 1, DAY, *row),
        (2, "content", 0, DAY, *HI),
    ]
    assert alternatives == []
    assert extras == [None, {"logprobs": odd}, None]


@pytest.mark.parametrize(
    ("token", "escaped"), [('{"logprob":NaN}', "NaN"), ('{"token":"\\ud800"}', "\\ud800"), ('"\x01"', "\x01")]
)
def test_what_no_json_column_can_hold_is_escaped(token: str, escaped: str) -> None:
    rows, _, extras = loaded(f'{{"content":[{token},{{"logprob":-1}}]}}')
    assert [row[-1] for row in rows] == [None, -1.0]
    assert escaped in extras[0]["logprobs$escaped"]


@pytest.mark.parametrize(
    "raw", ['"text"', "5", "true", '[{"token":"Hi"}]', '{"tokens":["Hi"],"token_logprobs":[-0.25]}']
)
def test_what_is_no_such_object_stays_whole(raw: str) -> None:
    assert loaded(raw) == ([], [], [{"logprobs": json.loads(raw)}])


@pytest.mark.parametrize(
    "raw", ["null", "[]", "{}", "{ }", '{"content":null,"refusal":[]}', '{"content":[ ]}']
)
def test_nothing_gives_no_row(raw: str) -> None:
    assert loaded(raw, tokens(TOKEN)) == ([(1, "content", 0, DAY, *HI)], [], [None, None])


def test_an_empty_element_is_a_row_of_nothing() -> None:
    assert loaded(tokens(None, {}))[0] == [(0, "content", at, DAY, None, None, None) for at in (0, 1)]


def test_servers_write_the_same_in_several_ways() -> None:
    """Each is read like the others: members in either order, on one line or on many."""
    weighed = TOKEN | {"top_logprobs": [{"token": 'a "b" \n', "logprob": -1e-07, "bytes": [255]}]}
    reordered = {name: weighed[name] for name in ("token", "logprob", "bytes", "top_logprobs")}
    other = {name: weighed[name] for name in ("top_logprobs", "bytes", "token", "logprob")}
    shapes = [
        *(json.dumps({"content": [token], "refusal": None}) for token in (weighed, reordered, other)),
        json.dumps({"content": [weighed], "refusal": None}, separators=(",", ":")),
        json.dumps({"content": [weighed]}, indent=2),
    ]
    rows, alternatives, extras = loaded(*shapes)
    assert [row[1:] for row in rows] == [("content", 0, DAY, *HI)] * 5
    assert [row[1:] for row in alternatives] == [("content", 0, 0, DAY, 'a "b" \n', b"\xff", -1e-07)] * 5
    assert extras == [None] * 5


def test_days_known_and_not_known_go_into_one_round() -> None:
    token = '{"token":"a","bytes":[97],"logprob":-1.0,"top_logprobs":[]}'
    pages = [
        f'{{"id":"{id_}","created":{created},"choices":[{{"index":0,"message":{{}},'
        f'"logprobs":{{"content":[{token}],"refusal":[{token}]}}}}]}}'.encode()
        for id_, created in (("a", "null"), ("b", "86400"), ("c", '"none"'), ("d", "172800"))
    ]
    days = {row["completion_id"]: row["created_date"] for row in read(load(*pages))["logprobs"]}
    assert days == {"a": None, "b": date(1970, 1, 2), "c": None, "d": date(1970, 1, 3)}
