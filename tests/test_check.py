"""`check`: every finding with its remedy, the right exit code, and nothing written."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from filelock import FileLock

from console import KEY, Done, as_anyone, run
from stored_completions.check import Finding, check
from stored_completions.config import settings
from stored_completions.prices import overrides
from stored_completions.sandbox import Account, Fault, Sandbox
from stored_completions.sandbox.generate import UNTIL

NAME = "stored_completions.duckdb"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Account.generate(20), now=UNTIL + 60) as sandbox:
        yield sandbox


def looked(sandbox: Sandbox, folder: Path, name: str = NAME, **flags: str) -> dict[str, Finding]:
    """The findings in this process, by what was looked at."""
    own = settings({"api_key": KEY, "base_url": sandbox.base_url, **flags}, {}, None)
    return {finding.what: finding for finding in check(own, folder / name)}


def code(finding: Finding) -> int:
    return finding.error.exit_code if finding.error else 0


def findings(done: Done) -> dict[str, str]:
    """`ok` or `FAIL` by what was looked at."""
    pairs = (line.split(maxsplit=1) for line in done.out.splitlines())
    return {found.partition(":")[0]: mark for mark, found in pairs}


def test_all_is_well_before_the_first_sync(sandbox: Sandbox, tmp_path: Path) -> None:
    done = run("check", at=tmp_path, url=sandbox.base_url)
    assert (done.code, done.err) == (0, "")
    assert findings(done) == dict.fromkeys(
        ("settings", "list of completions", "input messages", "warehouse", "lock"), "ok"
    )
    assert f"{tmp_path / NAME} will be made" in done.out
    wrong = looked(sandbox, tmp_path, prices="missing.toml", views="nofolder")
    assert (code(wrong["prices"]), code(wrong["views"])) == (2, 2)
    assert "missing.toml cannot be read" in wrong["prices"].found
    assert "nofolder, which is no folder" in wrong["views"].found
    right = looked(sandbox, tmp_path, prices=str(overrides.BUILT_IN), views=str(tmp_path))
    assert (code(right["prices"]), code(right["views"])) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_sync_would_make_is_no_fault(sandbox: Sandbox, tmp_path: Path) -> None:
    found = looked(sandbox, tmp_path, "new/folder/x.duckdb")
    assert (code(found["warehouse"]), list(tmp_path.iterdir())) == (0, [])


def test_an_empty_account_is_no_error(tmp_path: Path) -> None:
    with Sandbox() as empty:
        found = looked(empty, tmp_path)
    assert {code(each) for each in found.values()} == {0}
    assert "answers, and lists nothing. That is no error" in found["list of completions"].found


@pytest.mark.parametrize("command", ["check", "sync"])
def test_no_key(tmp_path: Path, command: str) -> None:
    done = run(command, at=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("stored-completions: There is no API key: set OPENAI_API_KEY")


def test_a_wrong_key_is_said_and_never_shown(tmp_path: Path) -> None:
    with Sandbox(Account.generate(3), api_key="sk-right") as sandbox:
        done = run("check", at=tmp_path, url=sandbox.base_url)
    assert done.code == 2
    assert findings(done)["list of completions"] == "FAIL"
    assert "the key is not accepted. Check OPENAI_API_KEY" in done.out
    assert KEY not in done.out + done.err


def test_a_key_that_may_not_read_messages(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults.extend([Fault.status(403).on("/messages")])
    found = looked(sandbox, tmp_path)
    assert (code(found["list of completions"]), code(found["input messages"])) == (0, 2)
    assert "A restricted key needs the permission" in found["input messages"].found


def test_a_wrong_base_url_and_a_server_that_is_not_there(sandbox: Sandbox, tmp_path: Path) -> None:
    wrong = looked(sandbox, tmp_path, base_url=f"{sandbox.url}/v2")["list of completions"]
    assert code(wrong) == 1
    assert "The base URL (OPENAI_BASE_URL) is probably wrong" in wrong.found
    gone = run("check", "--base-url", "http://127.0.0.1:9/v1", at=tmp_path, url=sandbox.base_url)
    assert (gone.code, findings(gone)["list of completions"]) == (1, "FAIL")
    assert "look at the network, a proxy in between and the base URL" in gone.out
    assert gone.err.count("follows in") == 2


def test_a_folder_that_cannot_be_written_to(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    place = ("--warehouse", "locked/x.duckdb")
    done = run("check", *place, at=tmp_path, url=sandbox.base_url, preexec_fn=as_anyone)
    assert (done.code, findings(done)["warehouse"]) == (1, "FAIL")
    assert "locked cannot be written to" in done.out
    sync = run("sync", *place, at=tmp_path, url=sandbox.base_url, preexec_fn=as_anyone)
    assert (sync.code, sync.out) == (1, "")
    assert "Permission denied" in sync.err
    assert list((tmp_path / "locked").iterdir()) == []


def test_files_that_are_no_warehouse(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "junk.duckdb").write_bytes(b"junk" * 5_000)
    with duckdb.connect(str(tmp_path / "foreign.duckdb")) as connection:
        connection.execute("create table mine as select 1")
    for name, said in (
        ("junk", "cannot be read as a DuckDB file"),
        ("foreign", "no warehouse that this program made"),
    ):
        finding = looked(sandbox, tmp_path, f"{name}.duckdb")["warehouse"]
        assert code(finding) == 1
        assert said in finding.found


def test_a_warehouse_of_another_account_and_a_running_sync(sandbox: Sandbox, tmp_path: Path) -> None:
    assert run("sync", at=tmp_path, url=sandbox.base_url).code == 0
    with Sandbox(Account.generate(3)) as other:
        done = run("check", at=tmp_path, url=other.base_url)
        named = run("check", "--source", "other", at=tmp_path, url=other.base_url)
    assert (done.code, findings(done)["warehouse"]) == (2, "FAIL")
    assert "another source with --source" in done.out
    assert named.code == 0
    (lock,) = (tmp_path / ".stored_completions").glob("stored_completions*.lock")
    with FileLock(lock):
        held = run("check", at=tmp_path, url=sandbox.base_url)
        assert run("sync", at=tmp_path, url=sandbox.base_url).code == 75
    assert held.code == 0
    assert "held, a sync is running now" in held.out
