"""OpenAI's own SDK as a client of the sandbox: does it get what is stored, and what does its paging lose?

Runs in an environment of its own (`make test-contract`), as `python tests/contract/sdk_crosscheck.py`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from openai import NotFoundError, OpenAI, RateLimitError
from openai.types.chat import ChatCompletion

from rebuild import rebuild, same
from stored_completions.config import settings
from stored_completions.query import reading
from stored_completions.sandbox import Account, Fault, Sandbox
from stored_completions.sync import sync
from stored_completions.tables import TABLES

Object = dict[str, Any]

PAGE_SIZES = (1, 7, 20, 100)
THREE_A_SECOND = {1: 100, 7: 234, 20: 286, 100: 296}


def client_of(base_url: str, api_key: str = "sk-sandbox") -> OpenAI:
    return OpenAI(base_url=base_url, api_key=api_key, max_retries=3)


def paged(client: OpenAI, limit: int) -> list[Object]:
    """What the SDK's own paging gets: less than is stored where a page ends inside a second."""
    return [_object(row) for row in client.chat.completions.list(order="asc", limit=limit)]


def everything(client: OpenAI, limit: int) -> dict[str, Object]:
    """What the SDK's paging gets, and each page's last second read again whole: all there is, by id."""
    found: dict[str, Object] = {}
    for page in client.chat.completions.list(order="asc", limit=limit).iter_pages():
        found.update((row.id, _object(row)) for row in page.data)
        if page.data:
            found.update((row["id"], row) for row in _second(client, page.data[-1].created, found, limit))
    return found


def _second(client: OpenAI, second: int, found: dict[str, Object], limit: int) -> Iterator[Object]:
    """Every row of one second, from the last row before it, on a page that reaches beyond it."""
    before = [row for row in found.values() if row["created"] < second]
    start = {"after": max(before, key=lambda row: row["created"])["id"]} if before else {}
    page = client.chat.completions.list(order="asc", limit=2 * limit, **start)
    while page.data[-1].created <= second and page.has_more:
        limit *= 2
        page = client.chat.completions.list(order="asc", limit=2 * limit, **start)
    return (_object(row) for row in page.data if row.created == second)


def _object(row: ChatCompletion) -> Object:
    return row.to_dict(mode="json")


def check_lists(account: Account, expected: dict[int, int] | None = None) -> None:
    """Prints how many rows plain paging lost at each page size, and asserts that no others were."""
    stored = {row["id"]: row for row in account.completions()}
    for limit in PAGE_SIZES:
        with Sandbox(account, seed=limit) as sandbox, client_of(sandbox.base_url) as client:
            plain, whole = paged(client, limit), everything(client, limit)
            requests = len(sandbox.requests)
        _say(limit, len(stored), len(plain), len(stored) - len(plain), requests)
        assert all(stored[row["id"]] == row for row in plain)
        assert len({row["id"] for row in plain}) == len(plain)
        assert whole == stored
        assert expected is None or len(plain) == expected[limit]


def check_one_completion(account: Account) -> None:
    """Retrieve, filter, messages, update and delete, by the SDK's own words for them."""
    row = account.completions()[-1]
    with Sandbox(account) as sandbox, client_of(sandbox.base_url) as client:
        chat = client.chat.completions
        assert _object(chat.retrieve(row["id"])) == row
        assert {each.model for each in chat.list(model=row["model"], limit=100)} == {row["model"]}
        changed = chat.update(row["id"], metadata={"checked": "yes"})
        assert _object(changed) == {**row, "metadata": {"checked": "yes"}}
        assert [each.id for each in chat.list(metadata={"checked": "yes"})] == [row["id"]]
        messages = list(chat.messages.list(row["id"], limit=1))
        assert [each.id for each in messages] == [f"{row['id']}-{place}" for place in range(len(messages))]
        assert len(messages) >= 2
        assert chat.delete(row["id"]).deleted
        assert row["id"] not in account.ids()
        with pytest.raises(NotFoundError, match="not found"):
            chat.retrieve(row["id"])


def check_faults(account: Account) -> None:
    """The SDK retries what is to be retried, and gets nowhere with a quota that is used up."""
    with Sandbox(account) as sandbox, client_of(sandbox.base_url) as client:
        soon = {"retry-after-ms": "1"}
        sandbox.faults.extend([Fault.rate_limited(retry_after_ms=1), Fault.status(500, headers=soon)])
        assert len(paged(client, 1000)) == len(account)
        assert len(sandbox.requests) == 3
        sandbox.faults.extend([Fault.quota()])
        with pytest.raises(RateLimitError, match="exceeded your current quota"):
            client.with_options(max_retries=0).chat.completions.list()


def check_warehouse(account: Account) -> None:
    """What the SDK gets is what stands in the warehouse after a sync, object by object."""
    with Sandbox(account) as sandbox, client_of(sandbox.base_url) as client, TemporaryDirectory() as folder:
        place = {"api_key": "sk-sandbox", "base_url": sandbox.base_url}
        sync(settings(place, {}, Path(folder)), Path(folder) / "warehouse.duckdb")
        whole = everything(client, 100)
        with reading(Path(folder) / "warehouse.duckdb") as connection:
            tables = {table.name: connection.table(f"chat.{table.name}").to_arrow_table() for table in TABLES}
    loaded = rebuild({name: rows.to_pylist() for name, rows in tables.items()})
    assert loaded.keys() == whole.keys()
    differing = [id_ for id_, row in whole.items() if not same(row, loaded[id_])]
    assert not differing, differing[:3]
    sys.stdout.write(f"The warehouse holds what the SDK got: {len(whole)} objects, differences: 0.\n")


def main() -> None:
    _say("page size", "stored", "paged", "lost", "requests")
    check_lists(Account.generate(300, per_second=3), THREE_A_SECOND)
    check_lists(Account.generate(400, seed=1))
    check_one_completion(Account.generate(100, seed=2))
    check_faults(Account.generate(50, seed=3))
    check_warehouse(Account.generate(1_000, seed=4))
    sys.stdout.write("The SDK got every stored completion whole, once its lost rows were read again.\n")


def _say(*cells: object) -> None:
    sys.stdout.write("".join(f"{cell!s:>12}" for cell in cells) + "\n")


if __name__ == "__main__":
    main()
