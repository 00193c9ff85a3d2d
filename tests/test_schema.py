"""A warehouse of an older version is brought up to date in place; one of a newer version is refused."""

import base64
import json
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

import old
from console import run
from stored_completions import schema
from stored_completions.errors import WarehouseError
from stored_completions.sandbox import Account, Sandbox
from stored_completions.status import status
from stored_completions.store import PIPELINE, RESOURCE
from stored_completions.tables import BOOKKEEPING, REFERENCE_TABLES, TABLES
from stored_completions.warehouse import SCHEMA_VERSION
from synced import NAME, assert_exact, files, one, rows, serving, synced
from test_sync import completion, recent

VERSIONS = sorted(int(path.stem.removeprefix("version_")) for path in old.DATA.glob("version_*.sql"))
COLUMNS = (
    "select table_name, column_name, data_type, is_nullable from duckdb_columns() where schema_name = 'chat'"
    " and database_name = current_database() and table_name[1] != '_' order by all"
)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Sandbox]]:
    """A warehouse of this version."""
    folder = tmp_path_factory.mktemp("fresh")
    with serving(recent(10)) as sandbox:
        synced(sandbox, folder)
        yield folder, sandbox


def written(folder: Path, sql: str) -> None:
    with closing(duckdb.connect(str(files(folder).working))) as connection:
        connection.execute(sql)


def as_anybody_finds_it(folder: Path) -> list[tuple[Any, ...]]:
    return rows(folder, COLUMNS)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("news", [0, 1])
def test_an_older_warehouse_is_continued(
    tmp_path: Path, fresh: tuple[Path, Sandbox], version: int, news: int
) -> None:
    account = old.account(version)
    stamps = (
        "select completion_id, first_seen_at from chat.completions where completion_id != 'new' order by 1"
    )
    with serving(account) as sandbox:
        old.restore(version, tmp_path / NAME, sandbox.base_url)
        before = rows(tmp_path, stamps)
        for number in range(news):
            account.add(completion("new", (account.newest() or 0) + number + 1))
        report = synced(sandbox, tmp_path)
        assert (report.published, report.counts.rows_new) == (True, news)
        assert report.is_new_warehouse is False
        assert_exact(tmp_path, account)
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
    assert rows(tmp_path, stamps) == before
    assert as_anybody_finds_it(tmp_path) == as_anybody_finds_it(fresh[0])
    assert one(tmp_path, "select schema_version from chat.publication") == SCHEMA_VERSION


def without(tmp_path: Path, fresh: tuple[Path, Sandbox], statement: str) -> Path:
    """A copy of the fresh warehouse that lacks something, as if a version without it had left it."""
    folder = Path(shutil.copytree(fresh[0], tmp_path / "older"))
    written(folder, statement)
    with closing(duckdb.connect(str(files(folder).working), read_only=True)) as connection:
        assert schema.is_behind(connection)
    return folder


def test_whatever_is_missing_is_added(tmp_path: Path, fresh: tuple[Path, Sandbox]) -> None:
    """Every table but the first, and the last column of each that is part of no key."""
    own = [table.name for table in (*TABLES, *REFERENCE_TABLES, *BOOKKEEPING)]
    spare = {
        table.name: [column.name for column in table.columns if column.name not in table.required][-1:]
        for table in (*TABLES, *REFERENCE_TABLES)
    }
    columns = [f"alter table chat.{name} drop column {last[0]}" for name, last in spare.items() if last]
    kept = ("completions", "sources", "publication")
    tables = [f"drop table chat.{name}" for name in own if name not in kept]
    for number, statements in enumerate((columns, tables)):
        folder = without(tmp_path / str(number), fresh, ";".join(statements))
        assert synced(fresh[1], folder).published
        assert as_anybody_finds_it(folder) == as_anybody_finds_it(fresh[0])
        assert synced(fresh[1], folder).outcome == "nothing_new"


def test_a_warehouse_that_is_not_behind_is_not_written(fresh: tuple[Path, Sandbox]) -> None:
    before = files(fresh[0]).working.read_bytes()
    assert synced(fresh[1], fresh[0]).outcome == "nothing_new"
    assert files(fresh[0]).working.read_bytes() == before


def test_a_round_of_an_older_version_that_died_is_put_back(
    tmp_path: Path, fresh: tuple[Path, Sandbox]
) -> None:
    """It moved out the tables that it knew, and no others."""
    folder = Path(shutil.copytree(fresh[0], tmp_path / "older"))
    moved = "completion_id in ('c0003', 'c0004')"
    names = ("completions", "choices", "metadata", "usage")
    statements = ["create schema replaced"]
    statements += [f"create table replaced.{name} as from chat.{name} where {moved}" for name in names]
    statements += [f"delete from chat.{name} where {moved}" for name in names]
    written(folder, ";".join([*statements, "drop table chat.annotations"]))
    files(folder).dlt.mkdir()
    fresh[1].account.add(completion("newer", (fresh[1].account.newest() or 0) + 1))
    assert synced(fresh[1], folder).counts.rows_new == 1
    assert_exact(folder, fresh[1].account)


@pytest.mark.parametrize("which", ["working", "published"])
def test_a_newer_warehouse_is_refused_and_left_alone(
    tmp_path: Path, fresh: tuple[Path, Sandbox], which: str
) -> None:
    folder = Path(shutil.copytree(fresh[0], tmp_path / "newer"))
    own = files(folder)
    path: Path = getattr(own, which)
    path.chmod(0o644)
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute("update chat.publication set schema_version = 99")
    before = [each.read_bytes() for each in (own.working, own.published)]
    for command in ("sync",):
        done = run(command, at=folder, url=fresh[1].base_url)
        assert done.code == 1
        assert f"{path} was made by a newer version" in " ".join(done.err.split())
        assert len(done.err.splitlines()) == 1
    assert [each.read_bytes() for each in (own.working, own.published)] == before


def stood(folder: Path, changed: Callable[[dict[str, Any]], None]) -> None:
    """Changes where the walk stands in the working file's newest state, as another version might write it."""
    files(folder).journal.unlink(missing_ok=True)
    with closing(duckdb.connect(str(files(folder).working))) as connection:
        newest = "from chat._dlt_pipeline_state order by _dlt_load_id desc limit 1"
        ((load_id, packed),) = connection.execute(f"select _dlt_load_id, state {newest}").fetchall()
        state = json.loads(zlib.decompress(base64.b64decode(packed)))
        (cursor,) = state["sources"][PIPELINE]["resources"][RESOURCE].values()
        changed(cursor)
        packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
        connection.execute(
            "update chat._dlt_pipeline_state set state = ? where _dlt_load_id = ?", [packed, load_id]
        )


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (lambda cursor: cursor["walk"].update(lanes=4), "lanes"),
        (lambda cursor: cursor.update(backfill={"since": None, "gaps": [], "floor": None, "tip": 1}), "tip"),
        (lambda cursor: cursor.update(position=["another", "form"]), "its form"),
    ],
)
def test_where_a_newer_version_stood_is_not_guessed(
    tmp_path: Path, fresh: tuple[Path, Sandbox], changed: Callable[[dict[str, Any]], None], named: str
) -> None:
    folder = Path(shutil.copytree(fresh[0], tmp_path / "newer"))
    stood(folder, changed)
    before = files(folder).working.read_bytes()
    with pytest.raises(
        WarehouseError, match=f"noted by a newer version .* does not know {named}. Nothing was"
    ):
        synced(fresh[1], folder)
    assert files(folder).working.read_bytes() == before


def test_what_an_older_version_did_not_say_of_a_walk_is_made_good(
    tmp_path: Path, fresh: tuple[Path, Sandbox]
) -> None:
    folder = Path(shutil.copytree(fresh[0], tmp_path / "older"))
    stood(folder, lambda cursor: cursor["walk"].pop("long_to"))
    assert synced(fresh[1], folder).failure is None


def test_notes_of_a_newer_version_are_read_as_far_as_they_are_known_and_odd_ones_not_at_all(
    tmp_path: Path, fresh: tuple[Path, Sandbox]
) -> None:
    folder = Path(shutil.copytree(fresh[0], tmp_path / "newer"))
    journal = files(folder).journal
    notes = json.loads(journal.read_text())
    notes[NAME]["mood"] = "good"
    journal.write_text(json.dumps(notes))
    assert status(folder / NAME).last_run == notes[NAME]["last"] | {
        name: notes[NAME]["last"][name][:19] + "+00:00" for name in ("started_at", "finished_at")
    }
    for odd in (
        "garbage",
        *(json.dumps({NAME: each}) for each in ({"runs": 5}, {"runs": [{}]}, {"cursors": [1]})),
    ):
        journal.write_text(odd)
        assert status(folder / NAME).last_run["outcome"] == "done"  # type: ignore[index]
        assert synced(fresh[1], folder).failure is None


def test_before_the_first_load_nothing_is_missing() -> None:
    with closing(duckdb.connect()) as connection:
        assert not schema.is_behind(connection)
        schema.renew(connection)
        assert connection.execute("from duckdb_tables()").fetchall() == []


def test_accounts_of_old_versions_are_whole() -> None:
    assert all(
        isinstance(old.account(version), Account) and len(old.account(version)) for version in VERSIONS
    )
