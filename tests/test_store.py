"""What a sync knows of its warehouse: rows by id and time, dlt's state, who is bound to what."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from stored_completions import store
from stored_completions.endpoint import Endpoint
from stored_completions.sandbox import Account
from stored_completions.store import State, Store
from synced import NOW, files, serving, synced
from test_sync import completion

ENDPOINT = Endpoint("k", "https://one.example/v1/", "o", "p")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    account = Account()
    for number in range(6):
        account.add(completion(f"c{number}", NOW - 100 + number))
    account.add(completion("untimed", None), at=NOW - 70)
    with serving(account) as sandbox:
        synced(sandbox, folder)
        account.add(completion("second load", NOW - 60))
        synced(sandbox, folder, model="m")
    return files(folder).working


@pytest.fixture
def connection(base: Path, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(duckdb.connect(shutil.copy(base, tmp_path))) as connection:
        yield connection


def ids(found: dict[str, Any]) -> set[str]:
    return set(found)


def test_completions_are_known_by_time_without_looking_at_the_rest(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    known = Store(connection)
    found = known.known({"c1": NOW - 99, "c4": NOW - 96, "untimed": None})
    assert ids(found) == {"c1", "c4", "untimed"}
    assert known._hashes is None
    assert (found["c1"].source, found["c1"].created) == ("default", NOW - 99)
    assert found["c1"].created_date == date(2026, 11, 20)
    assert (found["untimed"].created, found["untimed"].created_date) == (None, None)


@pytest.mark.parametrize("created", [None, 0, NOW, -62_135_596_800, 253_402_300_799])
def test_completions_are_known_whenever_they_are_said_to_be(
    connection: duckdb.DuckDBPyConnection, created: int | None
) -> None:
    known = Store(connection)
    for _ in range(2):
        assert ids(known.known({"c2": created, "new": created, "untimed": created})) == {"c2", "untimed"}
        assert known.known({"new": created}) == {}
    assert known.known({}) == {}


def test_a_new_warehouse_knows_nothing() -> None:
    nothing = Store(None)
    assert nothing.is_empty
    assert nothing.known({"a": 1}) == {}
    assert nothing.state() == State(None, {})
    assert nothing.quarantined() == set()
    assert nothing.binding("default") is None
    assert nothing.last_success("default") is None
    with closing(duckdb.connect()) as connection:
        assert Store(connection).known({"a": 1}) == {}
        assert Store(connection).state() == State(None, {})


def test_the_state_is_what_dlt_restores(
    base: Path, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    pipeline = dlt.pipeline(
        store.PIPELINE,
        pipelines_dir=str(tmp_path / "dlt"),
        destination=dlt.destinations.duckdb(connection),
        dataset_name="chat",
    )
    pipeline.sync_destination()
    restored = pipeline.state["sources"][store.PIPELINE]["resources"][store.RESOURCE]
    assert len(restored) == 2
    assert Store(connection).state().cursors == restored


def test_a_package_without_its_mark_has_no_state(connection: duckdb.DuckDBPyConnection) -> None:
    before = Store(connection).state()
    connection.execute(
        "insert into chat._dlt_pipeline_state by name select * replace ('9999999999' as _dlt_load_id, 'x' as state)"
        " from chat._dlt_pipeline_state limit 1"
    )
    assert Store(connection).state() == before


def test_the_basis_is_the_newest_package_also_if_its_cursor_did_not_move(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    before = Store(connection).state()
    connection.execute(
        "insert into chat._dlt_loads (load_id, status, inserted_at) values ('9999999999', 0, now())"
    )
    assert Store(connection).state() == State("9999999999", before.cursors)


def test_only_the_newest_states_are_kept(connection: duckdb.DuckDBPyConnection) -> None:
    before = Store(connection).state()
    store.prune(connection, keep=1)
    assert connection.execute("select count(*) from chat._dlt_pipeline_state").fetchall() == [(1,)]
    assert Store(connection).state() == before


def test_a_source_is_bound_once_and_synced_up_to_its_last_complete_run(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    store.bind(connection, "mine", ENDPOINT, noon)
    store.bind(connection, "mine", Endpoint("k", "https://two.example/v1"), noon + timedelta(1))
    assert Store(connection).binding("mine") == ("https://one.example/v1", "p")
    runs = [
        {
            "run_id": str(hour),
            "source": "mine",
            "started_at": noon + timedelta(hours=hour),
            "finished_at": noon + timedelta(hours=hour, minutes=1),
            "outcome": outcome,
        }
        for hour, outcome in enumerate(["done", "nothing_new", "stopped", "failed", "running"])
    ]
    for _ in range(2):
        store.note_runs(connection, runs)
    assert connection.execute("select count(*) from chat.sync_runs where source = 'mine'").fetchall() == [
        (5,)
    ]
    assert connection.execute("select * from chat.sources where source = 'mine'").fetchall() == [
        ("mine", "https://one.example/v1", "p", "o", noon, noon + timedelta(hours=1), *[None] * 3)
    ]
    assert Store(connection).last_success("mine") == noon + timedelta(hours=1, minutes=1)
    assert Store(connection).last_success("another") is None
