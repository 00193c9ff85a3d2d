"""A page cut into slices: every digit kept, whatever Python's json would read is read, nothing else is."""

import json
from typing import Any

import pytest

from stored_completions.errors import ServiceError
from stored_completions.pages import Fields, Page, elements, fields, is_strict, joined, loads, read_page, utf8


def cut(page: Page) -> list[Fields | bytes]:
    """Each object as its members, anything else as its text."""
    return [
        bytes(entry.text)
        if entry.members is None
        else {name: bytes(raw) for name, raw in entry.members.items()}
        for entry in page.completions
    ]


def test_a_page() -> None:
    body = b'{"object":"list", "data":[{"id": "a", "x":[1 , 2]}, 5 ,{}],"has_more":true}'
    page = read_page(body)
    assert cut(page) == [{"id": b'"a"', "x": b"[1 , 2]"}, b"5", {}]
    assert (page.has_more, page.size) == (True, len(body))


@pytest.mark.parametrize(
    ("sent", "said"),
    [("true", True), ("false", False), ("null", None), ('"true"', None), ("1", None), ("[]", None)],
)
def test_has_more_is_what_was_said_and_nothing_that_was_not(sent: str, said: bool | None) -> None:
    assert read_page(f'{{"data":[],"has_more":{sent}}}'.encode()).has_more is said


@pytest.mark.parametrize(
    "body", [b'{"status":"ok"}', b"[]", b'{"data":{}}', b'{"data":null}', b"null", b'"NaN"', b"NaN"]
)
def test_json_that_is_no_list_names_the_likely_cause(body: bytes) -> None:
    with pytest.raises(ServiceError, match="OPENAI_BASE_URL"):
        read_page(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"data":[{"id":"a"}',
        b'{"data":[]} {}',
        b'{"data":[01]}',
        b'{"data":["\xff"]}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_page(body)


@pytest.mark.parametrize(
    "odd",
    [
        '"\\ud800"',
        '"\\udc00x"',
        "NaN",
        "-Infinity",
        '"a\x00b"',
        '"tab\there"',
        '"�"',
        '{"�": "\\ud83d"}',
        "1e400",
        "1" * 5000,
        '"\\ud83d\\ude00"',
        '"é"',
        '[1,{"a":NaN}]',
        "[ ]",
    ],
)
def test_odd_values_are_cut_like_any_other(odd: str) -> None:
    text = f'{{"data": [ {{"a":1 , "odd" : {odd} ,"b":"\\n"}} ,{odd}]}}'
    page = read_page(text.encode("utf-8", "surrogatepass"))
    raw = utf8(odd.encode("utf-8", "surrogatepass"))
    assert cut(page)[0] == {"a": b"1", "odd": raw, "b": b'"\\n"'}
    assert cut(page)[1] == (fields(raw) or raw)


def test_surrogates_encoded_as_bytes_become_escapes() -> None:
    assert utf8(b'"\xed\xa0\x80"') == b'"\\ud800"'
    assert utf8("é😀".encode()) == "é😀".encode()


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"9223372036854775808", 2**63),
        (b"1" * 400, int("1" * 400)),
        (b"1" * 5000, float("inf")),
        (b"-1e400", -float("inf")),
        (b'"\\ud800"', "\ud800"),
        (b"1.0", 1.0),
    ],
)
def test_values_keep_every_digit_there_is_room_for(raw: bytes, value: Any) -> None:
    assert loads(raw) == value
    assert type(loads(raw)) is type(value)


@pytest.mark.parametrize(
    "raw", [b"1e400", b'"\\u0000"', b'{"a":1,"a":2}', b'"\x7f"', b" 1 ", b'"\\ud83d\\ude00"']
)
def test_strict_json(raw: bytes) -> None:
    assert is_strict(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"NaN",
        b"01",
        b"+1",
        b"1.",
        b"[1,]",
        b"1 2",
        b"'a'",
        b'"\t"',
        b'"\\ud800"',
        b'{"\\udc00":1}',
        b'"\\x"',
        b"tru",
    ],
)
def test_what_duckdb_or_a_strict_reader_would_refuse(raw: bytes) -> None:
    assert not is_strict(raw)


def test_the_last_of_repeated_names_counts_as_in_python() -> None:
    assert fields(b'{"a":1,"a":2}') == {"a": b"2"}
    assert fields(b'{"a":NaN,"a":2}') == {"a": b"2"}


@pytest.mark.parametrize("raw", [b"[]", b"5", b"null", b'"{}"', b"NaN"])
def test_fields_of_what_is_no_object(raw: bytes) -> None:
    assert fields(raw) is None


@pytest.mark.parametrize("raw", [b"{}", b"5", b"null", b'"[]"', b"NaN"])
def test_elements_of_what_is_no_array(raw: bytes) -> None:
    assert elements(raw) is None


def test_members_are_joined_as_they_were_cut() -> None:
    raw = b'{"a":[1 ,2],"\\ud800":NaN,"":"\\u0000"}'
    assert joined(fields(raw) or {}) == raw
    assert json.loads(joined({'q"': b"1"})) == {'q"': 1}


# Nested deeper than any reader can follow

DEPTH = 30_000
DEEP = {
    "lists": b"[" * DEPTH + b"]" * DEPTH,
    "objects": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    "both": b'{"a":[' * DEPTH + b'"]},"' + b"]}" * DEPTH,
}


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_too_deep_stays_whole_and_the_rest_is_read(deep: bytes, strict: bool) -> None:
    odd = b"1" if strict else b"NaN"
    one = b'{"id":"deep\\"]}","x":' + deep + b"}"
    body = b'\n{"has_more": true , "data" : [ {"id":"a","x":"]\\"[[, "} ,\n%b , 5,{"id":"b","x":%b}]}' % (
        one,
        odd,
    )
    page = read_page(body)
    assert cut(page) == [{"id": b'"a"', "x": b'"]\\"[[, "'}, one, b"5", {"id": b'"b"', "x": odd}]
    assert (page.has_more, page.size) == (True, len(body))


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP)
def test_what_is_deep_and_no_list_or_no_json_is_told_apart(deep: bytes) -> None:
    for body in (deep, b'{"status":%b}' % deep, b'{"data":{"a":%b}}' % deep):
        with pytest.raises(ServiceError, match="OPENAI_BASE_URL"):
            read_page(body)
    whole = b'{"data":[%b]}' % deep
    for body in (whole[:-1], whole[:-40], whole + b"]", whole[:-2] + b"}]}", b'{%b:1, "data":[]}' % deep):
        with pytest.raises(ValueError, match=r".+"):
            read_page(body)
