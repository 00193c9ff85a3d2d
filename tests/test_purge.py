"""Purging: what goes, what stays, that it does not come back, and that it may die at any step."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console import run
from leaks import searched
from planted import MARK, Marks, planted
from stored_completions import warehouse
from stored_completions.content.erasing import Which
from stored_completions.content.purging import look, purge
from stored_completions.errors import Busy
from stored_completions.sandbox import Account, Sandbox
from stored_completions.status import status
from synced import NAME, NOW, Row, assert_sound, environment, files, one, rows, serving, synced, tables

KILLS = int(os.environ.get("STORED_COMPLETIONS_KILLS", "8"))
DYING = Path(__file__).with_name("dying.py")
OFF = "[dropped]"


@pytest.fixture(scope="module")
def account() -> Account:
    return planted(12, Marks())


@pytest.fixture(scope="module")
def sandbox(account: Account) -> Iterator[Sandbox]:
    with serving(account) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def base(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    synced(sandbox, folder, messages=True)
    return folder


@pytest.fixture
def folder(base: Path, tmp_path: Path) -> Path:
    """A copy of the warehouse, to be purged."""
    return shutil.copytree(base, tmp_path / "copy")


def by_id(folder: Path) -> dict[str, dict[str, list[Row]]]:
    """Every row of every table by completion, dlt's load id aside."""
    found: dict[str, dict[str, list[Row]]] = {}
    for name, listed in tables(folder).items():
        for row in listed:
            found.setdefault(row["completion_id"], {}).setdefault(name, []).append(row)
    return found


def everything() -> Which:
    return Which(before=datetime.now(UTC))


def test_only_the_named_lose_their_content_and_no_row_is_lost(folder: Path, account: Account) -> None:
    before = by_id(folder)
    gone = account.ids()[:2]
    assert purge(folder / NAME, Which(tuple(gone))).completions == 2
    after = by_id(folder)
    assert {id_: row for id_, row in after.items() if id_ not in gone} == {
        id_: row for id_, row in before.items() if id_ not in gone
    }
    for id_ in gone:
        assert after[id_]["usage"] == before[id_]["usage"]
        assert {name: len(listed) for name, listed in after[id_].items()} == {
            name: len(listed) for name, listed in before[id_].items()
        }
        (completion,), (was,) = after[id_]["completions"], before[id_]["completions"]
        kept = ("completion_id", "created_at", "model", "service_tier", "request_id", "seed", "first_seen_at")
        assert [completion[name] for name in kept] == [was[name] for name in kept]
        assert json.loads(completion["metadata"]) == dict.fromkeys(json.loads(was["metadata"]), OFF)
        assert {row["value"] for row in after[id_]["metadata"]} == {OFF}
        assert {row["content"] for row in after[id_]["choices"]} <= {OFF, None}
    assert (folder / NAME).stat().st_mode & 0o777 == 0o444
    assert_sound(folder)


def test_it_does_not_come_back(folder: Path, account: Account, sandbox: Sandbox) -> None:
    newest = account.ids()[-1]
    purge(folder / NAME, Which((newest, "not-yet-there")))
    again = synced(sandbox, folder, full=True)
    assert (again.counts.rows_new, again.counts.rows_changed, again.counts.rows_quarantined) == (0, 0, 0)
    choice = {"index": 0, "message": {"content": "text"}}
    late = {"id": "not-yet-there", "created": NOW - 30, "choices": [choice], "usage": {"total_tokens": 3}}
    account.add(late)
    try:
        assert synced(sandbox, folder, messages=True).counts.rows_new == 1
    finally:
        account.delete("not-yet-there")
    stored = by_id(folder)["not-yet-there"]
    assert (stored["choices"][0]["content"], stored["usage"][0]["total_tokens"]) == (OFF, 3)
    assert one(
        folder, f"select count(*) from chat.choices where completion_id = '{newest}' and content = '{OFF}'"
    )


def test_quarantine_loses_the_object_of_an_id_and_does_not_get_it_again(
    folder: Path, sandbox: Sandbox
) -> None:
    held = "select count(*) from chat.quarantine where body like '%odd000%'"
    objects = one(folder, "select count(*) from chat.quarantine")
    assert one(folder, held) == 1
    assert purge(folder / NAME, Which(("odd000",))).quarantined == 1
    assert synced(sandbox, folder, full=True).counts.rows_quarantined == 0
    assert one(folder, held) == 0
    assert rows(folder, "select count(*), count(distinct sha256) from chat.quarantine") == [
        (objects, objects)
    ]


# The command


def test_the_command_asks_back_or_wants_yes(folder: Path, account: Account) -> None:
    ids = account.ids()[:3]
    before = (folder / NAME).read_bytes()
    asked = run("purge", *ids, at=folder)
    assert (asked.code, "--yes" in asked.err) == (2, True)
    dry = run("purge", "-", "unknown", "--dry-run", "--json", at=folder, stdin="\n".join(ids))
    found = json.loads(dry.out)
    assert (sorted(found["completions"]), found["missing"]) == (sorted(ids), ["unknown"])
    assert (folder / NAME).read_bytes() == before
    said = run("purge", "unknown", ids[0], "--older-than", "9999d", "--dry-run", at=folder).out
    assert re.fullmatch(
        r"A purge would erase the content of 1 completion, named or created before \d{4}-\d\d-\d\d [\d:]{8} UTC, "
        r"in .+, and note 1 id that is not in the warehouse \(unknown\), never to be loaded with content\.\n",
        said,
    )
    unknown = run("purge", "x", "y", "--dry-run", at=folder).out
    assert "would erase the content of no completion in " in unknown
    assert "and note 2 ids that are not in the warehouse (x, y), never to be loaded" in unknown
    done = run("purge", "--older-than", "0s", "--yes", at=folder)
    assert (done.code, done.err) == (0, "")
    assert f"The content of {len(set(account.ids()))} completions is erased; their usage stays." in done.out
    assert not look(folder / NAME, everything())


def test_it_waits_for_nobody(folder: Path) -> None:
    with warehouse.locked(files(folder)), pytest.raises(Busy):
        purge(folder / NAME, everything())


def test_only_what_is_old_enough_goes(folder: Path) -> None:
    times = "select created_at from chat.completions where created_at is not null order by created_at"
    middle = rows(folder, times)[6][0]
    older = one(folder, f"select count(*) from chat.completions where created_at < '{middle}'")
    assert len(look(folder / NAME, Which(before=middle)).completions) == older > 0


# What lies beside the warehouse


def test_files_that_nobody_can_read_are_named_and_removed(folder: Path) -> None:
    own = files(folder)
    damaged = own.working.with_name(own.working.name + ".damaged")
    shutil.copy(own.working, damaged)
    half = own.working.with_name(own.working.name + ".publishing")
    half.write_bytes(own.working.read_bytes()[:10_000])
    kept = own.folder / f"{own.published.stem}.{'0' * 32}.duckdb"
    kept.write_bytes(own.working.read_bytes()[:5_000])
    assert look(folder / NAME, everything()).damaged_files == [str(damaged)]
    done = purge(folder / NAME, everything())
    assert sorted(done.removed_files) == sorted(map(str, (damaged, kept)))
    assert not any(path.exists() for path in (damaged, half, kept))


def test_another_warehouse_beside_it_is_left_alone(folder: Path) -> None:
    other = folder / f"{Path(NAME).stem}.unpublished.duckdb"
    shutil.copy(folder / NAME, other)
    working = files(folder).folder / other.name
    shutil.copy(folder / NAME, working)
    before = working.read_bytes()
    purge(folder / NAME, everything())
    assert working.read_bytes() == before


# Kills


def dies(folder: Path, sandbox: Sandbox, step: int) -> str | None:
    """Runs a purge that is to kill itself at this step; what it printed if it came to its end."""
    command = [sys.executable, str(DYING), str(step), str(folder / NAME), "0", "purge"]
    done = subprocess.run(
        command, cwd=folder, env=environment(sandbox, folder), capture_output=True, text=True, check=False
    )
    assert done.returncode in (-signal.SIGKILL, 0), done.stderr
    return done.stdout if done.returncode == 0 else None


def test_killed_at_any_step_it_is_finished_by_a_repeat(
    folder: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each kill falls on the remains of those before; readers see one whole state throughout."""
    steps = int(dies(shutil.copytree(folder, tmp_path / "whole"), sandbox, 0) or 0)
    completions = one(folder, "select count(*) from chat.completions")
    chance = random.Random(11)
    for _ in range(KILLS // 4):
        dies(folder, sandbox, chance.randrange(1, steps))
    assert dies(folder, sandbox, steps // 2) is None
    assert one(folder, "select count(*) from chat.completions") == completions
    assert "A purge is working, or died" in status(folder / NAME).unfinished[0]
    assert look(folder / NAME, everything())
    purge(folder / NAME, everything())
    assert {text for each in searched(folder, MARK) for text in each.found} == set()
    assert status(folder / NAME).unfinished == []
    assert_sound(folder)
    assert synced(sandbox, folder, full=True).counts.rows_new == 0
