"""The generated account: the same for the same seed, shaped as stored rows are, with every kind of answer."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from math import exp
from pathlib import Path
from typing import Any

import httpx
import pytest

from stored_completions.sandbox import Account, Sandbox

NOON_OF_THE_20TH = 1795176000

Completion = dict[str, Any]


def choices(account: Account) -> Iterator[dict[str, Any]]:
    return (choice for completion in account.completions() for choice in completion["choices"])


def messages(account: Account, *completion_ids: str) -> list[list[dict[str, Any]]]:
    """The input messages of each of these completions."""
    with Sandbox(account) as sandbox, httpx.Client(headers={"api-key": "any"}, verify=False) as client:
        lists = f"{sandbox.base_url}/chat/completions"
        urls = [f"{lists}/{completion_id}/messages?limit=100" for completion_id in completion_ids]
        return [client.get(url).json()["data"] for url in urls]


@pytest.fixture(scope="module")
def company() -> Account:
    return Account.generate(1000, logprob_share=0.1)


def test_the_same_arguments_give_the_same_account() -> None:
    assert Account.generate(200, seed=7).completions() == Account.generate(200, seed=7).completions()
    assert not set(Account.generate(200, seed=7).ids()) & set(Account.generate(200, seed=8).ids())


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_any_size(count: int) -> None:
    account = Account.generate(count)
    created = [completion["created"] for completion in account.completions()]
    assert len(account) == len(set(account.ids())) == count
    assert created == sorted(created)
    assert created[-1:] == [NOON_OF_THE_20TH][:count]


def test_the_newest_row_is_created_when_it_is_asked_to_be() -> None:
    assert Account.generate(50, until=1_800_000_000).newest() == 1_800_000_000


def test_rows_per_second() -> None:
    account = Account.generate(10, per_second=4, until=1000)
    assert Counter(completion["created"] for completion in account.completions()) == {998: 2, 999: 4, 1000: 4}


def test_days_have_a_rhythm_and_seconds_are_shared_now_and_then(company: Account) -> None:
    created = [completion["created"] for completion in company.completions()]
    days = Counter(datetime.fromtimestamp(second, UTC).weekday() for second in created)
    hours = Counter(datetime.fromtimestamp(second, UTC).hour for second in created)
    assert 40 * 86400 < created[-1] - created[0] <= 45 * 86400
    assert days[5] + days[6] < days[1]
    assert sum(hours[hour] for hour in range(8, 18)) > 600
    assert max(Counter(created).values()) > 2


def test_rows_are_shaped_as_recorded_ones(company: Account, corpus: Path) -> None:
    def shapes(completion: Completion) -> Iterator[tuple[str, ...]]:
        yield tuple(completion)
        yield tuple(completion["usage"])
        for choice in completion["choices"]:
            yield tuple(choice)
            yield tuple(choice["message"])

    with gzip.open(corpus / "list_pages.ndjson.gz") as lines:
        recorded = {
            shape for line in lines for row in json.loads(line)["body"]["data"] for shape in shapes(row)
        }
    counted = Counter(shape for row in company.completions() for shape in shapes(row))
    assert recorded <= counted.keys()
    assert sum(counted[shape] for shape in recorded) > 0.8 * counted.total()


def test_seeds_are_signed_and_need_all_64_bits(company: Account) -> None:
    seeds = [completion["seed"] for completion in company.completions()]
    assert all(-(2**63) <= seed < 2**63 for seed in seeds)
    assert sum(abs(seed) > 2**53 for seed in seeds) > 990
    assert any(seed < 0 for seed in seeds)


KINDS: dict[str, Callable[[Completion], bool]] = {
    "plain text": lambda row: row["choices"][0]["finish_reason"] == "stop",
    "several choices": lambda row: len(row["choices"]) > 1,
    "cut off at the limit": lambda row: row["choices"][0]["finish_reason"] == "length",
    "filtered": lambda row: row["choices"][0]["finish_reason"] == "content_filter",
    "refusal": lambda row: bool(row["choices"][0]["message"].get("refusal")),
    "citations": lambda row: bool(row["choices"][0]["message"].get("annotations")),
    "audio": lambda row: bool(row["choices"][0]["message"].get("audio")),
    "function_call": lambda row: bool(row["choices"][0]["message"]["function_call"]),
    "one tool call": lambda row: len(row["choices"][0]["message"]["tool_calls"] or []) == 1,
    "tool calls at once": lambda row: len(row["choices"][0]["message"]["tool_calls"] or []) > 1,
    "custom tool call": lambda row: (
        '"type": "custom", "custom": {"name": "run_sql", "input"' in json.dumps(row)
    ),
    "arguments that are no JSON": lambda row: any(
        map(broken, row["choices"][0]["message"]["tool_calls"] or [])
    ),
    "structured output": lambda row: (row["response_format"] or {}).get("type") == "json_schema",
    "logprobs": lambda row: bool(row["choices"][0]["logprobs"]),
    "details of usage": lambda row: "prompt_tokens_details" in row["usage"],
    "tools offered and not used": lambda row: (
        bool(row["tools"]) and not row["choices"][0]["message"]["tool_calls"]
    ),
    "a fine-tuned model": lambda row: row["model"].startswith("ft:"),
    "a user": lambda row: row["input_user"] is not None,
    "no metadata": lambda row: row["metadata"] == {},
    "no customer": lambda row: bool(row["metadata"]) and "customer" not in row["metadata"],
    "flex": lambda row: row["service_tier"] == "flex",
    "priority": lambda row: row["service_tier"] == "priority",
    "no tier": lambda row: row["service_tier"] is None,
    "Japanese": lambda row: "お荷物" in str(row["choices"]),
    "Arabic": lambda row: "شكرًا" in str(row["choices"]),
    "emoji": lambda row: "🎉" in str(row["choices"]),
}


def broken(call: dict[str, Any]) -> bool:
    try:
        json.loads(call.get("function", {}).get("arguments", "{}"))
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_five_hundred_rows_have_every_kind(kind: str) -> None:
    found = sum(map(KINDS[kind], Account.generate().completions()))
    assert 0 < found < 500


def test_few_customers_ask_for_most() -> None:
    customers = Counter(
        completion["metadata"].get("customer") for completion in Account.generate(2000).completions()
    )
    del customers[None]
    assert len(customers) > 200
    assert sum(count for _, count in customers.most_common(20)) > customers.total() / 3


def test_citations_point_into_the_text(company: Account) -> None:
    cited = [choice["message"] for choice in choices(company) if choice["message"].get("annotations")]
    assert cited
    for message in cited:
        for annotation in message["annotations"]:
            citation = annotation["url_citation"]
            passage = message["content"][citation["start_index"] : citation["end_index"]]
            assert passage.endswith(f"([{citation['title']}]({citation['url']}))")


def test_totals_add_up(company: Account) -> None:
    for completion in company.completions():
        usage = completion["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        if details := usage.get("completion_tokens_details"):
            assert details["reasoning_tokens"] + details["audio_tokens"] < usage["completion_tokens"]
            assert usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]


# ---------------------------------------------------------------------------- logprobs


def weighed(account: Account) -> list[tuple[str, list[dict[str, Any]]]]:
    """The text and its tokens, of each choice with log probabilities."""
    found = []
    for choice in choices(account):
        if choice["logprobs"]:
            kind = "content" if choice["logprobs"]["content"] else "refusal"
            found.append((choice["message"][kind], choice["logprobs"][kind]))
    return found


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 1.0])
def test_the_share_with_logprobs_is_exact(share: float) -> None:
    assert len(weighed(Account.generate(200, logprob_share=share, tokens=3))) == 200 * share


@pytest.mark.parametrize(("tokens", "top"), [(1, 0), (17, 2), (400, 20)])
def test_as_many_tokens_and_alternatives_as_asked_for(tokens: int, top: int) -> None:
    account = Account.generate(9, logprob_share=1.0, tokens=tokens, top_logprobs=top)
    for text, listed in weighed(account):
        assert [len(token["top_logprobs"]) for token in listed] == [top] * tokens
        assert b"".join(bytes(token["bytes"]) for token in listed).decode() == text
    usages = [completion["usage"]["completion_tokens"] for completion in account.completions()]
    assert min(usages) == tokens


def test_only_the_bytes_rebuild_the_text(company: Account) -> None:
    found = weighed(company)
    assert len(found) == 100
    for text, listed in found:
        assert b"".join(bytes(token["bytes"]) for token in listed).decode() == text
    parts = [token for _, listed in found for token in listed if token["token"].startswith("\\x")]
    assert all(token["token"] == "".join(f"\\x{byte:02x}" for byte in token["bytes"]) for token in parts)
    assert parts


def test_alternatives_fall_and_their_probabilities_stay_below_one() -> None:
    outside, second = 0, 0
    for _, listed in weighed(Account.generate(60, logprob_share=1.0, tokens=50, top_logprobs=4)):
        for token in listed:
            weights = [each["logprob"] for each in token["top_logprobs"]]
            assert all(higher >= lower for higher, lower in pairwise(weights))
            assert sum(map(exp, weights)) < 1.0001
            outside += token["logprob"] == -9999.0
            second += token["logprob"] == weights[1]
            assert token["logprob"] in {-9999.0, *weights}
    assert outside
    assert second


def test_refusals_have_logprobs_of_their_own() -> None:
    account = Account.generate(300, logprob_share=1.0)
    refused = [choice for choice in choices(account) if choice["message"].get("refusal")]
    assert refused
    assert all(choice["logprobs"]["content"] is None for choice in refused)
    assert all(choice["logprobs"]["refusal"] for choice in refused)


# ---------------------------------------------------------------------------- input messages


def test_threads_send_their_history_again(company: Account) -> None:
    """What a later turn repeats is what the earlier completion answered."""
    said = {choice["message"]["content"] for choice in choices(company)}
    continued = [found for found in messages(company, *company.ids()[-60:]) if len(found) > 2]
    assert continued
    for found in continued:
        roles = [message["role"] for message in found]
        assert roles[0] in {"system", "developer"}
        assert roles[1:] == (["user", "assistant"] * len(found))[: len(found) - 1]
        assert all(message["content"] in said for message in found if message["role"] == "assistant")


def test_messages_are_made_alike_each_time(company: Account) -> None:
    completion_id = company.ids()[10]
    again = Account.generate(1000, logprob_share=0.1)
    [first], [second], [elsewhere] = (
        messages(account, completion_id) for account in (company, company, again)
    )
    assert first == second == elsewhere
    assert [message["id"] for message in first] == [
        f"{completion_id}-{number}" for number in range(len(first))
    ]


def test_some_messages_have_images_and_some_names(company: Account) -> None:
    sent = [message for found in messages(company, *company.ids()[:100]) for message in found]
    images = [message["content_parts"] for message in sent if message["content_parts"]]
    assert [part["type"] for part in images[0]] == ["text", "image_url"]
    assert images[0][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert any(message["name"] for message in sent)
