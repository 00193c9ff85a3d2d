"""The first sync newest first, through the real thing: what analysts see, when, and what a cut leaves to do."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stored_completions.errors import ServiceError
from stored_completions.rounds import Bounds
from stored_completions.sandbox import Account, Fault, Sandbox
from stored_completions.status import status
from synced import NAME, NOW, Heard, assert_exact, one, rows, serving, synced
from test_sync import completion, recent

DAY = 86_400


def long_ago(count: int, *, step: int = 60, end: int = NOW - 7_200) -> Account:
    """Rows of a month ago, a week ago and yesterday would do: all are older than the look-back."""
    return recent(count, step=step, end=end)


def at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def ids(folder: Path) -> set[str]:
    return {row[0] for row in rows(folder, "select completion_id from chat.completions")}


def covered_from(folder: Path) -> Any:
    return one(folder, "select covered_from from marts.freshness")


def orders(sandbox: Sandbox) -> list[str]:
    return [query["order"] for _, _, query in sandbox.requests]


def test_the_newest_come_first_and_a_cut_says_from_when_on_all_are_there(tmp_path: Path) -> None:
    account = long_ago(100)
    with serving(account) as sandbox:
        first = synced(sandbox, tmp_path, page_size=10, max_pages=2, chains=1)
        assert (first.outcome, first.counts.rows_new, orders(sandbox)) == ("stopped", 19, ["desc", "desc"])
        assert ids(tmp_path) == {f"c{number:04}" for number in range(81, 100)}
        edge = NOW - 7_200 - 17 * 60
        assert covered_from(tmp_path) == at(edge) == first.covered_from
        (cursor,) = status(tmp_path / NAME).cursors
        assert (cursor["unread_gaps"], cursor["wanted_from_at"]) == (1, None)
        account.add(completion("new", NOW - 30))
        second = synced(sandbox, tmp_path, page_size=10, max_pages=2, chains=1)
        assert "new" in ids(tmp_path)
        assert second.counts.rows_late == 0
        assert orders(sandbox)[2:] == ["asc", "desc"]
        last = synced(sandbox, tmp_path, page_size=10)
        assert (last.outcome, covered_from(tmp_path)) == ("done", None)
        assert_exact(tmp_path, account)
        assert synced(sandbox, tmp_path).requests == 1


def test_both_ends_and_the_middle_at_once_give_each_row_once(tmp_path: Path) -> None:
    """Three models one after the other: where the second begins and ends is in the middle."""
    account = Account()
    for number in range(300):
        account.add(completion(f"c{number:04}", NOW - 400_000 + 60 * number, model=f"model {number // 100}"))
    with serving(account) as sandbox:
        report = synced(sandbox, tmp_path, page_size=10)
        assert_exact(tmp_path, account)
        asked = [query for _, _, query in sandbox.requests]
    probes = [query for query in asked if "model" in query]
    assert {(query["model"], query["order"], query["limit"]) for query in probes} == {
        ("model 2", "asc", "1"),
        ("model 0", "desc", "1"),
    }
    assert report.counts.pages == report.requests - len(probes)
    assert report.counts.rows_seen < 300 + 6 * 10
    started = [query["after"] for query in asked if "after" in query and query["order"] == "desc"]
    assert {"c0200", "c0099"} <= set(started)


def test_since_reads_back_to_it_and_an_earlier_one_further(tmp_path: Path) -> None:
    account = recent(100, step=DAY // 10, end=NOW - 7_200)
    with serving(account) as sandbox:
        report = synced(sandbox, tmp_path, page_size=10, since=at(NOW - 5 * DAY).isoformat())
        assert report.outcome == "done"
        assert ids(tmp_path) == {
            row["id"] for row in account.completions() if row["created"] >= NOW - 5 * DAY
        }
        assert covered_from(tmp_path) == at(NOW - 5 * DAY)
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
        later = synced(sandbox, tmp_path, since=at(NOW - 2 * DAY).isoformat())
        assert (later.outcome, covered_from(tmp_path)) == ("nothing_new", at(NOW - 5 * DAY))
        synced(sandbox, tmp_path, page_size=10, since=at(NOW - 8 * DAY).isoformat())
        assert ids(tmp_path) == {
            row["id"] for row in account.completions() if row["created"] >= NOW - 8 * DAY
        }
        assert covered_from(tmp_path) == at(NOW - 8 * DAY)
        synced(sandbox, tmp_path, since="2020-01-01")
        assert covered_from(tmp_path) is None
        assert_exact(tmp_path, account)


def test_an_empty_stretch_further_back_is_published_as_covered(tmp_path: Path) -> None:
    account = recent(30, step=60, end=NOW - 7_200)
    account.add(completion("old", NOW - 30 * DAY))
    with serving(account) as sandbox:
        synced(sandbox, tmp_path, since=at(NOW - DAY).isoformat())
        report = synced(sandbox, tmp_path, since=at(NOW - 2 * DAY).isoformat())
        assert (report.outcome, report.counts.rows_new, report.published) == ("nothing_new", 0, True)
        assert covered_from(tmp_path) == at(NOW - 2 * DAY)


def test_a_row_that_is_late_at_the_joint_is_found(tmp_path: Path) -> None:
    account = long_ago(60)
    account.add(completion("late", NOW - 3_000), visible_at=NOW + 500)
    with serving(account) as sandbox:
        synced(sandbox, tmp_path, page_size=10, max_pages=3)
        sandbox.clock.advance(600)
        synced(sandbox, tmp_path, page_size=10)
        assert_exact(tmp_path, account)


class Looking(Heard):
    """An analyst who looks whenever a page has come."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.seen: list[int] = []
        self._folder = folder

    def page(self, pages: int, rows: int, newest: int | None) -> None:
        if pages > 1:
            self.seen.append(one(self._folder, "select count(*) from marts.completions_wide"))


def test_a_long_run_is_published_while_it_reads(tmp_path: Path) -> None:
    """Here every page is a long run."""
    account = recent(100)
    with serving(account) as sandbox:
        sandbox.faults.extend([Fault.none()] * 4 + [Fault.reset()])
        looking = Looking(tmp_path)
        with pytest.raises(ServiceError):
            synced(
                sandbox,
                tmp_path,
                page_size=10,
                chains=1,
                max_attempts=1,
                watcher=looking,
                bounds=Bounds(seconds=0.0),
            )
        assert looking.seen == [10, 19, 28]
        assert one(tmp_path, "select outcome from chat.sync_runs") == "failed"
        synced(sandbox, tmp_path, page_size=10)
        assert_exact(tmp_path, account)


@pytest.mark.parametrize("status_code", [400, 422])
def test_a_server_that_refuses_newest_first_is_read_from_the_oldest_on(
    tmp_path: Path, status_code: int
) -> None:
    account = recent(50)
    error = {"error": {"message": "Unknown order.", "type": "invalid_request_error", "param": "order"}}
    with serving(account) as sandbox:
        sandbox.faults.extend([Fault.status(status_code, error)])
        report = synced(sandbox, tmp_path, page_size=20)
        assert orders(sandbox)[:2] == ["desc", "asc"]
        assert "does not list newest first" in str(report.detail)
        assert_exact(tmp_path, account)


def test_rate_limits_of_one_chain_hold_the_others_back_and_lose_nothing(tmp_path: Path) -> None:
    account = recent(200, step=100, end=NOW - 7_200)
    with serving(account) as sandbox:
        sandbox.faults.extend([Fault.none()] * 6 + [Fault.rate_limited(retry_after_ms=1)] * 3)
        report = synced(sandbox, tmp_path, page_size=10)
        assert (report.outcome, report.retries) == ("done", 3)
        assert_exact(tmp_path, account)
