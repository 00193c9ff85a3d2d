"""Bytes that a disk spoilt: found wherever they are, named, never published, and put right by the next sync."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import duckdb
import pytest

from console import Done, run
from stored_completions import damage, verify, warehouse
from stored_completions.content.erasing import Which
from stored_completions.content.purging import purge
from stored_completions.errors import WarehouseError
from stored_completions.sandbox import Account, Sandbox
from synced import NAME, NOW, Heard, assert_exact, files, one, serving, synced
from test_sync import completion, recent

BLOCK, HEADERS = 262_144, 12_288


@pytest.fixture(scope="module")
def account() -> Account:
    return recent(20)


@pytest.fixture(scope="module")
def sandbox(account: Account) -> Iterator[Sandbox]:
    with serving(account) as sandbox:
        yield sandbox


def blocks(path: Path) -> dict[int, str]:
    """What each block that is used belongs to, as DuckDB says."""
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        found = {
            id_: "the whole file"
            for (id_,) in connection.execute("select block_id from pragma_metadata_info()").fetchall()
        }
        for table in connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables()"
        ).fetchall():
            segments = f"select distinct block_id from pragma_storage_info('{table[0]}') where block_id >= 0"
            found |= {id_: table[0] for (id_,) in connection.execute(segments).fetchall()}
        return found


def flip(path: Path, block: int, offset: int) -> None:
    """Another byte there; the same again is the one that was."""
    mode = path.stat().st_mode
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(HEADERS + block * BLOCK + offset)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0x55]))
    path.chmod(mode)


def spoil(path: Path, relation: str) -> None:
    block = next(block for block, what in blocks(path).items() if what == relation)
    flip(path, block, 5_000)


def test_each_spoilt_byte_is_found_and_its_table_named(folder: Path) -> None:
    path = files(folder).working
    used = blocks(path)
    number = (path.stat().st_size - HEADERS) // BLOCK
    assert set(used.values()) >= {"chat.completions", "chat.usage", "chat.sources", "reports.daily_costs"}
    for block in range(number):
        offset = (block * 7_919) % BLOCK
        flip(path, block, offset)
        assert [each.relation for each in damage.find(path)] == [used[block]] * (block in used), block
        flip(path, block, offset)
    assert damage.find(path) == []


def test_headers_and_blocks_that_are_cut_off_count_too(folder: Path) -> None:
    path = files(folder).published
    path.chmod(0o644)
    for header in range(3):
        flip(path, 0, header * 4096 + 3_000 - HEADERS)
        assert [each.relation for each in damage.find(path)] == ["the whole file"]
        flip(path, 0, header * 4096 + 3_000 - HEADERS)
    last = max(blocks(path).items())
    os.truncate(path, HEADERS + last[0] * BLOCK)
    assert [each.relation for each in damage.find(path)] == [last[1]]


def verified(folder: Path) -> Done:
    return run("verify", at=folder)


def assert_named(done: Done, *paths: Path, relation: str = "chat.usage") -> None:
    assert done.code == 3
    assert "checks failed (damaged_files)" in done.err
    assert "FAIL  damaged_files" in done.out
    assert [f"{path} is damaged: {relation} cannot be read." in done.err for path in paths] == [True] * len(
        paths
    )


def said_by(sandbox: Sandbox, folder: Path, *, fails: bool = False, full: bool = False) -> str:
    """What a sync says, its failure included."""
    heard = Heard()
    with pytest.raises(WarehouseError) if fails else nullcontext() as raised:
        synced(sandbox, folder, full=full, watcher=heard)
    return " ".join([*heard.sentences, *([str(raised.value)] if raised else [])])


def assert_right(folder: Path, account: Account) -> None:
    assert_exact(folder, account)
    own = files(folder)
    assert damage.find(own.published) == damage.find(own.working) == []
    assert not own.suspected.exists()


def test_a_damaged_copy_is_published_anew(folder: Path, sandbox: Sandbox, account: Account) -> None:
    path = files(folder).published
    spoil(path, "chat.usage")
    done = verified(folder)
    assert_named(done, path)
    assert "The other checks were not run" in done.out
    assert "`stored-completions sync --full` reads both files first" in done.err
    assert f"{path} was damaged (chat.usage): it is published anew." in said_by(sandbox, folder, full=True)
    assert_right(folder, account)


@pytest.mark.parametrize(
    ("relation", "why"),
    [
        ("chat.price_sets", "is damaged on the disk, so it was not published"),
        ("chat.choices", "The file is damaged: sync again."),
    ],
    ids=["copied", "met on the way"],
)
def test_a_damaged_working_file_is_never_published(
    folder: Path, sandbox: Sandbox, account: Account, relation: str, why: str
) -> None:
    """Of the prices a sync reads nothing; the last answers it must write anew together with the new one."""
    own = files(folder)
    spoil(own.working, relation)
    whole = verify.wholeness(own)
    assert [each.relation for each in whole.working] == [relation]
    assert f"{own.working} is damaged: {relation} cannot be read." in whole.remedy()
    before = own.published.read_bytes()
    account.add(completion("after the damage", NOW - 1))
    try:
        said = said_by(sandbox, folder, fails=True)
        assert str(own.working) in said
        assert why in said
        assert own.published.read_bytes() == before
        said = said_by(sandbox, folder)
        assert "The working file was damaged and is set aside" in said
        assert one(folder, "select count(*) from chat.completions") == 21
        assert_right(folder, account)
    finally:
        account.delete("after the damage")


def test_a_purge_goes_on_from_the_file_that_is_sound(folder: Path, account: Account) -> None:
    spoil(files(folder).working, "chat.metadata")
    said: list[str] = []
    done = purge(folder / NAME, Which(tuple(account.ids()[:2])), said.append)
    assert "The working file was damaged and is set aside" in said[0]
    assert (done.completions, len(done.removed_files)) == (2, 1)
    assert damage.find(files(folder).published) == damage.find(files(folder).working) == []


def test_where_both_are_damaged_nothing_is_touched_until_a_sound_copy_is_back(
    folder: Path, sandbox: Sandbox, account: Account
) -> None:
    own = files(folder)
    older = Path(shutil.copy(own.published, folder / "older.duckdb"))
    spoil(own.working, "chat.completions")
    shutil.copy(own.working, own.published)
    done = verified(folder)
    assert_named(done, own.working, own.published, relation="chat.completions")
    assert f"Put a good older copy back as {own.published}, or move it away, and sync again" in done.err
    before = [path.read_bytes() for path in (own.working, own.published)]
    said = said_by(sandbox, folder, fails=True, full=True)
    assert f"{own.published} is damaged (chat.completions cannot be read)" in said
    assert [path.read_bytes() for path in (own.working, own.published)] == before
    os.replace(older, own.published)
    assert "continued from the published copy" in said_by(sandbox, folder, full=True)
    assert_right(folder, account)


def test_where_no_sound_copy_is_left_it_starts_over(folder: Path, sandbox: Sandbox, account: Account) -> None:
    spoil(files(folder).working, "chat.completions")
    files(folder).published.unlink()
    assert "started over" in said_by(sandbox, folder, full=True)
    assert_right(folder, account)


def test_damage_that_a_sync_meets_is_told_from_a_full_disk(
    folder: Path, sandbox: Sandbox, account: Account
) -> None:
    """Every block is spoilt that DuckDB does not need to open the file."""
    own = files(folder)
    for block in [block for block, what in blocks(own.working).items() if what != "the whole file"]:
        flip(own.working, block, 12)
    said = said_by(sandbox, folder, fails=True)
    assert str(own.working) in said
    assert "The file is damaged: sync again." in said
    assert "The working file was damaged and is set aside" in said_by(sandbox, folder)
    assert_right(folder, account)


def test_while_a_sync_works_its_file_is_left_alone(folder: Path) -> None:
    own = files(folder)
    with warehouse.locked(own):
        done = verified(folder)
    assert done.code == 0
    assert f"{own.working} was not read: a sync is at work on it." in done.out
    assert NAME in done.out
