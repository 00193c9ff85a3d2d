"""kill -9 at any moment: nothing is lost or doubled, and what analysts open is always one whole state."""

import os
import random
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rebuild import normal, rebuild
from stored_completions import undo, warehouse
from stored_completions.sandbox import Account, Sandbox
from stored_completions.warehouse import Files
from synced import (
    NAME,
    SMALL,
    assert_exact,
    assert_sound,
    environment,
    files,
    one,
    rows,
    serving,
    started,
    synced,
    tables,
    until,
)

KILLS = int(os.environ.get("STORED_COMPLETIONS_KILLS", "6"))
STEPS = 620
DAY = date(2025, 10, 9)
DYING = Path(__file__).with_name("dying.py")


def dies(sandbox: Sandbox, folder: Path, step: int, *how: str) -> bool:
    """Runs a sync that is to kill itself at this step of its work on the disk; whether it did."""
    command = [sys.executable, str(DYING), str(step), str(folder / NAME), str(SMALL.completions), *how]
    done = subprocess.run(
        command, cwd=folder, env=environment(sandbox, folder), capture_output=True, check=False
    )
    assert done.returncode in (-9, 0), done.stderr.decode()
    return done.returncode == -9


def small() -> Account:
    """Three rounds, all within the look-back."""
    return Account.generate(100, per_second=1, logprob_share=0.1)


def change(account: Account, chance: random.Random) -> None:
    """Some metadata grows, shrinks or goes, and rows are added."""
    for id_ in chance.sample(account.ids(), 6):
        pairs = {f"k{number}": str(chance.random()) for number in range(chance.randrange(4))}
        account.update_metadata(id_, pairs)
    newest = account.newest() or 0
    for number in range(3):
        new = {"id": f"new{len(account)}", "object": "chat.completion", "created": newest - number * 7}
        account.add({**new, "choices": [], "metadata": {"a": "b"}, "usage": {"total_tokens": number}})


def note(versions: dict[str, list[Any]], account: Account) -> None:
    for row in account.completions():
        versions.setdefault(row["id"], []).append(normal(row))


def test_kills_while_rows_change(tmp_path: Path) -> None:
    """Each kill falls on the remains of the one before.

    What is published holds whole rows only, each as it was at some time, and never fewer than before:
    a walk that was cut goes on at its place, so edits behind it are for the next walk.
    """
    account = small()
    chance = random.Random(7)
    versions: dict[str, list[Any]] = {}
    deaths, count = 0, 0
    with serving(account) as sandbox:
        note(versions, account)
        synced(sandbox, tmp_path, page_size=20)
        for kill in range(KILLS):
            change(account, chance)
            note(versions, account)
            step = chance.randrange(STEPS * kill // KILLS, STEPS * (kill + 1) // KILLS)
            deaths += dies(sandbox, tmp_path, max(1, step))
            published = rebuild(tables(tmp_path))
            assert [id_ for id_, row in published.items() if normal(row) not in versions[id_]] == []
            assert len(published) >= count
            assert_sound(tmp_path)
            count = len(published)
        while synced(sandbox, tmp_path).outcome != "nothing_new":
            assert_sound(tmp_path)
        assert_exact(tmp_path, account)
    assert deaths >= KILLS * 3 // 4
    assert one(tmp_path, "select count(*) from chat.sync_runs where outcome = 'running'") == 0
    assert not files(tmp_path).dlt.exists()


@pytest.mark.parametrize("steps", [(150, 330, 60)])
def test_kills_before_the_first_copy_is_out(tmp_path: Path, steps: tuple[int, ...]) -> None:
    account = small()
    with serving(account) as sandbox:
        for step in steps:
            assert dies(sandbox, tmp_path, step)
            assert not (tmp_path / NAME).exists()
        report = synced(sandbox, tmp_path)
        assert report.is_new_warehouse
        assert report.counts.rows_new < 100, "the rounds that were loaded are kept"
        assert_exact(tmp_path, account)
    assert ("interrupted", "The process died.") in rows(
        tmp_path, "select outcome, detail from chat.sync_runs"
    )


def test_what_a_killed_sync_had_spilled_is_removed(tmp_path: Path) -> None:
    spilled = Files(tmp_path / NAME).spilled
    with serving(Account.generate(5)) as sandbox:
        synced(sandbox, tmp_path)
        spilled.mkdir()
        (spilled / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"content")
        sandbox.account.update_metadata(sandbox.account.ids()[-1], {"edited": "yes"})
        assert synced(sandbox, tmp_path).counts.rows_changed == 1
    assert not spilled.exists()


@pytest.mark.parametrize("sign", ["unpublished", "wal"])
def test_the_command_line_killed_as_soon_as_a_file_appears(tmp_path: Path, sign: str) -> None:
    account = small()
    own = files(tmp_path)
    path = {"wal": warehouse.wal(own.working)}.get(sign) or getattr(own, sign)
    with serving(account) as sandbox:
        process = started(sandbox, tmp_path, "sync", "--page-size", "50")
        until(path.exists, process)
        process.kill()
        process.communicate()
        assert process.returncode == -9
        synced(sandbox, tmp_path)
        assert_exact(tmp_path, account)


# What `recover` makes of each moment, one by one


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working file whose completions are `c0` to `c3`, each with choices and metadata."""
    folder = tmp_path_factory.mktemp("base")
    account = Account()
    for number in range(4):
        choice = {"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}
        row = {"id": f"c{number}", "object": "chat.completion", "created": 1_760_000_000, "choices": [choice]}
        account.add({**row, "metadata": {"a": "1", "b": "2"}, "usage": {"total_tokens": 1}})
    with serving(account) as sandbox:
        synced(sandbox, folder)
    return files(folder).working


def content(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    names = [
        row[0]
        for row in connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'chat' and table_name[1] != '_'"
        ).fetchall()
    ]
    return {name: sorted(map(repr, connection.execute(f"from chat.{name}").fetchall())) for name in names}


def load(connection: duckdb.DuckDBPyConnection, load_id: str, *names: str) -> None:
    """What dlt has committed of a round that writes c1 anew and c9, when it dies after these tables."""
    if "completions" in names:
        connection.execute(
            f"insert into chat.completions (completion_id, _dlt_load_id) values ('c1', '{load_id}'), ('c9', '{load_id}')"
        )
    if "metadata" in names:
        connection.execute(
            f"insert into chat.metadata (completion_id, key, _dlt_load_id) values ('c1', 'c', '{load_id}'), ('c9', 'a', '{load_id}')"
        )
    if "quarantine" in names:
        connection.execute(f"insert into chat.quarantine (sha256, _dlt_load_id) values ('x', '{load_id}')")


@pytest.mark.parametrize(
    "names",
    [(), ("completions",), ("metadata",), ("quarantine",), ("completions", "metadata", "quarantine")],
    ids=lambda names: "+".join(names) or "nothing",
)
def test_a_round_without_its_mark_never_was(base: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    path = shutil.copy(base, tmp_path)
    with closing(duckdb.connect(path)) as connection:
        before = content(connection)
        undo.move_out(connection, ["c1"], [DAY])
        load(connection, "9999", *names)
        assert content(connection) != before
        for _ in range(2):
            undo.recover(connection)
            assert content(connection) == before


def test_a_round_with_its_mark_stays(base: Path, tmp_path: Path) -> None:
    path = shutil.copy(base, tmp_path)
    with closing(duckdb.connect(path)) as connection:
        undo.move_out(connection, ["c1"], [DAY])
        load(connection, "9999", "completions", "metadata", "quarantine")
        connection.execute(
            "insert into chat._dlt_loads (load_id, status, inserted_at) values ('9999', 0, now())"
        )
        after = content(connection)
        for _ in range(2):
            undo.recover(connection)
            assert content(connection) == after
        assert connection.execute("select key from chat.metadata where completion_id = 'c1'").fetchall() == [
            ("c",)
        ]


def test_moving_out_dies_whole_or_not_at_all(base: Path, tmp_path: Path) -> None:
    """The file as it is on the disk in the middle of the transaction, its log included."""
    path = Path(shutil.copy(base, tmp_path))
    with closing(duckdb.connect(str(path))) as connection:
        before = content(connection)
        connection.execute("begin")
        connection.execute("delete from chat.metadata")
        torn = tmp_path / "torn"
        torn.mkdir()
        for each in (path, warehouse.wal(path)):
            if each.exists():
                shutil.copy(each, torn)
    with closing(duckdb.connect(str(torn / path.name))) as connection:
        undo.recover(connection)
        assert content(connection) == before


def test_there_is_nothing_to_recover_before_the_first_load() -> None:
    with closing(duckdb.connect()) as connection:
        undo.recover(connection)
        undo.move_out(connection, [], [])
        assert connection.execute("select * from duckdb_tables()").fetchall() == []
