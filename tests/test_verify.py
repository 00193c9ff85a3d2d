"""`verify` as people run it: what it prints, its exit codes, and every way to differ from the API."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from console import Done, run
from stored_completions.sandbox import Account, Fault, Sandbox
from stored_completions.verify import checks
from synced import NAME, NOW, files, serving, synced
from test_sync import completion, recent

OLD = NOW - 200_000


@pytest.fixture(scope="module")
def account() -> Account:
    account = recent(100, end=OLD, step=10)
    for number in range(3):
        account.add(completion(f"new{number}", NOW - 60 + number))
    return account


@pytest.fixture(scope="module")
def sandbox(account: Account) -> Iterator[Sandbox]:
    with serving(account) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def base(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verified")
    synced(sandbox, folder)
    return folder


@pytest.fixture
def folder(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base, tmp_path / "copy"))


def changed(folder: Path, *statements: str) -> Path:
    """The published copy, changed by hand."""
    path = files(folder).published
    path.chmod(0o644)
    with closing(duckdb.connect(str(path))) as connection:
        for statement in statements:
            connection.execute(statement)
    return folder


def failing(folder: Path) -> dict[str, Any]:
    with closing(duckdb.connect(str(folder / NAME), read_only=True)) as connection:
        return {result.name: result.sample for result in checks(connection) if result.failing_rows}


def verified(folder: Path, sandbox: Sandbox, *more: str) -> Done:
    return run("verify", *more, at=folder, url=sandbox.base_url)


def test_a_sound_warehouse(base: Path, sandbox: Sandbox) -> None:
    before = {path: path.stat().st_mtime_ns for path in base.rglob("*")}
    done = verified(base, sandbox)
    assert (done.code, done.err) == (0, "")
    names = [line.split()[1] for line in done.out.splitlines()]
    assert {"orphaned_children", "totals", "cursors_ahead", "stale_reports"} < set(names)
    assert done.out == "".join(f"ok    {name}\n" for name in sorted(names))
    done = verified(base, sandbox, "--against-api")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == (
        "ok    source default against the API, up to 2026-11-20 11:00:59 UTC: 103 completions listed"
    )
    assert {path: path.stat().st_mtime_ns for path in base.rglob("*")} == before


def test_rows_that_fail_are_shown_and_the_exit_code_is_3(folder: Path, sandbox: Sandbox) -> None:
    changed(folder, "insert into chat.usage (completion_id, _dlt_load_id) values ('gone', '1')")
    done = verified(folder, sandbox)
    assert done.code == 3
    number = len([line for line in done.out.splitlines() if line.startswith(("ok ", "FAIL "))])
    assert done.err == f"stored-completions: 1 of {number} checks failed (orphaned_children).\n"
    at = done.out.splitlines().index(next(line for line in done.out.splitlines() if line.startswith("FAIL")))
    shown = done.out.splitlines()[at : at + 3]
    assert shown[0].startswith("FAIL  orphaned_children, 1 row: Every row belongs to a row above it")
    assert shown[1].split() == ["child_table", "completion_id", "choice_index", "child_key"]
    assert shown[2].split() == ["usage", "gone", "NULL", "NULL"]
    found = json.loads(verified(folder, sandbox, "--json").out)
    assert found["is_sound"] is False
    assert [each["name"] for each in found["checks"] if each["failing_rows"]] == ["orphaned_children"]


def test_a_cursor_ahead_of_the_data(folder: Path) -> None:
    assert failing(folder) == {}
    changed(folder, "delete from chat.completions where completion_id = 'new2'")
    (row,) = failing(folder)["cursors_ahead"]
    assert (row["completion_id"], row["created"]) == ("new2", NOW - 58)


def test_reports_that_are_stale(folder: Path) -> None:
    changed(
        folder,
        "update reports.daily_costs set completions = completions + 1 where created_date = '2026-11-20'",
    )
    (row,) = failing(folder)["stale_reports"]
    assert (row["relation"], str(row["created_date"]), row["rows_that_differ"]) == (
        "reports.daily_costs",
        "2026-11-20",
        2,
    )


def test_every_way_to_differ_from_the_api(folder: Path, account: Account, sandbox: Sandbox) -> None:
    changed(
        folder,
        "delete from chat.completions where completion_id = 'c0001'",
        "update chat.completions set row_hash = 'other' where completion_id in ('c0002', 'c0003', 'new0')",
        "insert into chat.purges values ('c0003', now())",
        "update chat.completions set deleted_at = now() where completion_id = 'c0004'",
        *(
            f"insert into chat.completions by name select * replace ('{id_}' as completion_id) from chat.completions"
            " where completion_id = 'c0050'"
            for id_ in ("hidden", "gone")
        ),
    )
    sandbox.faults.extend([replace(Fault.status(200, completion("hidden", OLD)), path="/hidden")])
    done = verified(folder, sandbox, "--against-api", "--json")
    assert done.code == 3
    assert "Source default differs from the API's list: `stored-completions sync --full`" in done.err
    (found,) = json.loads(done.out)["against_api"]
    assert {name: found[name] for name in ("missing", "edited", "deleted", "returned", "unexpected")} == {
        "missing": {"count": 1, "ids": ["c0001"]},
        "edited": {"count": 1, "ids": ["c0002"]},
        "deleted": {"count": 1, "ids": ["gone"]},
        "returned": {"count": 1, "ids": ["c0004"]},
        "unexpected": {"count": 1, "ids": ["hidden"]},
    }
    assert (found["listed"], found["not_due"], found["doubt"]) == (103, 0, None)
    said = verified(folder, sandbox, "--against-api").out.splitlines()
    assert "      missing: 1 listed by the API, but not here: c0001" in said


def listing(rows: list[dict[str, Any]]) -> Fault:
    """The whole list, in place of the account's, its rows to the byte as the sandbox has them."""
    page = {"object": "list", "data": rows, "has_more": False}
    return Fault.status(200, json.dumps(page, ensure_ascii=False, separators=(",", ":")))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "the list is empty"),
        ([completion("x", OLD - 5_000)], "none of the 1 listed completions was known before"),
    ],
)
def test_a_list_in_doubt_says_nothing_of_what_it_leaves_out(
    base: Path, sandbox: Sandbox, rows: list[dict[str, Any]], why: str
) -> None:
    sandbox.faults.extend([listing(rows)])
    done = verified(base, sandbox, "--against-api")
    assert done.code == 3
    assert f"What is here and not listed was not judged: {why}" in done.out
    assert "deleted:" not in done.out


def test_what_has_expired_is_no_difference(base: Path, account: Account, sandbox: Sandbox) -> None:
    sandbox.faults.extend([listing(account.completions()[40:])])
    done = verified(base, sandbox, "--against-api")
    assert (done.code, done.out.splitlines()[-2:]) == (
        0,
        [
            "ok    source default against the API, up to 2026-11-20 11:00:59 UTC: 63 completions listed",
            "      40 are older than the oldest that the API lists: expired, no difference.",
        ],
    )


def test_flags_and_files_that_cannot_be_right(base: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    done = verified(base, sandbox, "--model", "m")
    assert (done.code, done.out) == (2, "")
    assert "give --against-api too" in done.err
    with serving(recent(1)) as other:
        done = verified(base, other, "--against-api")
        assert done.code == 2
        assert "was synced from" in done.err
    done = verified(base, sandbox, "--against-api", "--model", "m")
    assert (done.code, "run `stored-completions sync` first" in done.err) == (1, True)
    sandbox.faults.extend([Fault.status(401)])
    assert verified(base, sandbox, "--against-api").code == 2
    done = verified(tmp_path, sandbox)
    assert (done.code, "to make it" in done.err) == (1, True)
    with closing(duckdb.connect(str(tmp_path / NAME))) as connection:
        connection.execute("create table x (y int)")
    done = verified(tmp_path, sandbox)
    assert (done.code, "no warehouse that this program made" in done.err) == (1, True)
