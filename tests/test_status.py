"""`status`: what it says of a synced warehouse, of runs noted beside it, and that it changes nothing."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from console import Done, run
from stored_completions.errors import Unmet
from stored_completions.overview import show
from stored_completions.sandbox import Account, Sandbox
from stored_completions.sandbox.generate import UNTIL
from stored_completions.status import check_age, status

NOW = UNTIL + 60
NAME = "stored_completions.duckdb"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Account.generate(150, seed=3), now=NOW) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Path:
    """Synced in two parts, then found unchanged."""
    folder = tmp_path_factory.mktemp("status")
    for arguments in (["--max-pages", "1"], [], []):
        done = run("sync", *arguments, at=folder, url=sandbox.base_url)
        assert done.code == 0, done
    return folder


def lines(done: Done) -> dict[str, str]:
    """The lines that are `name: value`."""
    pairs = (line.partition(":") for line in done.out.split("\n\n")[0].splitlines())
    return {name: value.strip() for name, _, value in pairs}


def test_what_a_person_reads(folder: Path, sandbox: Sandbox) -> None:
    done = run("status", at=folder)
    assert (done.code, done.err) == (0, "")
    said = lines(done)
    assert list(said) == [
        "warehouse", "published", "last run", "content policy", "input messages", "source", "completions",
        "sync again by", "cursor", "coverage",
    ]  # fmt: skip
    assert said["input messages"] == "not read: sync --messages does"
    assert said["warehouse"].startswith(f"{folder / NAME}, ")
    assert said["last run"].endswith(" UTC, nothing new")
    assert said["source"] == f"default, {sandbox.base_url}"
    newest = f"{datetime.fromtimestamp(UNTIL, UTC):%Y-%m-%d %H:%M:%S} UTC"
    assert said["completions"] == f"150, newest {newest}"
    assert said["cursor"].startswith(f"{newest}, complete to ")
    assert said["sync again by"].endswith(" UTC, in 29 days")


@pytest.mark.parametrize("width", [60, 80])
def test_tables_fit_and_nothing_is_drawn_into_a_pipe(folder: Path, width: int) -> None:
    done = run("status", at=folder, env={"COLUMNS": str(width)})
    _, tables, runs = done.out.split("\n\n")
    assert max(map(len, (tables + "\n" + runs).splitlines())) <= width
    assert done.out.isascii()
    assert not any(line.endswith(" ") for line in done.out.splitlines())
    assert tables.splitlines()[1].split() == ["chat.completions", "150"]
    assert [line.split()[2] for line in runs.splitlines() if line.startswith("2")] == [
        "nothing_new",
        "done",
        "stopped",
    ]


def test_json_is_one_object_with_iso_times(folder: Path) -> None:
    done = run("status", "--json", at=folder)
    found = json.loads(done.out)
    assert found["rows"]["completions"] == 150
    assert [each["outcome"] for each in found["runs"]] == ["nothing_new", "done", "stopped"]
    assert found["last_run"] == found["runs"][0]
    assert datetime.fromisoformat(found["last_success_at"]).utcoffset() == timedelta(0)
    groups = ("answers", "tool_arguments", "messages", "tokens", "metadata")
    assert found["content_policy"] == dict.fromkeys(groups, "keep") | {"logprobs": "all"}
    assert (found["content_policy_since"], found["purged"], found["unfinished"]) == (None, 0, [])
    (cursor,) = found["cursors"]
    assert (cursor["source"], cursor["walk_under_way"]) == ("default", False)


def test_the_last_run_counts_although_the_warehouse_does_not_know_it(folder: Path) -> None:
    found = status(folder / NAME)
    (fresh,) = found.freshness
    assert fresh["last_synced_at"] == found.runs[0]["started_at"] > found.runs[1]["started_at"]
    expiry = datetime.fromisoformat(fresh["possible_expiry_at"])
    assert expiry == datetime.fromisoformat(fresh["last_synced_at"]) + timedelta(days=30)


def test_max_age(folder: Path) -> None:
    found = status(folder / NAME)
    last = datetime.fromisoformat(found.last_success_at or "")
    check_age(found, 60, last + timedelta(seconds=60))
    with pytest.raises(Unmet, match=r"was 3 hours ago, which is more than the 2 hours allowed"):
        check_age(found, 7200, last + timedelta(hours=3))
    assert run("status", "--max-age", "1d", at=folder).code == 0
    late = run("status", "--max-age", "0s", at=folder)
    assert (late.code, late.err.count("\n")) == (3, 1)
    for said, why in (
        ("soon", "which is no duration"),
        ("90", "which has no unit: write 90s, 90m, 90h or 90d"),
    ):
        wrong = run("status", "--max-age", said, at=folder)
        assert (wrong.code, wrong.out) == (2, "")
        assert f"--max-age is {said!r}, {why}" in wrong.err


def test_tables_of_messages_are_counted_where_they_have_rows(tmp_path: Path) -> None:
    with Sandbox(Account.generate(20, seed=5), now=UNTIL + 60) as sandbox:
        assert run("sync", at=tmp_path, url=sandbox.base_url).code == 0
        assert "messages" not in status(tmp_path / NAME).rows
        assert run("sync", "--messages", at=tmp_path, url=sandbox.base_url).code == 0
    counted = status(tmp_path / NAME).rows
    assert counted["messages"] >= counted["prompts"] == 20
    assert "attachments" not in counted


def test_messages_read_and_to_come(folder: Path) -> None:
    told = StringIO()
    counts = {"read": 300, "waiting": 20, "failed": 0}
    show(replace(status(folder / NAME), messages=counts), Console(file=told))
    assert "of 300 completions read, 20 to come\n" in told.getvalue()


def test_nothing_is_written_by_those_that_read(folder: Path, sandbox: Sandbox) -> None:
    def listing() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}

    before = listing()
    for arguments in (["status"], ["check"], ["query", "from marts.daily_usage"]):
        assert run(*arguments, at=folder, url=sandbox.base_url).code == 0
    assert listing() == before


def test_a_missing_a_broken_and_a_foreign_file(tmp_path: Path) -> None:
    (tmp_path / "junk.duckdb").write_bytes(b"junk" * 5_000)
    missing = run("status", "--warehouse", "missing.duckdb", at=tmp_path)
    junk = run("status", "--warehouse", "junk.duckdb", at=tmp_path)
    assert (missing.code, junk.code) == (1, 1)
    assert "run `stored-completions sync` to make it" in missing.err
    assert "Put a good copy back" in junk.err
    assert [path.name for path in tmp_path.iterdir()] == ["junk.duckdb"]


def test_two_sources_a_filter_and_a_failure(folder: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    """Each source has its line, a filtered walk its own cursor, and what failed last is said."""
    tmp_path = shutil.copytree(folder, tmp_path / "copy")
    assert run("sync", "--model", "gpt-4o-2024-08-06", at=tmp_path, url=sandbox.base_url).code == 0
    with Sandbox(Account.generate(5, seed=9), now=NOW) as other:
        assert run("sync", "--source", "other", at=tmp_path, url=other.base_url).code == 0
        other.rules = type(other.rules)(api_key="sk-right")
        failed = run("sync", "--source", "other", at=tmp_path, url=other.base_url)
    assert failed.code == 2
    done = run("status", at=tmp_path)
    said = lines(done)
    assert "failed: 127.0.0.1 answered 401" in said["last run"]
    assert said["last success"].endswith(" UTC")
    assert {name.partition(" ")[2] for name in said if name.startswith("cursor ")} >= {
        "of default",
        "of other",
    }
    assert any(name.endswith(", only model gpt-4o-2024-08-06 of source default") for name in said)
    sources = done.out.split("\n\n")[1].splitlines()
    assert [line.split()[:2] for line in sources[1:]] == [["default", "150"], ["other", "5"]]
