"""One suite for every destination: after whatever happens, it has the rows of the DuckDB file, value by value.

Run by `make test-engines`, in an environment of its own and with the servers that it needs.
"""

import os
import random
import shutil
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
from postgres import PASSWORD

import old
from console import run
from stored_completions.config import destination as configured
from stored_completions.content.erasing import Which
from stored_completions.content.purging import purge
from stored_completions.destinations.base import Destination
from stored_completions.destinations.comparing import compare
from stored_completions.destinations.opening import opened
from stored_completions.destinations.units import SHIPPED
from stored_completions.errors import WarehouseError
from stored_completions.sandbox import Account, Sandbox
from stored_completions.warehouse import SCHEMA_VERSION
from synced import NAME, Heard, assert_exact, environment, files, rows, serving
from synced import synced as sync_here
from test_sync import completion

TESTS = Path(__file__).resolve().parents[1]
ODD = "a\0b ␀ ␛ ␛n é 😀"


def synced(sandbox: Sandbox, folder: Path, **options: Any) -> Any:
    """A sync to the destination that the environment names."""
    own = configured({}, os.environ, None)
    assert own is not None
    folder.mkdir(exist_ok=True)
    return sync_here(
        sandbox, folder, destination=own.name, dataset=own.dataset, table_format="delta", **options
    )


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
    own = configured({}, os.environ, None)
    assert own is not None
    return opened(own)


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


def test_a_purge_leaves_no_content(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """In a folder not in any file: rows that are replaced, logs and statistics of Delta included."""
    secret = "MARKER-of-what-was-said"
    at = sandbox.account.newest() or 0
    said = completion("secret", at, metadata={"k": secret}) | {"choices": [_answer(secret)]}
    sandbox.account.add(said)
    synced(sandbox, tmp_path, messages=True)
    assert bool(_containing(tmp_path / "lake", secret)) == (destination == "delta")
    own = configured({}, os.environ, None)
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


def test_its_views_say_what_ours_say(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """Every digit of the costs; made once, and not again by the next package."""
    if destination != "postgres":
        pytest.skip("Delta tables have no views")
    import psycopg2

    synced(sandbox, tmp_path, billing=True, admin_key="sk-admin")
    own = configured({}, os.environ, None)
    assert own is not None
    sums = "select count(*), sum(completions), sum(cost_usd), sum(cached_tokens) from {}.daily_usage"
    spent = "select metadata_value, sum(cost_usd) from {}.metadata_usage where metadata_key = 'team' group by 1 order by 2"
    address = os.environ["DESTINATION__POSTGRES__CREDENTIALS"]
    with closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
        for sql in (sums, spent):
            cursor.execute(sql.format(f"{own.dataset}_marts"))
            assert cursor.fetchall() == rows(tmp_path, sql.format("marts"))
        oids = "select oid from pg_class where relkind = 'v' and relnamespace = to_regnamespace(%s)::oid order by 1"
        cursor.execute(oids, [f"{own.dataset}_marts"])
        before = cursor.fetchall()
        connection.commit()
        sandbox.account.add(completion("later", (sandbox.account.newest() or 0) + 1))
        synced(sandbox, tmp_path)
        cursor.execute(oids, [f"{own.dataset}_marts"])
        assert (len(before), cursor.fetchall()) == (10, before)
        cursor.execute(f"comment on schema {own.dataset}_marts is 'of an older version'")
        cursor.execute(f"create view public.mine as select * from {own.dataset}_marts.daily_usage")
        connection.commit()
        sandbox.account.add(completion("last", (sandbox.account.newest() or 0) + 1))
        with pytest.raises(WarehouseError, match="views of yours stand on views"):
            synced(sandbox, tmp_path)
        cursor.execute("drop view public.mine")
        connection.commit()
        synced(sandbox, tmp_path)
        spoiling.drop()
        synced(sandbox, tmp_path)
        cursor.execute(sums.format(f"{own.dataset}_marts"))
        assert cursor.fetchall() == rows(tmp_path, sums.format("marts"))
    assert_same(tmp_path)


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
    for number in range(8):
        sandbox.account.update_metadata("odd", {"round": str(number), f"only{number}": ODD})
        sandbox.account.add(completion(f"late{number}", (sandbox.account.newest() or 0) + 1))
        process = started(sandbox, tmp_path)
        time.sleep(whole * moments.uniform(0.4, 1.05))
        process.kill()
        process.communicate()
    synced(sandbox, tmp_path, full=True)
    assert_exact(tmp_path, sandbox.account)
    assert_same(tmp_path)


@pytest.mark.parametrize("moment", ["before", "inside", "after"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first ship", "later"])
def test_killed_around_a_package(
    destination: str, sandbox: Sandbox, tmp_path: Path, moment: str, is_first: bool
) -> None:
    """Another machine goes on from there, and then the one that died."""
    died, other = tmp_path / "died", tmp_path / "other"
    for folder in (died, other):
        folder.mkdir()
        if not is_first:
            synced(sandbox, folder)
    sandbox.account.update_metadata("odd", {"k": "edited"})
    sandbox.account.add(completion("late", (sandbox.account.newest() or 0) + 1))
    process = started(sandbox, died, str(TESTS / "destinations" / "dying_there.py"), str(died / NAME), moment)
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
    for round_ in range(3):
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
    assert "The destination differs in completions" in " ".join(verified.err.split())


def test_what_is_wrong_is_a_sentence_and_nothing_is_lost(
    sandbox: Sandbox, tmp_path: Path, postgres_address: str
) -> None:
    """A wrong password, a server that is not there, a database that is not there; then all that is behind is shipped."""
    env = {"SOURCES__STORED_COMPLETIONS__DATASET": "chat_mended"}
    assert run("sync", at=tmp_path, url=sandbox.base_url).code == 0
    for credentials, code, said in (
        (postgres_address.replace(PASSWORD, "wrong"), 2, "does not accept the user or the password"),
        (postgres_address.removesuffix("postgres") + "elsewhere", 2, "there is no such database"),
        ("postgresql://loader:x@127.0.0.1:1/postgres", 1, "Connection refused"),
    ):
        own = env | {"DESTINATION__POSTGRES__CREDENTIALS": credentials}
        done = run("sync", "--destination", "postgres", at=tmp_path, url=sandbox.base_url, env=own)
        assert (done.code, len(done.err.splitlines())) == (code, 1), done.err
        assert said in done.err
        assert "wrong" not in done.err
    done = run("sync", "--destination", "postgres", at=tmp_path, url=sandbox.base_url, env=env)
    assert done.code == 2
    assert "is not configured" in done.err
    own = env | {"DESTINATION__POSTGRES__CREDENTIALS": postgres_address}
    done = run("sync", "--destination", "postgres", at=tmp_path, url=sandbox.base_url, env=own)
    assert done.code == 0
    assert "121 completions shipped" in done.err
    shutil.rmtree(files(tmp_path).folder)


def test_a_bucket_that_cannot_be_reached_is_a_sentence(sandbox: Sandbox, tmp_path: Path) -> None:
    credentials = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "ENDPOINT_URL": "http://127.0.0.1:1",
    }
    env = {f"DESTINATION__FILESYSTEM__CREDENTIALS__{name}": value for name, value in credentials.items()}
    env |= {
        "DESTINATION__FILESYSTEM__BUCKET_URL": "s3://lake",
        "SOURCES__STORED_COMPLETIONS__TABLE_FORMAT": "delta",
    }
    done = run("sync", "--destination", "filesystem", at=tmp_path, url=sandbox.base_url, env=env)
    assert (done.code, len(done.err.splitlines())) == (1, 1), done.err
    assert "Could not connect to the endpoint" in done.err
