"""Any finite script of faults ends in the exact rows, or in a clean failure after which a repeat has them.

Through the real client, reader, walk and rounds, over HTTP; only dlt is left out, which `make soak` has.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stored_completions import store
from stored_completions.client import Client, Patience
from stored_completions.course import Course
from stored_completions.cursor import Cursor
from stored_completions.endpoint import Endpoint
from stored_completions.errors import StoredCompletionsError
from stored_completions.items import item, row_hash
from stored_completions.pages import read_page
from stored_completions.reader import Filter, pages
from stored_completions.rounds import Bounds, Round
from stored_completions.sandbox import Account, Fault, Sandbox
from stored_completions.walk import Pace
from synced import NOW, serving
from test_sync import completion

KEY = "sk-proj-Zm9yZXZlciBzZWNyZXQ0123456789"
PATIENCE = Patience(max_attempts=3, max_wait=1.0)

passing = st.one_of(
    st.builds(Fault.status, st.sampled_from([408, 409, 429, 500, 502, 503, 504])),
    st.builds(Fault.rate_limited, retry_after_ms=st.sampled_from([0, 1, 900])),
    st.builds(Fault.rate_limited, retry_after=st.sampled_from([0, 0.5, 1])),
    st.builds(Fault.cut, st.floats(0, 0.99)),
    st.builds(Fault.reset, st.none() | st.floats(0, 0.99)),
    st.builds(Fault.html, st.sampled_from([200, 502])),
    st.sampled_from([Fault.close(), Fault.not_json(), Fault.none()]),
)
final = st.one_of(
    st.builds(Fault.status, st.sampled_from([400, 401, 403, 404, 405, 410, 418, 501])),
    st.builds(Fault.rate_limited, retry_after=st.just(3600)),
    st.builds(Fault.redirect, st.sampled_from(["http://127.0.0.1:1/v1/", "/elsewhere", ""])),
    st.sampled_from([Fault.quota(), Fault.not_a_list()]),
)
scripts = st.lists(st.one_of(passing, passing, passing, final), max_size=25)
accounts = st.lists(st.integers(0, 4), min_size=1, max_size=30)


@dataclass
class Held:
    """What a warehouse would hold: rows by id, committed with the cursor."""

    hashes: dict[str, str] = field(default_factory=dict)
    cursor: Cursor = field(default_factory=Cursor)
    doubled: list[str] = field(default_factory=list)

    def commit(self, round_: Round) -> None:
        for table, rows in round_.tables("load"):
            if table.name == "completions":
                for row in rows.to_pylist():
                    if row["completion_id"] in self.hashes:
                        self.doubled.append(row["completion_id"])
                    self.hashes[row["completion_id"]] = row["row_hash"]
        self.cursor = round_.cursor or self.cursor


def account(per_second: list[int]) -> Account:
    made = Account()
    for second, rows in enumerate(per_second):
        for row in range(rows):
            made.add(completion(f"c{second}-{row}", NOW - 900 + second))
    return made


def synced(sandbox: Sandbox, held: Held, page_size: int, chains: int) -> StoredCompletionsError | None:
    """Reads to the end, or to the failure; keeps what came before it, in rounds of a few rows."""
    course = Course(held.cursor, Pace(page_size=page_size), NOW, chains=chains)
    round_ = Round("default", 0, (), Bounds(completions=12))
    failure = None
    with Client(Endpoint(KEY, sandbox.base_url), PATIENCE, sleep=lambda _: None) as client:
        try:
            for taken in pages(client, course, Filter(), hashed=row_hash):
                round_.add(taken, lambda created: _known(held, created))
                if round_.is_full:
                    held.commit(round_)
                    round_ = Round("default", 0, (), Bounds(completions=12))
        except StoredCompletionsError as error:
            failure = error
    held.commit(round_)
    return failure


def _known(held: Held, created: Any) -> dict[str, Any]:
    return {
        id_: store.Held(held.hashes[id_], "default", 0, None, at, None)
        for id_, at in created.items()
        if id_ in held.hashes
    }


def wanted(sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    with sandbox.account.lock:
        bodies = b",".join(row.body for row in sandbox.account.rows().rows)
    for entry in read_page(b'{"data":[' + bodies + b"]}").completions:
        found = item(entry, row_hash)
        assert found is not None
        yield found.completion_id, found.row_hash


@settings(max_examples=40)
@given(
    accounts,
    scripts,
    st.integers(1, 30),
    st.sampled_from(["400", "404", "restart", "empty"]),
    st.booleans(),
    st.integers(1, 3),
)
def test_any_script_of_faults(
    per_second: list[int], script: list[Fault], page_size: int, vanished: str, by_place: bool, chains: int
) -> None:
    cursor = "positional" if by_place else "seconds"
    with serving(account(per_second), vanished=vanished, cursor=cursor, max_limit=20) as sandbox:
        sandbox.faults.extend(script)
        held = Held()
        failures = 0
        while (failure := synced(sandbox, held, page_size, chains)) is not None:
            failures += 1
            assert str(failure)
            assert "\n" not in str(failure)
            assert KEY not in str(failure)
            assert set(held.hashes.items()) <= set(wanted(sandbox)), "what was kept is right"
            assert failures <= len(script), "a failure without a fault"
        assert held.hashes == dict(wanted(sandbox))
        assert held.doubled == []
        sandbox.faults.clear()
        for mark in held.cursor.trail:
            sandbox.account.delete(mark.id)
        assert synced(sandbox, held, page_size, chains) is None, "every cursor that is known is gone"
        assert set(wanted(sandbox)) <= set(held.hashes.items())
        assert held.doubled == []


def test_chains_take_turns_where_memory_bears_one_page() -> None:
    for most_bytes, is_alone in ((1, True), (1_000_000, False)):
        with (
            serving(account([1] * 400), latency=0.01) as sandbox,
            Client(Endpoint(KEY, sandbox.base_url)) as client,
        ):
            course = Course(Cursor(), Pace(page_size=10), NOW, chains=4)
            taken = list(pages(client, course, Filter(), hashed=row_hash, most_bytes=most_bytes))
            assert len({row.completion_id for page in taken for row in page.items}) == 400
            assert (sandbox.busiest == 1) is is_alone
