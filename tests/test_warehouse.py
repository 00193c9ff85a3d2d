"""The files of a warehouse: what becomes of each when one is gone, older, damaged, locked or full."""

import json
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from console import run
from stored_completions import warehouse
from stored_completions.errors import WarehouseError
from stored_completions.publishing import Prepared, prepare
from stored_completions.run_report import Report
from stored_completions.sandbox import Sandbox
from stored_completions.warehouse import Files, generation
from synced import (
    NAME,
    NOW,
    Heard,
    assert_exact,
    environment,
    files,
    last_run,
    one,
    serving,
    started,
    synced,
)
from test_sync import completion, recent


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serving(recent(20)) as sandbox:
        yield sandbox


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"not a database" * 1000)


def untouched(folder: Path, sandbox: Sandbox) -> None:
    assert synced(sandbox, folder).outcome == "nothing_new"


# What is published


def test_the_published_copy_is_read_only_and_alone(folder: Path) -> None:
    own = files(folder)
    assert own.published.stat().st_mode & 0o777 == 0o444
    assert sorted(path.name for path in folder.iterdir()) == [".stored_completions", NAME]
    assert own.published.read_bytes() == own.working.read_bytes()
    assert sorted(path.name for path in own.folder.iterdir()) == [
        "last_run.json", "last_run.lock", NAME, f"{NAME}.lock"
    ]  # fmt: skip


def test_older_tools_can_read_it(folder: Path) -> None:
    """DuckDB writes the version of its storage format behind the magic number."""
    head = files(folder).published.read_bytes()[:64]
    assert head[8:12] == b"DUCK"
    assert int.from_bytes(head[12:20], "little") <= 67


def test_a_stale_log_beside_the_copy_is_removed(folder: Path, sandbox: Sandbox) -> None:
    own = files(folder)
    warehouse.wal(own.published).write_bytes(b"somebody wrote here once")
    own.unpublished.write_text(json.dumps({"base": generation(own.working)}))
    assert synced(sandbox, folder).published
    assert not warehouse.wal(own.published).exists()
    assert_exact(folder, sandbox.account)


def test_a_reader_keeps_its_state_while_a_sync_publishes(tmp_path: Path) -> None:
    """The reader is a process of its own: within one, DuckDB shares the file that it opened first."""
    count = "print(c.execute('select count(*) from chat.completions').fetchone()[0], flush=True)"
    reader = f"import duckdb, sys; c = duckdb.connect('{NAME}', read_only=True); {count}; sys.stdin.readline(); {count}"
    with serving(recent(20)) as sandbox:
        synced(sandbox, tmp_path)
        with subprocess.Popen(
            [sys.executable, "-c", reader],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "20\n"
            sandbox.account.add(completion("new", NOW - 1))
            assert synced(sandbox, tmp_path).published
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "20\n"
        assert one(tmp_path, "select count(*) from chat.completions") == 21


def test_publishing_can_wait(tmp_path: Path) -> None:
    with serving(recent(20)) as sandbox:
        synced(sandbox, tmp_path)
        sandbox.account.add(completion("new", NOW - 1))
        report = synced(sandbox, tmp_path, publish_min_interval="1h")
        assert (report.published, report.counts.rows_new) == (False, 1)
        assert "publish_min_interval" in report.sentences()[-1]
        assert one(tmp_path, "select count(*) from chat.completions") == 20
        waiting = synced(sandbox, tmp_path, publish_min_interval="1h")
        assert (waiting.outcome, waiting.published, waiting.is_behind) == ("nothing_new", False, True)
        report = synced(sandbox, tmp_path)
        assert (report.outcome, report.published, report.is_behind) == ("nothing_new", True, False)
        assert_exact(tmp_path, sandbox.account)
        assert synced(sandbox, tmp_path).published is False


# Gone, older, damaged


def test_a_deleted_warehouse_starts_over_and_can_be_had_back(folder: Path, sandbox: Sandbox) -> None:
    """What the API no longer has must not be gone because somebody removed the copy."""
    synced(sandbox, folder)
    own = files(folder)
    was = generation(own.published)
    before = one(folder, "select count(*) from chat.completions")
    own.published.unlink()
    heard = Heard()
    report = synced(sandbox, folder, watcher=heard)
    kept = own.folder / f"{own.published.stem}.{was}.duckdb"
    (sentence,) = heard.sentences
    assert f"{own.published} is gone: started over." in sentence
    assert f"kept in {kept}" in sentence
    assert_exact(folder, sandbox.account)
    assert_started_anew(folder, report)
    os.replace(kept, own.published)
    assert synced(sandbox, folder).outcome == "nothing_new"
    assert one(folder, "select count(*) from chat.completions") == before
    assert_exact(folder, sandbox.account)


def assert_started_anew(folder: Path, report: Report) -> None:
    assert (report.counts.rows_new, report.is_new_warehouse) == (20, True)
    assert one(folder, "select count(*) from chat.sync_runs") == 1, "runs of the old one are not its own"


def test_a_lost_working_folder_is_restored(folder: Path, sandbox: Sandbox) -> None:
    shutil.rmtree(files(folder).folder)
    heard = Heard()
    assert synced(sandbox, folder, watcher=heard).outcome == "nothing_new"
    assert heard.sentences == []
    assert files(folder).working.stat().st_mode & 0o777 == 0o644


def test_an_older_copy_is_continued_from_where_it_stands(tmp_path: Path) -> None:
    heard = Heard()
    with serving(recent(20)) as sandbox:
        synced(sandbox, tmp_path)
        own = files(tmp_path)
        older = shutil.copy(own.published, tmp_path / "older")
        sandbox.account.add(completion("new", NOW - 1))
        synced(sandbox, tmp_path)
        sandbox.clock.advance(100_000)
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
        os.replace(older, own.published)
        report = synced(sandbox, tmp_path, watcher=heard)
        (sentence,) = heard.sentences
        assert f"{own.published} is another copy: continued from where that one stands." in sentence
        assert report.counts.rows_new == 1
        assert_exact(tmp_path, sandbox.account)


def test_an_older_copy_counts_more_than_what_was_not_published(folder: Path) -> None:
    own = files(folder)
    own.unpublished.write_text(json.dumps({"base": "a generation that is out no more"}))
    assert prepare(own).sentence is None
    assert not own.unpublished.exists()


def test_a_note_that_cannot_be_read_is_none(folder: Path) -> None:
    files(folder).unpublished.write_text("{")
    assert prepare(files(folder)) == Prepared()


def test_a_damaged_working_file_is_restored(folder: Path, sandbox: Sandbox) -> None:
    damage(files(folder).working)
    heard = Heard()
    assert synced(sandbox, folder, watcher=heard).outcome == "nothing_new"
    assert "The working file was damaged" in heard.sentences[0]
    assert files(folder).working.with_name(f"{NAME}.damaged").read_bytes().startswith(b"not a database")
    untouched(folder, sandbox)


def test_a_damaged_working_file_without_a_copy_starts_over(tmp_path: Path, sandbox: Sandbox) -> None:
    own = files(tmp_path)
    own.folder.mkdir()
    own.working.write_bytes(b"not a database" * 1000)
    assert synced(sandbox, tmp_path).counts.rows_new == 20


def test_a_damaged_copy_is_kept_aside_and_published_anew(folder: Path, sandbox: Sandbox) -> None:
    own = files(folder)
    damage(own.published)
    heard = Heard()
    assert synced(sandbox, folder, watcher=heard).published
    assert "was damaged and is set aside" in heard.sentences[0]
    assert own.published.with_name(f"{NAME}.damaged").read_bytes().startswith(b"not a database")
    assert_exact(folder, sandbox.account)
    untouched(folder, sandbox)


@pytest.mark.parametrize("keeps_working", [True, False])
def test_a_file_that_is_not_ours_is_left_alone(folder: Path, sandbox: Sandbox, keeps_working: bool) -> None:
    own = files(folder)
    own.published.unlink()
    with closing(duckdb.connect(str(own.published))) as connection:
        connection.execute("create table mine as select 42 as answer")
    if not keeps_working:
        shutil.rmtree(own.folder)
    with pytest.raises(WarehouseError, match="no warehouse that this program made") as refusal:
        synced(sandbox, folder)
    assert refusal.value.exit_code == 1
    assert one(folder, "select answer from mine") == 42
    assert own.working.exists() is keeps_working


def test_a_damaged_copy_with_nothing_to_mend_it_is_left_alone(folder: Path, sandbox: Sandbox) -> None:
    shutil.rmtree(files(folder).folder)
    damage(files(folder).published)
    with pytest.raises(WarehouseError, match="or it is damaged"):
        synced(sandbox, folder)
    assert files(folder).published.read_bytes().startswith(b"not a database")


def test_a_copy_that_somebody_writes_to_is_not_taken_for_damaged(folder: Path, sandbox: Sandbox) -> None:
    writer = (
        f"import duckdb, os, sys; os.chmod('{NAME}', 0o644); c = duckdb.connect('{NAME}'); print(1, flush=True);"
        " sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", writer], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(WarehouseError, match="open for writing in another program"):
            synced(sandbox, folder)
        process.kill()
    assert last_run(folder)["outcome"] == "failed"
    untouched(folder, sandbox)


def test_a_link_leads_to_the_same_warehouse(folder: Path, sandbox: Sandbox) -> None:
    elsewhere = folder.parent / "link"
    elsewhere.mkdir()
    (elsewhere / NAME).symlink_to(folder / NAME)
    assert Files(elsewhere / NAME) == files(folder)
    sandbox_report = synced(sandbox, elsewhere)
    assert sandbox_report.outcome == "nothing_new"
    assert [path.name for path in elsewhere.iterdir()] == [NAME]


def test_a_crash_between_replacing_and_noting_it_publishes_nothing_twice(
    folder: Path, sandbox: Sandbox
) -> None:
    files(folder).unpublished.write_text(json.dumps({"base": None}))
    report = synced(sandbox, folder)
    assert (report.outcome, report.published) == ("nothing_new", False)


# Permissions and space


def nobody(folder: Path) -> list[str]:
    """What starts a program as a user who owns nothing here; empty if this one is no root."""
    if os.geteuid() != 0:
        return []
    for path in (folder, *folder.parents[: len(folder.parents) - 2]):
        path.chmod(path.stat().st_mode | 0o055)
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("chat.duckdb", "DuckDB names a database after its file"),
        ("Marts.duckdb", "DuckDB names a database after its file"),
        ("100%.duckdb", "dlt cannot write beside it"),
        ("100%/a.duckdb", "dlt cannot write beside it"),
        ("a\\b.duckdb", "DuckDB takes it for a /"),
    ],
)
def test_a_name_that_no_warehouse_can_have_is_refused_before_anything_is_made(
    tmp_path: Path, sandbox: Sandbox, name: str, why: str
) -> None:
    for command in ("sync", "check"):
        done = run(command, "--warehouse", name, at=tmp_path, url=sandbox.base_url)
        assert (done.code, why in done.out + done.err) == (2, True)
    assert not (tmp_path / ".stored_completions").exists()


@pytest.mark.parametrize(
    "name", ["it's.duckdb", 'q"q.duckdb', "a b;c?x=1#.duckdb", "\u65e5.duckdb", "{x}.db"]
)
def test_any_other_name_will_do(tmp_path: Path, sandbox: Sandbox, name: str) -> None:
    assert run("sync", "--warehouse", name, at=tmp_path, url=sandbox.base_url).code == 0
    for command in (
        ["query", "select count(*) from chat.completions"],
        ["verify"],
        ["purge", "--older-than", "0s", "--yes"],
    ):
        assert run(*command, "--warehouse", name, at=tmp_path, url=sandbox.base_url).code == 0


def test_a_folder_that_is_made_is_said_first(tmp_path: Path, sandbox: Sandbox) -> None:
    name = "new/er/a.duckdb"
    assert (
        "will be made, and its folder"
        in run("check", "--warehouse", name, at=tmp_path, url=sandbox.base_url).out
    )
    first = run("sync", "--warehouse", name, at=tmp_path, url=sandbox.base_url)
    assert first.err == f"There is no folder {tmp_path / 'new/er'} yet: it is made.\n"
    assert run("sync", "--warehouse", name, at=tmp_path, url=sandbox.base_url).err == ""


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["report", "costs"],
        ["report", "reconcile"],
        ["report", "budget", "--monthly", "5"],
        ["dashboard"],
        ["export", "evals"],
        ["prices", "list"],
        ["prices", "diff"],
        ["verify"],
        ["purge", "x", "--yes"],
    ],
)
def test_another_programs_file_is_told_from_an_older_warehouse(tmp_path: Path, command: list[str]) -> None:
    with closing(duckdb.connect(str(tmp_path / "foreign.duckdb"))) as connection:
        connection.execute("create table a (b bigint)")
    done = run(*command, "--warehouse", "foreign.duckdb", at=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "is a DuckDB file, but no warehouse that this program made" in done.err


def test_a_folder_that_cannot_be_written_is_one_sentence(folder: Path, sandbox: Sandbox) -> None:
    own = files(folder)
    (folder / "fresh").mkdir()
    prefix = nobody(folder)
    for place in (own.folder, folder / "fresh"):
        place.chmod(0o555)
    own.lock.chmod(0o666)
    before = own.working.read_bytes()
    for path in (own.published, folder / "fresh" / NAME):
        command = [*prefix, sys.executable, "-m", "stored_completions", "sync", "--warehouse", str(path)]
        done = subprocess.run(
            command, cwd=folder, env=environment(sandbox, folder), capture_output=True, text=True, check=False
        )
        assert done.returncode == 1, done
        assert done.stderr.startswith("stored-completions: Cannot write to ")
        assert "Permission denied" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert own.working.read_bytes() == before


def test_a_leftover_of_a_killed_publish_stops_nobody(tmp_path: Path, sandbox: Sandbox) -> None:
    """It is read-only already: root would not notice."""
    folder = tmp_path / "home"
    (folder / ".stored_completions").mkdir(parents=True)
    leftover = folder / ".stored_completions" / f"{NAME}.publishing"
    leftover.write_bytes(b"half")
    leftover.chmod(0o444)
    prefix = nobody(folder)
    if prefix:
        for path in (folder, leftover.parent, leftover):
            os.chown(path, 65534, 65534)
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "stored_completions", "sync"],
        cwd=folder,
        env=environment(sandbox, folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    assert_exact(folder, sandbox.account)


def limited(sandbox: Sandbox, folder: Path, size: int) -> "subprocess.CompletedProcess[str]":
    """The command line where no file can grow beyond `size` bytes, as on a disk that is full."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [sys.executable, "-m", "stored_completions", "sync"],
        cwd=folder,
        env=environment(sandbox, folder),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )


@pytest.mark.parametrize("share", [0.01, 1.0])
def test_a_full_disk_is_one_sentence_and_loses_nothing(folder: Path, sandbox: Sandbox, share: float) -> None:
    own = files(folder)
    size = int(own.working.stat().st_size * share)
    published = own.published.read_bytes()
    big = completion(f"big{share}", NOW - 20, note=random.Random(0).randbytes(300_000).hex())
    sandbox.account.add(big)
    try:
        done = limited(sandbox, folder, size)
        assert done.returncode == 1, done
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert own.published.read_bytes() == published
        synced(sandbox, folder)
        assert_exact(folder, sandbox.account)
    finally:
        sandbox.account.delete(f"big{share}")


def test_a_disk_that_fills_up_while_a_round_is_committed_is_one_sentence_too(tmp_path: Path) -> None:
    """What fits into a parquet file need not fit into the log; dlt would log the failing job, traceback and all."""
    with serving(recent(20)) as sandbox:
        sandbox.account.add(completion("big", NOW - 20, note="x" * 4_000_000))
        done = limited(sandbox, tmp_path, 2_200_000)
        assert done.returncode == 1, done
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "free space or mend the cause, and sync again" in done.stderr
        synced(sandbox, tmp_path)
        assert_exact(tmp_path, sandbox.account)


def test_the_process_is_told_where_its_warehouse_is(tmp_path: Path, sandbox: Sandbox) -> None:
    process = started(sandbox, tmp_path, "sync", "--warehouse", "sub/../here.db")
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    assert said.splitlines()[-1] == f"{tmp_path}/here.db (new)"
