"""Pages that are decoded at once, and those that are not: the same of both, only sooner or later."""

import json
from typing import Any

import pytest

from stored_completions.items import Item, item
from stored_completions.page_decoder import DecodedPage, PageDecoder
from stored_completions.pages import Uncut, read_page
from stored_completions.sandbox import Account
from test_usual import USUAL

ODD: dict[str, Any] = USUAL | {"x_groq": {"a": 1}}
LONG: dict[str, Any] = USUAL | {"choices": USUAL["choices"][:1], "input_user": "a" * 1_000_000}
TWICE: dict[str, Any] = USUAL | {"choices": [USUAL["choices"][0]] * 2}


def body(*completions: Any) -> bytes:
    return json.dumps({"object": "list", "data": completions, "has_more": True}).encode()


def told(items: list[Item | None]) -> list[Any]:
    """All that there is to an item, and the object as it was sent."""
    return [
        found
        and (
            found.completion_id,
            found.created,
            found.created_column,
            found.model,
            found.row_hash,
            found.entry.body,
            found.usual and (found.usual.sent.created, found.usual.pairs),
        )
        for found in items
    ]


def is_at_once(decoded: DecodedPage) -> bool:
    return isinstance(decoded.page.completions, Uncut)


@pytest.mark.parametrize(
    "sent",
    [
        list(Account.generate(50, logprob_share=0.2).completions()),
        [USUAL, TWICE, USUAL | {"metadata": {"a": 1}}, USUAL | {"id": "", "model": "m"}],
        [USUAL, ODD, USUAL],
        [USUAL, LONG],
        [USUAL, USUAL | {"model": "\ud800"}, 5, {}],
        [],
    ],
)
def test_items_are_those_of_each_entry_alone(sent: list[Any]) -> None:
    text = body(*sent)
    decoded, alone = PageDecoder().read(text), read_page(text)
    page = decoded.page
    assert told(decoded.items(None)) == told([item(entry) for entry in alone.completions])
    assert [entry.body for entry in page.completions] == [entry.body for entry in alone.completions]
    assert (page.has_more, page.size) == (alone.has_more, alone.size)


def test_hashes_of_a_content_policy_are_made_of_the_members_as_sent() -> None:
    (found,) = PageDecoder().read(body(USUAL)).items(lambda members: " ".join(sorted(members)))
    assert found
    assert found.row_hash == " ".join(sorted(USUAL))


@pytest.mark.parametrize("odd", [ODD, TWICE])
def test_one_odd_completion_spoils_its_page_and_many_of_them_those_after(odd: dict[str, Any]) -> None:
    decoder = PageDecoder()
    usual, spoilt = body(USUAL), body(USUAL, odd)
    may_be_at_once = odd is TWICE
    assert is_at_once(decoder.read(usual))
    assert is_at_once(decoder.read(spoilt)) is may_be_at_once
    assert is_at_once(decoder.read(usual))
    for passed_over in (0, 1, 3, 7, 15, 15):
        assert is_at_once(decoder.read(spoilt)) is may_be_at_once
        assert not any(is_at_once(decoder.read(usual)) for _ in range(passed_over))
    assert is_at_once(decoder.read(usual))
    assert is_at_once(decoder.read(usual))


def test_a_page_of_long_texts_waits_undecoded_and_one_of_logprobs_does_not() -> None:
    alternative = {"token": "a" * 1_000_000, "logprob": -1.0, "bytes": None}
    said = USUAL | {"choices": [USUAL["choices"][0] | {"logprobs": {"content": [alternative]}}]}
    heavy = [json.dumps({"data": [each]}, separators=(",", ":")).encode() for each in (LONG, said)]
    assert [is_at_once(PageDecoder().read(page)) for page in heavy] == [False, True]


def test_what_is_no_page_is_refused_as_ever() -> None:
    decoder = PageDecoder()
    for _ in range(3):
        with pytest.raises(ValueError, match=r".+"):
            decoder.read(b'{"data":[{"id":"a"}')
