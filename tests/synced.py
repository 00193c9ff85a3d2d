"""What the tests of the sync share: an account served, syncs through the real thing, whole tables back."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb

from rebuild import normal, rebuild
from stored_completions.checks import run_checks
from stored_completions.config import settings
from stored_completions.rounds import Bounds
from stored_completions.run_report import Report
from stored_completions.sandbox import Account, Sandbox
from stored_completions.sandbox.generate import UNTIL
from stored_completions.sync import sync
from stored_completions.tables import BY_NAME
from stored_completions.warehouse import Files

NOW = UNTIL + 60
NAME = "stored_completions.duckdb"
SMALL = Bounds(completions=40)

Row = dict[str, Any]


class Heard:
    """A watcher that remembers what it was told."""

    def __init__(self) -> None:
        self.pages: list[tuple[int, int, int | None]] = []
        self.read: list[tuple[int, int]] = []
        self.sentences: list[str] = []

    def page(self, pages: int, rows: int, newest: int | None) -> None:
        self.pages.append((pages, rows, newest))

    def asked(self, done: int, ids: int) -> None:
        pass

    def messages(self, done: int, total: int) -> None:
        self.read.append((done, total))

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


@contextmanager
def serving(account: Account | None = None, **rules: Any) -> Iterator[Sandbox]:
    """The sandbox with its clock standing a minute after the newest generated row."""
    with Sandbox(account, **({"now": NOW} | rules)) as sandbox:
        yield sandbox


def synced(sandbox: Sandbox, folder: Path, **options: Any) -> Report:
    """One sync in this process; options of `sync` by name, the rest are flags."""
    own = {
        name: options.pop(name)
        for name in ("max_pages", "stop", "watcher", "bounds", "full", "confirm_deletions", "change_policy")
        if name in options
    }
    flags = {"api_key": "sk-sandbox", "base_url": sandbox.base_url, **options}
    return sync(settings(flags, {}, folder), folder / NAME, **own)


def files(folder: Path) -> Files:
    return Files(folder / NAME)


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """What the published copy answers."""
    with closing(duckdb.connect(str(folder / NAME), read_only=True)) as connection:
        return connection.execute(sql).fetchall()


def one(folder: Path, sql: str) -> Any:
    return rows(folder, sql)[0][0]


def tables(folder: Path) -> dict[str, list[Row]]:
    """Every row of every table of the published copy, in the order of its key."""
    found = {}
    with closing(duckdb.connect(str(folder / NAME), read_only=True)) as connection:
        for table in BY_NAME.values():
            if "completion_id" in table.key:
                result = connection.execute(f"from chat.{table.name} order by {', '.join(table.key)}")
                names = [column[0] for column in result.description]
                found[table.name] = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    return found


def assert_exact(folder: Path, account: Account) -> None:
    """Rebuilt from its tables, the warehouse is the account; nothing is doubled, orphaned or stale."""
    found = tables(folder)
    wanted = {row["id"]: row for row in account.completions()}
    rebuilt = rebuild(found)
    assert len(found["completions"]) == len(wanted)
    assert {id_: normal(row) for id_, row in rebuilt.items()} == {
        id_: normal(row) for id_, row in wanted.items()
    }
    pairs = {(row["completion_id"], row["key"]): row["value"] for row in found["metadata"]}
    assert pairs == {
        (id_, key): value for id_, row in wanted.items() for key, value in (row.get("metadata") or {}).items()
    }
    assert_sound(folder)


def assert_sound(folder: Path) -> None:
    """Every data test passes, and each child was written together with its completion."""
    with closing(duckdb.connect(str(folder / NAME), read_only=True)) as connection:
        failing = {
            result.name: result.sample
            for result in run_checks(connection)
            if result.failing_rows and result.name != "future_times"  # the sandbox has a clock of its own
        }
        assert failing == {}
        for name in ("choices", "tool_calls", "annotations", "logprobs", "top_logprobs", "usage", "metadata"):
            mixed = connection.execute(
                f"select count(*) from chat.{name} as child left join chat.completions using (completion_id)"
                " where child._dlt_load_id is distinct from completions._dlt_load_id"
            ).fetchall()
            assert mixed == [(0,)], name


def last_run(folder: Path) -> Row:
    notes = json.loads(files(folder).journal.read_text())
    return notes[NAME]["last"]  # type: ignore[no-any-return]


def environment(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """That of a process of its own: nothing of this machine's user reaches it."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DLT_DATA_DIR": str(folder / "dlt"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OPENAI_API_KEY": "sk-sandbox",
        "OPENAI_BASE_URL": sandbox.base_url,
    }


def started(sandbox: Sandbox, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """The real command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "stored_completions", *arguments],
        cwd=folder,
        env=environment(sandbox, folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(happened: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """Waits for something that can be observed, at most a minute, and only while the process lives."""
    deadline = time.monotonic() + 60
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.001)
