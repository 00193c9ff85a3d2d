"""`sync --full`: edits and deletions are found, and nothing is marked on a doubtful answer."""

import shutil
import signal
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stored_completions.content.erasing import Which
from stored_completions.content.purging import purge
from stored_completions.errors import ServiceError
from stored_completions.sandbox import Account, Fault, Sandbox
from synced import NAME, NOW, assert_exact, assert_sound, files, one, rows, serving, started, synced, until
from test_crash import dies
from test_sync import completion, recent

OLD = NOW - 200_000


def old(count: int = 100) -> Account:
    """Rows far behind the look-back, one every ten seconds."""
    return recent(count, end=OLD, step=10)


def deleted(folder: Path) -> list[str]:
    found = rows(folder, "select completion_id from chat.completions where deleted_at is not null order by 1")
    return [row[0] for row in found]


def gets(sandbox: Sandbox) -> int:
    return sum(path.count("/") > 3 for _, path, _ in sandbox.requests)


def test_edits_deletions_and_returns_are_found_wherever_they_are(tmp_path: Path) -> None:
    account = old()
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        account.update_metadata("c0003", {"only": "this"})
        account.update_metadata("c0004", {})
        gone = [row for row in account.completions() if row["id"] in ("c0010", "c0011")]
        for row in gone:
            account.delete(row["id"])
        before = datetime.now(UTC)
        assert synced(sandbox, tmp_path).counts.rows_changed == 0, "an ordinary sync does not look there"
        report = synced(sandbox, tmp_path, full=True, page_size=20)
        assert (report.outcome, report.counts.rows_new, report.counts.rows_changed) == ("done", 0, 2)
        assert report.relisted is not None
        assert report.relisted.as_json() == {
            "listed": 98, "deleted": 2, "still_there": 0, "unsure": 0, "expired": 0, "doubt": None,
        }  # fmt: skip
        assert report.sentences()[1] == (
            "Listed again in full, 98 completions: 2 deleted at the API and marked so."
        )
        assert deleted(tmp_path) == ["c0010", "c0011"]
        assert rows(tmp_path, "select key from chat.metadata where completion_id in ('c0003', 'c0004')") == [
            ("only",)
        ]
        assert one(tmp_path, "select count(*) from chat.choices where completion_id = 'c0010'") == 1
        seen = "select count(*) filter (where last_seen_at >= ?), count(*) from chat.completions"
        with closing(duckdb.connect(str(files(tmp_path).published), read_only=True)) as connection:
            assert connection.execute(seen, [before]).fetchall() == [(98, 100)]
        assert one(tmp_path, "select deleted_completions from marts.freshness") == 2
        for row in gone:
            account.add(row)
        report = synced(sandbox, tmp_path, full=True)
        assert report.sentences()[1] == (
            "Listed again in full, 100 completions: 2 no longer marked as deleted, being listed again."
        )
        assert deleted(tmp_path) == []
        assert_exact(tmp_path, account)
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
        assert synced(sandbox, tmp_path, full=True).sentences()[1].endswith("none is missing.")


def test_a_row_that_comes_back_within_the_look_back_needs_no_full_sync(tmp_path: Path) -> None:
    account = recent(40)
    row = account.completions()[20]
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        account.delete(row["id"])
        synced(sandbox, tmp_path, full=True)
        assert deleted(tmp_path) == [row["id"]]
        account.add(row)
        report = synced(sandbox, tmp_path)
        assert (report.counts.rows_changed, report.counts.rows_returned) == (1, 1)
        assert deleted(tmp_path) == []
        assert_exact(tmp_path, account)


def test_what_was_purged_and_is_listed_is_there(tmp_path: Path) -> None:
    """The oldest and some in the middle, then all: more than the limit of deletions, and none of it is missing."""
    account = old()
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        oldest = one(tmp_path, "select min(created_at) from chat.completions")
        for purged in (account.ids()[:40] + account.ids()[60:66], account.ids()):
            purge(tmp_path / NAME, Which(tuple(purged)))
            asked = gets(sandbox)
            report = synced(sandbox, tmp_path, full=True)
            assert report.sentences()[1] == "Listed again in full, 100 completions: none is missing."
            assert (report.counts.rows_new, report.counts.rows_changed, gets(sandbox)) == (0, 0, asked)
            told = "select expired_completions, deleted_completions, listed_from from marts.freshness"
            assert rows(tmp_path, told) == [(0, 0, oldest)]
        account.delete("c0050")
        report = synced(sandbox, tmp_path, full=True)
        assert report.relisted is not None
        assert (report.relisted.listed, report.relisted.deleted, report.relisted.doubt) == (99, 1, None)
        assert deleted(tmp_path) == ["c0050"]
        assert one(tmp_path, "select count(*) from chat.choices where content <> '[dropped]'") == 0
    assert_sound(tmp_path)


# Doubts: each changes nothing, and says why


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Account]:
    """A warehouse of 100 old rows in whose account one row was deleted since; tests take copies."""
    folder = tmp_path_factory.mktemp("held")
    account = old()
    with serving(account) as sandbox:
        synced(sandbox, folder)
    account.delete("c0050")
    return folder, account


def copied(held: tuple[Path, Account], tmp_path: Path, sandbox: Sandbox) -> Path:
    """The warehouse, as if it had been synced from this sandbox."""
    folder = Path(shutil.copytree(held[0], tmp_path / "copy"))
    for path in (files(folder).working, files(folder).published):
        path.chmod(0o644)
        with closing(duckdb.connect(str(path))) as connection:
            connection.execute("update chat.sources set base_url = ?", [sandbox.base_url])
    return folder


def others(count: int, start: int = OLD - 5_000) -> Account:
    """Another project's completions."""
    account = Account()
    for number in range(count):
        account.add(completion(f"x{number}", start + number))
    return account


def without(account: Account, *ids: str, before: int = 0) -> Account:
    left = Account()
    for row in account.completions():
        if row["id"] not in ids and row["created"] >= before:
            left.add(row)
    return left


DOUBTS = {
    "filtered": (lambda account: account, {"model": "m"}, "is filtered", 1),
    "empty": (lambda _: Account(), {}, "the list is empty", 100),
    "another project": (lambda _: others(3), {}, "none of the 3 listed completions was known before", 100),
    "another project, newer": (lambda _: others(3, NOW - 90), {}, "none of the 3 listed completions was known", 0),
    "shrunk": (
        lambda account: without(account, "c0051", "c0052", "c0053", "c0054", "c0055"),
        {},
        "6 of 100 completions (6.0%) are not listed any more, and more than 5.0% at once",
        6,
    ),
    "limit": (lambda account: account, {"deletion_limit": "0.005"}, "1 of 100 completions (1.0%)", 1),
}  # fmt: skip


@pytest.mark.parametrize("case", DOUBTS)
def test_a_doubtful_list_marks_nothing_unless_confirmed(
    held: tuple[Path, Account], tmp_path: Path, case: str
) -> None:
    change, flags, why, missing = DOUBTS[case]
    with serving(change(held[1])) as sandbox:
        folder = copied(held, tmp_path, sandbox)
        report = synced(sandbox, folder, full=True, **flags)
        assert (report.outcome, deleted(folder), gets(sandbox)) == ("done", [], 0)
        assert report.relisted is not None
        assert why in (report.relisted.doubt or "")
        assert "No deletion was marked: " in report.sentences()[1] + report.sentences()[2]
        assert one(folder, "select listed_from from chat.sources") is None
        if case not in ("filtered", "empty"):
            return
        report = synced(sandbox, folder, full=True, confirm_deletions=True, **flags)
        assert len(deleted(folder)) == report.relisted.deleted == missing  # type: ignore[union-attr]
        assert report.relisted is not None
        assert report.relisted.doubt is None
        assert_sound(folder)


def test_a_first_page_that_fails_changes_nothing(held: tuple[Path, Account], tmp_path: Path) -> None:
    with serving(held[1]) as sandbox:
        folder = copied(held, tmp_path, sandbox)
        sandbox.faults.extend([Fault.status(500)])
        before = files(folder).published.read_bytes()
        with pytest.raises(ServiceError):
            synced(sandbox, folder, full=True, confirm_deletions=True, max_attempts=1)
        assert files(folder).published.read_bytes() == before


def test_a_server_that_does_not_answer_for_what_it_lists_is_not_believed(
    held: tuple[Path, Account], tmp_path: Path
) -> None:
    """A 404 for one id says nothing where every id gets one."""
    with serving(held[1]) as sandbox:
        folder = copied(held, tmp_path, sandbox)
        sandbox.faults.extend([replace(Fault.status(404), path="/completions/")] * 50)
        report = synced(sandbox, folder, full=True, confirm_deletions=True)
    assert deleted(folder) == []
    assert report.relisted is not None
    assert "404 also for completions that it has just listed" in (report.relisted.doubt or "")


def test_a_completion_that_answers_to_its_id_is_not_deleted(
    held: tuple[Path, Account], tmp_path: Path
) -> None:
    """The list leaves it out, whatever the reason: its own GET is what counts."""
    with serving(held[1]) as sandbox:
        folder = copied(held, tmp_path, sandbox)
        sandbox.faults.extend([replace(Fault.status(200, completion("c0050", OLD)), path="/c0050")])
        report = synced(sandbox, folder, full=True)
        assert report.relisted is not None
        assert (report.relisted.still_there, deleted(folder)) == (1, [])


def test_seconds_that_may_be_incomplete_are_left_alone(tmp_path: Path) -> None:
    """Only the rows of such a second: what else is gone is found."""
    account = old(60)
    for number in range(30):
        account.add(completion(f"same{number:02}", OLD + 500))
    account.add(completion("after", OLD + 600))
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        account.delete("same07")
        account.delete("c0030")
        sandbox.rules = type(sandbox.rules)(max_limit=20)
        first = synced(sandbox, tmp_path, full=True)
        assert (first.relisted.unsure > 0, deleted(tmp_path)) == (True, ["c0030"])  # type: ignore[union-attr]
        assert "of seconds that were not listed whole" in first.sentences()[1]
        synced(sandbox, tmp_path, full=True, confirm_deletions=True)
        assert deleted(tmp_path) == ["c0030", "same07"]


def test_other_sources_are_judged_by_their_own_lists(tmp_path: Path) -> None:
    mine, theirs = old(40), Account()
    for number in range(40):
        theirs.add(completion(f"t{number}", OLD - number))
    with serving(mine) as sandbox, serving(theirs) as other:
        synced(sandbox, tmp_path)
        synced(other, tmp_path, source="other")
        mine.delete("c0005")
        theirs.delete("t5")
        synced(sandbox, tmp_path, full=True, confirm_deletions=True)
        assert deleted(tmp_path) == ["c0005"]
        synced(other, tmp_path, source="other", full=True)
        assert deleted(tmp_path) == ["c0005", "t5"]


def test_what_is_older_than_the_oldest_listed_one_has_expired(
    held: tuple[Path, Account], tmp_path: Path
) -> None:
    oldest = OLD - 600
    with serving(without(held[1], before=oldest)) as sandbox:
        folder = copied(held, tmp_path, sandbox)
        report = synced(sandbox, folder, full=True)
        assert report.relisted is not None
        assert (report.relisted.expired, report.relisted.deleted, deleted(folder)) == (39, 1, ["c0050"])
        assert "39 older than the oldest listed one: expired, not deleted" in report.sentences()[1]
        assert rows(folder, "select listed_from, expired_completions from marts.freshness") == [
            (datetime.fromtimestamp(oldest, UTC), 39)
        ]


def test_a_server_without_time_is_judged_too(tmp_path: Path) -> None:
    """No `Date` header, and rows whose time no column holds: these are never judged."""
    account = old(30)
    account.add(completion("untimed", "soon"), at=OLD)  # type: ignore[arg-type]
    with serving(account, date_header=False) as sandbox:
        synced(sandbox, tmp_path)
        for id_ in ("untimed", "c0020"):
            account.delete(id_)
        synced(sandbox, tmp_path, full=True)
        assert deleted(tmp_path) == ["c0020"]


# Cut and gone on with


def under_way(folder: Path) -> list[Any]:
    return rows(folder, "select source, started_at from relisting.walks")


def test_a_cut_full_sync_goes_on_where_it_stood_and_ordinary_ones_run_between(tmp_path: Path) -> None:
    account = old()
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        account.delete("c0010")
        account.delete("c0095")
        began = len(sandbox.requests)
        outcomes = []
        for number in range(20):
            report = synced(sandbox, tmp_path, full=True, max_pages=3, page_size=20)
            outcomes.append(report.outcome)
            if report.outcome == "done":
                break
            assert report.sentences()[1].endswith("the next sync --full goes on there.")
            assert deleted(tmp_path) == []
            assert len(under_way(tmp_path)) == 1
            account.add(completion(f"new{number}", NOW - 30 + number), visible_at=NOW - 10)
            ordinary = synced(sandbox, tmp_path)
            assert (ordinary.counts.rows_new, ordinary.counts.rows_late) == (1, 0)
            assert ordinary.counts.rows_seen < 20, "the ordinary cursor is where it was"
        assert outcomes == ["stopped"] * (len(outcomes) - 1) + ["done"]
        assert 1 < len(outcomes) < 5
        full = [query for _, path, query in sandbox.requests[began:] if query.get("limit") == "20"]
        assert len(full) <= 3 * len(outcomes)
        assert deleted(tmp_path) == ["c0010", "c0095"]
        assert one(tmp_path, "select count(*) from duckdb_schemas() where schema_name = 'relisting'") == 0
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
    assert_sound(tmp_path)


def test_a_first_sync_can_be_a_full_one_and_leaves_an_ordinary_cursor(tmp_path: Path) -> None:
    with serving(old()) as sandbox:
        assert synced(sandbox, tmp_path, full=True, page_size=20, max_pages=2).outcome == "stopped"
        assert synced(sandbox, tmp_path, full=True, page_size=20).counts.rows_new < 80
        assert_exact(tmp_path, sandbox.account)
        report = synced(sandbox, tmp_path)
        assert (report.outcome, report.counts.rows_seen) == ("nothing_new", 1)


def test_sigterm_while_asking_leaves_only_the_asking_to_do(
    held: tuple[Path, Account], tmp_path: Path
) -> None:
    gone = [f"c{number:04}" for number in range(40, 60)]
    with serving(without(held[1], *gone)) as sandbox:
        folder = copied(held, tmp_path, sandbox)
        busy = Fault.status(503, headers={"retry-after": "100"})
        sandbox.faults.extend([replace(busy, path="/c0041")])
        process = started(sandbox, folder, "sync", "--full", "--confirm-deletions")
        until(lambda: any("c0041" in path for _, path, _ in sandbox.requests), process)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 1
        assert said.splitlines()[-1].startswith("stored-completions: Stopped by SIGTERM.")
        assert deleted(folder) == []
        report = synced(sandbox, folder, full=True, confirm_deletions=True)
        assert deleted(folder) == gone
        assert report.relisted is not None
        assert report.counts.rows_seen == 1, "the list is not walked again, but for its end"


def test_kills_in_a_full_sync(held: tuple[Path, Account], tmp_path: Path) -> None:
    """Whatever it was doing: the next one goes on, and ends with every row judged."""
    account = without(held[1], "c0060")
    for id_ in ("c0005", "c0077"):
        account.update_metadata(id_, {"edited": "yes"})
    with serving(account) as sandbox:
        folder = copied(held, tmp_path, sandbox)
        for step in (90, 210):
            assert dies(sandbox, folder, step, "full")
            assert set(deleted(folder)) <= {"c0050", "c0060"}
            assert_sound(folder)
        synced(sandbox, folder, full=True)
        assert deleted(folder) == ["c0050", "c0060"]
        assert one(folder, "select count(*) from chat.metadata where key = 'edited'") == 2
        assert one(folder, "select count(*) from duckdb_schemas() where schema_name = 'relisting'") == 0
        assert synced(sandbox, folder).outcome == "nothing_new"
