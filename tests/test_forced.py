"""The published copy is for reading: whoever writes to it is named, and gone with the next copy."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import duckdb
import pytest

from console import run
from stored_completions import warehouse
from stored_completions.copying import copy
from stored_completions.errors import WarehouseError
from stored_completions.sandbox import Sandbox
from stored_completions.status import status
from synced import NAME, Heard, assert_exact, files, one, serving, synced
from test_sync import recent

WRITES = (
    f"import duckdb, os, sys; os.chmod('{NAME}', 0o644); c = duckdb.connect('{NAME}');"
    " c.execute('create table chat.mine as select 42 as answer'); print(os.getpid(), flush=True); sys.stdin.readline()"
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serving(recent(20)) as sandbox:
        yield sandbox


@contextmanager
def writer(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Somebody who has made the copy writable, and has it open for writing."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process


def seen(folder: Path) -> str:
    return " ".join(status(folder / NAME).unfinished)


def assert_clean(folder: Path, sandbox: Sandbox) -> None:
    own = files(folder)
    assert own.published.stat().st_mode & 0o777 == 0o444
    assert not warehouse.wal(own.published).exists()
    assert own.published.read_bytes() == own.working.read_bytes()
    assert one(folder, "select count(*) from duckdb_tables() where table_name = 'mine'") == 0
    assert seen(folder) == ""
    assert_exact(folder, sandbox.account)
    assert synced(sandbox, folder).published is False


def test_a_copy_that_is_only_writable_is_named(folder: Path) -> None:
    assert seen(folder) == ""
    (folder / NAME).chmod(0o644)
    assert f"{folder / NAME} was made writable (its mode should be 0444)" in seen(folder)
    done = run("status", at=folder)
    assert done.code == 0
    assert "was made writable" in done.out


def test_who_has_it_open_for_writing_is_named_and_nothing_is_touched(folder: Path, sandbox: Sandbox) -> None:
    with writer(folder) as process:
        before = files(folder).working.read_bytes()
        for command in ("status", "sync"):
            done = run(command, at=folder, url=sandbox.base_url)
            assert done.code == 1
            assert f"(PID {process.pid})" in done.err
            assert "open it read-only" in done.err
        assert files(folder).working.read_bytes() == before
        process.communicate("\n")
    assert "was written to after it was published" in seen(folder)
    assert synced(sandbox, folder).published
    assert_clean(folder, sandbox)


def test_a_log_that_a_killed_writer_leaves_is_named_and_removed(folder: Path, sandbox: Sandbox) -> None:
    with writer(folder) as process:
        process.send_signal(signal.SIGKILL)
    log = warehouse.wal(files(folder).published)
    assert log.exists()
    assert f"{log} was left by somebody" in seen(folder)
    assert one(folder, "select answer from chat.mine") == 42
    assert synced(sandbox, folder).published
    assert_clean(folder, sandbox)


def test_a_change_that_hides_its_traces_is_found(folder: Path, sandbox: Sandbox) -> None:
    path = files(folder).published
    path.chmod(0o644)
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute("delete from chat.completions where completion_id = 'c0003'")
    path.chmod(0o444)
    assert "was written to after it was published" in seen(folder)
    assert synced(sandbox, folder).published
    assert_clean(folder, sandbox)


# Space


def test_a_copy_is_not_begun_without_the_room(tmp_path: Path) -> None:
    """A file with a hole: large by its size, and small on the disk."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x")
    os.truncate(source, 1 << 43)
    with pytest.raises(WarehouseError, match=r"needs 8,796,093 MB, and [\d,]+ MB are free in .*: free some"):
        copy(source, target)
    assert not target.exists()


@pytest.mark.parametrize("is_gone", [True, False], ids=["no working file", "another copy"])
def test_nothing_is_moved_where_the_copy_cannot_be_restored(
    folder: Path, sandbox: Sandbox, is_gone: bool
) -> None:
    own = files(folder)
    own.published.chmod(0o644)
    if is_gone:
        own.working.unlink()
    else:
        with closing(duckdb.connect(str(own.published))) as connection:
            connection.execute("update chat.publication set generation = uuid()")
    size = own.published.stat().st_size
    os.truncate(own.published, 1 << 43)
    before = sorted(path.name for path in own.folder.iterdir())
    with pytest.raises(WarehouseError, match=r"A copy of .* needs 8,796,093 MB"):
        synced(sandbox, folder)
    assert sorted(path.name for path in own.folder.iterdir()) == before
    os.truncate(own.published, size)
    assert synced(sandbox, folder).outcome == "nothing_new"
    assert_exact(folder, sandbox.account)


# What is set aside takes no other's place


def test_what_is_kept_aside_twice_is_kept_twice(folder: Path, sandbox: Sandbox) -> None:
    """Two working files that went ahead of the same copy in their own ways."""
    own, same = files(folder), uuid4()
    for _ in range(2):
        with closing(duckdb.connect(str(own.working))) as connection:
            connection.execute("update chat.publication set generation = ?", [same])
        heard = Heard()
        assert synced(sandbox, folder, watcher=heard).outcome == "nothing_new"
        assert "is another copy" in heard.sentences[0]
    kept = sorted(path.name for path in own.folder.glob(f"*.{same.hex}*"))
    assert kept == [f"stored_completions.{same.hex}{which}.duckdb" for which in ("-2", "")]
    assert_exact(folder, sandbox.account)


def spoil(path: Path, start: int) -> None:
    spoilt = bytearray(path.read_bytes())
    spoilt[start : start + 64] = bytes(64)
    path.write_bytes(spoilt)


def test_a_file_whose_damage_shows_when_it_is_opened_is_restored(folder: Path, sandbox: Sandbox) -> None:
    spoil(files(folder).working, 12_300)
    done = run("sync", at=folder, url=sandbox.base_url)
    assert done.code == 0
    assert "The working file was damaged and is set aside" in done.err
    assert_exact(folder, sandbox.account)
