"""One suite for every destination: after whatever happens, it has the rows of the DuckDB file, value by value.

Run by `make test-engines`, in an environment of its own and with the servers that it needs.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
import spoiling

import old
from console import run
from stored_completions.config import destination as configured
from stored_completions.content.erasing import Which
from stored_completions.content.purging import purge
from stored_completions.destinations.base import Destination
from stored_completions.destinations.comparing import compare
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.opening import opened
from stored_completions.destinations.shipping import shipping_to
from stored_completions.destinations.units import SHIPPED
from stored_completions.errors import WarehouseError
from stored_completions.sandbox import Account, Sandbox
from stored_completions.warehouse import SCHEMA_VERSION, connect
from synced import NAME, Heard, assert_exact, environment, files, rows, serving
from synced import synced as sync_here
from test_sync import completion

TESTS = Path(__file__).resolve().parents[1]
ODD = "a\0b ␀ ␛ ␛n é 😀"


def synced(sandbox: Sandbox, folder: Path, **options: Any) -> Any:
    """A sync to the destination that the environment names."""
    own = _configured()
    folder.mkdir(exist_ok=True)
    settings = {
        "destination": own.name,
        "dataset": own.dataset,
        "table_format": "delta" if own.name == "filesystem" else "",
        "loader": "dlt" if own.goes_through_dlt else "",
    }
    return sync_here(sandbox, folder, **settings, **options)


def started(sandbox: Sandbox, folder: Path, *program: str) -> "subprocess.Popen[str]":
    """A process of its own, by default the command line's sync, with the destination configured."""
    return subprocess.Popen(
        [sys.executable, *(program or ("-m", "stored_completions", "sync"))],
        cwd=folder,
        env=environment(sandbox, folder) | own_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def there() -> Destination:
    return opened(_configured())


def _configured() -> Target:
    own = configured({}, os.environ, None)
    assert own is not None
    return own


def assert_same(folder: Path) -> int:
    """Every row of every table is there as it is here, none more; how many there are."""
    with (
        closing(duckdb.connect(str(folder / NAME), read_only=True)) as connection,
        closing(there()) as destination,
    ):
        connection.execute("set TimeZone = 'UTC'")
        found = compare(connection, destination)
    assert [table for table in found if not table.is_same] == []
    assert len(found) == len(SHIPPED)
    return sum(table.rows_there for table in found)


def generation() -> str:
    with closing(there()) as destination:
        standing = destination.standing()
    assert standing is not None
    return standing.generation


@pytest.fixture
def account() -> Account:
    made = Account.generate(120, seed=3, logprob_share=0.2, tokens=12)
    at = made.newest() or 0
    made.add(completion("odd", at, metadata={"key␀": ODD, "k": "␛e"}) | {"choices": [_answer(ODD)]})
    return made


def _answer(text: str) -> dict[str, Any]:
    return {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}


@pytest.fixture
def sandbox(account: Account) -> Iterator[Sandbox]:
    with serving(account) as serving_it:
        yield serving_it


def test_everything_is_there_and_a_second_sync_ships_nothing(
    destination: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    synced(sandbox, tmp_path, messages=True)
    assert_exact(tmp_path, sandbox.account)
    assert_same(tmp_path)
    assert rows(tmp_path, "select count(*) from chat.messages") > [(100,)]
    before = generation()
    heard = Heard()
    assert synced(sandbox, tmp_path, watcher=heard).outcome == "nothing_new"
    assert (generation(), heard.sentences) == (before, [])


def test_edits_and_deletions_arrive(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """Metadata pairs that are gone, a completion deleted at the API, and rows that a full re-list only stamps."""
    synced(sandbox, tmp_path)
    ids = [row["id"] for row in sandbox.account.completions()]
    sandbox.account.update_metadata("odd", {"k": "changed"})
    sandbox.account.update_metadata(ids[0], {})
    sandbox.account.delete(ids[1])
    report = synced(sandbox, tmp_path, full=True, confirm_deletions=True)
    assert (report.counts.rows_changed, report.relisted.deleted) == (2, 1)
    assert rows(tmp_path, "select key, value from chat.metadata where completion_id = 'odd'") == [
        ("k", "changed")
    ]
    assert_same(tmp_path)


def check_merging(sandbox: Sandbox, folder: Path) -> None:
    """Each sync leaves a file more; somebody merges them, and syncs go on."""
    for number in range(3):
        sandbox.account.add(
            completion(f"late{number}", (sandbox.account.newest() or 0) + 1, metadata={"k": "v"})
        )
        synced(sandbox, folder)
    before = generation()
    assert spoiling.merge_files() == 1
    assert generation() == before
    assert_same(folder)
    sandbox.account.update_metadata("late0", {"k": "changed"})
    sandbox.account.add(completion("last", (sandbox.account.newest() or 0) + 1))
    assert synced(sandbox, folder, full=True).counts.rows_changed == 1
    assert_same(folder)


def test_a_purge_leaves_no_content(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """In a folder not in any file: rows that are replaced, what Delta's logs and DuckLake's catalog note of them."""
    secret = "MARKER-of-what-was-said"
    at = sandbox.account.newest() or 0
    said = completion("secret", at, metadata={"k": secret}) | {"choices": [_answer(secret)]}
    sandbox.account.add(said)
    synced(sandbox, tmp_path, messages=True)
    assert bool(_containing(tmp_path / "lake", secret)) == (destination in ("delta", "ducklake"))
    own = _configured()
    ids = ("secret", *(row["id"] for row in sandbox.account.completions()[:5]))
    assert purge(tmp_path / NAME, Which(ids), destination=own).completions == 6
    assert _containing(tmp_path, secret) == []
    assert_same(tmp_path)
    assert rows(tmp_path, "select content from chat.choices where completion_id = 'secret'") == [
        ("[dropped]",)
    ]
    assert synced(sandbox, tmp_path).outcome == "nothing_new"
    assert_same(tmp_path)


def _containing(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_the_bill_arrives(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:
    synced(sandbox, tmp_path, billing=True, admin_key="sk-admin")
    assert rows(tmp_path, "select count(*) > 0 from chat.organization_costs") == [(True,)]
    assert_same(tmp_path)


def test_a_new_machine_and_one_left_behind_go_on_from_the_destination(
    destination: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    synced(sandbox, first, messages=True)
    report = synced(sandbox, second)
    assert report.outcome == "nothing_new"
    assert_exact(second, sandbox.account)
    total = assert_same(second)
    before = generation()
    sandbox.account.add(completion("later", (sandbox.account.newest() or 0) + 1))
    assert synced(sandbox, second).counts.rows_new == 1
    assert assert_same(second) > total
    assert generation() != before
    heard = Heard()
    assert synced(sandbox, first, watcher=heard).counts.rows_new == 0
    assert "stands elsewhere than this machine left it" in heard.sentences[0]
    assert_exact(first, sandbox.account)
    assert_same(first)
    after = generation()
    for folder in (second, first):
        heard = Heard()
        assert synced(sandbox, folder, watcher=heard).outcome == "nothing_new"
        assert (heard.sentences, generation()) == ([], after)


def test_a_dataset_that_is_gone_is_shipped_again(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:
    synced(sandbox, tmp_path)
    spoiling.drop()
    heard = Heard()
    synced(sandbox, tmp_path, watcher=heard)
    assert "is empty, though it was not" in heard.sentences[0]
    assert_same(tmp_path)


def test_a_dataset_of_an_older_schema_is_brought_up_to_date(
    destination: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As version 1 would have shipped it: its tables lack what came since."""
    account = old.account(1)
    with serving(account) as sandbox:
        old.restore(1, tmp_path / "of_1" / NAME, sandbox.base_url)
        with closing(duckdb.connect(str(tmp_path / "of_1" / NAME), read_only=True)) as connection:
            known = {
                (table, column)
                for table, column in connection.execute(
                    "select table_name, column_name from duckdb_columns() where schema_name = 'chat'"
                ).fetchall()
            }
        synced(sandbox, tmp_path / "of_1")
        spoiling.take_away(known)
        account.add(completion("new", (account.newest() or 0) + 1))
        report = synced(sandbox, tmp_path / "another")
        assert report.counts.rows_new == 1
        assert_exact(tmp_path / "another", account)
    assert_same(tmp_path / "another")
    with closing(there()) as found:
        standing = found.standing()
    assert standing is not None
    assert standing.schema_version == SCHEMA_VERSION


def test_killed_anywhere_a_repeat_is_exact(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """kill -9 at moments spread over a whole sync, edits among them; then the next sync mends everything."""
    moments = random.Random(7)
    begun = time.monotonic()
    one = started(sandbox, tmp_path)
    assert one.wait(60) == 0, one.communicate()
    whole = time.monotonic() - begun
    one.communicate()
    for number in range(5):
        sandbox.account.update_metadata("odd", {"round": str(number), f"only{number}": ODD})
        sandbox.account.add(completion(f"late{number}", (sandbox.account.newest() or 0) + 1))
        process = started(sandbox, tmp_path)
        time.sleep(whole * moments.uniform(0.4, 1.05))
        process.kill()
        process.communicate()
    synced(sandbox, tmp_path, full=True)
    assert_exact(tmp_path, sandbox.account)
    assert_same(tmp_path)


@pytest.mark.parametrize("moment", ["before", "inside", "inside the first", "after"])
def test_killed_around_a_package(destination: str, sandbox: Sandbox, tmp_path: Path, moment: str) -> None:
    """Another machine goes on from there, and then the one that died."""
    died, other = tmp_path / "died", tmp_path / "other"
    for folder in (died, other):
        folder.mkdir()
        if not moment.endswith("first"):
            synced(sandbox, folder)
    sandbox.account.update_metadata("odd", {"k": "edited"})
    sandbox.account.add(completion("late", (sandbox.account.newest() or 0) + 1))
    process = started(
        sandbox,
        died,
        str(TESTS / "destinations" / "dying_there.py"),
        str(died / NAME),
        moment.removesuffix(" the first"),
    )
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, err
    for folder in (other, died):
        synced(sandbox, folder)
        assert_exact(folder, sandbox.account)
        assert_same(folder)


def test_three_writers_at_once(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """Three machines with folders of their own: one works, the others end with 75 and come again."""
    folders = [tmp_path / name for name in ("one", "two", "three")]
    codes: list[int] = []
    for folder in folders:
        folder.mkdir()
    for round_ in range(2):
        for number in range(3):
            at = (sandbox.account.newest() or 0) + 1
            sandbox.account.add(completion(f"round{round_}-{number}", at))
        processes = {folder: started(sandbox, folder) for folder in folders}
        for process in processes.values():
            _, err = process.communicate(timeout=120)
            codes.append(process.returncode)
            assert process.returncode in (0, 75), err
    assert 0 in codes
    assert 75 in codes
    for folder in folders:
        synced(sandbox, folder)
        assert_exact(folder, sandbox.account)
        assert_same(folder)


def test_who_goes_on_without_the_lock_is_found_out(
    destination: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nothing of a package arrives when somebody has moved the dataset on; then both go on."""
    synced(sandbox, tmp_path)
    sandbox.account.add(completion("late", (sandbox.account.newest() or 0) + 1))
    sync_here(sandbox, tmp_path)
    with shipping_to(_configured(), files(tmp_path), print) as shipping:
        assert shipping is not None
        assert not shipping.follow()
        spoiling.move_on()
        with (
            closing(connect(files(tmp_path).working, read_only=False)) as connection,
            pytest.raises(WarehouseError, match="Somebody else wrote to"),
        ):
            shipping.ship(connection)
    assert generation() == "another"
    synced(sandbox, tmp_path)
    assert_exact(tmp_path, sandbox.account)
    assert_same(tmp_path)


def test_a_held_lock_is_met_and_said(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:
    with closing(there()) as holding, holding.locked(), closing(there()) as looking:
        assert looking.is_held()
        done = run("sync", at=tmp_path, url=sandbox.base_url, env=own_environment())
    assert done.code == 75
    assert "Another sync is writing to" in done.err
    assert len(done.err.splitlines()) == 1
    assert run("sync", at=tmp_path, url=sandbox.base_url, env=own_environment()).code == 0


def own_environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if name.startswith(("DESTINATION__", "SOURCES__"))
    }


def test_verify_status_and_check_speak_of_it(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:
    env = own_environment()
    assert run("sync", at=tmp_path, url=sandbox.base_url, env=env).code == 0
    for command, said in (("status", "nothing behind"), ("check", "nothing behind")):
        assert said in " ".join(run(command, at=tmp_path, url=sandbox.base_url, env=env).out.split())
    verified = run("verify", at=tmp_path, env=env)
    assert verified.code in (0, 3)
    assert "FAIL  completions:" not in verified.out
    assert "ok    completions:" in verified.out
    spoiling.delete("odd")
    verified = run("verify", at=tmp_path, env=env)
    assert verified.code == 3
    assert "FAIL  completions: 121 rows here, 120 at the destination" in verified.out
    assert ("FAIL  orphaned_children, at the destination" in verified.out) == (
        destination == "postgres" or destination.startswith("ducklake")
    )
    assert "The destination differs in completions" in " ".join(verified.err.split())
