"""Cursors that vanish, accounts that become empty, clocks that run wrong: each through a real sync."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from stored_completions import advice
from stored_completions.sandbox.rules import Vanished
from stored_completions.status import status
from synced import NAME, NOW, Heard, assert_exact, assert_sound, files, one, rows, serving, synced
from test_sync import completion, recent

VANISHED: tuple[Vanished, ...] = ("400", "404", "restart", "empty")


def written(path: Path, *statements: str) -> None:
    with closing(duckdb.connect(str(path))) as connection:
        for statement in statements:
            connection.execute(statement)


def test_cursors_that_vanish_hide_no_new_row(tmp_path: Path) -> None:
    """Each time the newest rows go, the one among them that the next walk starts at."""
    account = recent(60, step=100)
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        gone = 0
        for number, vanished in enumerate(VANISHED):
            sandbox.rules = type(sandbox.rules)(vanished=vanished)
            for id_ in account.ids()[-12:]:
                account.delete(id_)
                gone += 1
            sandbox.clock.advance(100)
            account.add(completion(f"new{number}", NOW + number * 100))
            report = synced(sandbox, tmp_path, page_size=10)
            assert (report.outcome, report.counts.rows_new) == ("done", 1)
            assert one(tmp_path, "select count(*) from chat.completions") == len(account) + gone
        assert_sound(tmp_path)


def test_an_account_that_becomes_empty_loses_nothing_here_and_goes_on(tmp_path: Path) -> None:
    account = recent(20, step=100)
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        for number, vanished in enumerate(VANISHED[::2]):
            sandbox.rules = type(sandbox.rules)(vanished=vanished)
            for id_ in account.ids():
                account.delete(id_)
            emptied = synced(sandbox, tmp_path)
            assert (emptied.outcome, emptied.counts.rows_seen) == ("nothing_new", 0)
            assert any("lists nothing any more" in sentence for sentence in emptied.sentences())
            sandbox.clock.advance(1_000)
            account.add(completion(f"new{number}", NOW + 1_000 * number + 990))
            assert synced(sandbox, tmp_path).counts.rows_new == 1
            assert one(tmp_path, "select count(*) from chat.completions") == 21 + number


def test_a_server_clock_that_is_set_back(tmp_path: Path) -> None:
    with serving(recent(50, step=100)) as sandbox:
        synced(sandbox, tmp_path)
        sandbox.clock.set(NOW + 500_000)
        sandbox.account.add(completion("ahead", NOW + 499_990))
        synced(sandbox, tmp_path)
        sandbox.account.delete("ahead")
        sandbox.clock.set(NOW + 100)
        sandbox.account.add(completion("now", NOW + 90))
        assert synced(sandbox, tmp_path).counts.rows_new == 1
        sandbox.clock.set(NOW + 400)
        sandbox.account.add(completion("later", NOW + 390))
        assert synced(sandbox, tmp_path).counts.rows_new == 1
        assert_sound(tmp_path)


def test_a_machine_clock_that_ran_ahead(tmp_path: Path) -> None:
    """Its load packages bear times to come: those of today are the newest all the same."""
    account = recent(200, step=10)
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        tables = rows(
            tmp_path,
            "select table_name from duckdb_columns() where schema_name = 'chat' and column_name = '_dlt_load_id'",
        )
        written(
            files(tmp_path).working,
            "update chat._dlt_loads set load_id = '9999999999.5'",
            *(f"update chat.{name} set _dlt_load_id = '9999999999.5'" for (name,) in tables),
        )
        sandbox.clock.advance(100_000)
        account.update_metadata("c0199", {"edited": "yes"})
        account.add(completion("new", NOW + 99_990))
        assert synced(sandbox, tmp_path).counts.rows_new == 1
        sandbox.clock.advance(100_000)
        account.add(completion("newer", NOW + 199_990))
        report = synced(sandbox, tmp_path)
        assert (report.counts.rows_new, report.counts.rows_seen) == (1, 2), "it goes on from the last sync"
        assert_exact(tmp_path, account)


# Retention


def test_a_long_pause_is_said_by_status_and_by_sync_for_each_filter(tmp_path: Path) -> None:
    heard = Heard()
    with serving(recent(3)) as sandbox:
        synced(sandbox, tmp_path)
        ago = datetime.now(UTC) - timedelta(days=27)
        for path in (files(tmp_path).working, files(tmp_path).published):
            path.chmod(0o644)
            with closing(duckdb.connect(str(path))) as connection:
                connection.execute("update chat.sync_runs set started_at = ?, finished_at = ?", [ago, ago])
        files(tmp_path).journal.unlink()
        said = (
            "The last successful sync was 27 days ago. Completions are said to be kept for 30 days: older ones may be "
            "gone."
        )
        assert status(tmp_path / NAME).warnings == [said]
        (fresh,) = status(tmp_path / NAME).freshness
        assert fresh["days_to_expiry"] == 2
        synced(sandbox, tmp_path, watcher=heard, model="m")
        assert heard.sentences == [], "this filter was never synced before"
        assert status(tmp_path / NAME).warnings == [said], "a filtered sync does not read the rest"
        synced(sandbox, tmp_path, watcher=heard)
        assert heard.sentences == [said]
        assert status(tmp_path / NAME).warnings == []


# How late is late


def late(
    latest: int | None, hours_ago: int = 1, window: int | None = 3600, source: str = "default"
) -> advice.Run:
    at = (NOW_AT - timedelta(hours=hours_ago)).isoformat()
    times = {"started_at": at, "finished_at": at, "outcome": "done", "source": source}
    return {**times, "latest_seconds": latest, "lookback_seconds": window}


NOW_AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [late(None), late(None, window=None)],
        [late(2_000), late(2_800), late(600)],
        [late(3_000)],
        [late(3_000), late(3_000, hours_ago=200)],
        [late(0, window=0), late(None, window=0)],
    ],
)
def test_a_look_back_that_does_is_left_alone(runs: list[advice.Run]) -> None:
    assert advice.look_back(runs, NOW_AT) is None


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([late(3_000), late(3_500)], "(up to 58 minutes late, of 60 minutes)"),
        ([late(3_000), late(3_500)], "--lookback 2h"),
        ([late(20_000)], "(up to 6 hours late, of 60 minutes)"),
        ([late(20_000)], "--lookback 9h"),
        ([late(10**7)], "--lookback 168h"),
    ],
)
def test_a_longer_look_back_is_suggested(runs: list[advice.Run], said: str) -> None:
    assert said in (advice.look_back(runs, NOW_AT) or "")


def test_warnings_name_their_source_where_there_are_several() -> None:
    runs = [late(3_000), late(3_500), late(10, hours_ago=26 * 24, source="eu")]
    one_, two = advice.warnings(runs, ["default", "eu"], NOW_AT)
    assert "In 2 of the syncs of source default of the last 7 days" in one_
    assert two.startswith("The last successful sync of source eu was 26 days ago.")
