"""What only one destination has, and what is said of settings that are wrong. Run by `make test-engines`."""

import os
import shutil
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import spoiling
import tomlkit
from destinations_check import account, assert_same, check_merging, generation, sandbox, synced  # noqa: F401
from postgres import PASSWORD

from console import run
from stored_completions.config import destination as configured
from stored_completions.destinations.any_sql import AnySql
from stored_completions.destinations.comparing import compare
from stored_completions.destinations.kinds import KINDS, Target
from stored_completions.destinations.shipping import Shipping
from stored_completions.errors import WarehouseError
from stored_completions.sandbox import Sandbox
from stored_completions.warehouse import connect
from synced import files, rows
from synced import synced as sync_here
from test_sync import completion

DOCUMENT = Path(__file__).resolve().parents[2] / "sql" / "DESTINATIONS.md"
PLACES = """
for name in %r:
    import dlt
    factory = getattr(dlt.destinations, name)()
    print(name, factory.configuration(factory.spec()._bind_dataset_name(dataset_name="chat")))
"""


def test_dlt_takes_the_documented_settings(tmp_path: Path) -> None:
    """Every block of the document, put where it says."""
    taken: dict[str, Any] = {"config.toml": {}, "secrets.toml": {}}
    for block in DOCUMENT.read_text().split("```toml\n")[1:]:
        for part in block.partition("```")[0].split("# .dlt/")[1:]:
            name, _, said = part.partition("\n")
            _merge(taken[name.split(",")[0].strip()], tomllib.loads(said))
    (tmp_path / ".dlt").mkdir()
    for name, said in taken.items():
        (tmp_path / ".dlt" / name).write_text(tomlkit.dumps(said))
    command = [sys.executable, "-c", PLACES % list(KINDS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "postgres postgresql://loader:***@db.example.com:5432/warehouse",
        "ducklake ducklake@postgresql://loader:***@db.example.com:5432/lake@s3://analytics/lake",
        "filesystem s3://analytics/completions",
        "motherduck md://motherduck:***@/analytics",
        "snowflake snowflake://LOADER:***@myorg-account/ANALYTICS",
        "bigquery loader@my-project.iam.gserviceaccount.com@my-project",
        "databricks databricks://adb-1234567890.1.azuredatabricks.net/sql/1.0/warehouses/abcdef/analytics",
        "clickhouse clickhouse://loader:***@abc.eu-central-1.aws.clickhouse.cloud:9440/analytics",
    ]


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def test_the_way_through_dlt_leads_to_duckdb_too(
    sandbox: Sandbox,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which is MotherDuck's SQL: everything, an edit, and a new machine."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(tmp_path / "there.duckdb"))
    first, second = files(tmp_path / "first"), files(tmp_path / "second")
    for own in (first, second):
        own.folder.mkdir(parents=True)
    for step in range(2):
        sync_here(sandbox, tmp_path / "first", messages=True)
        with closing(AnySql(Target("duckdb", "chat", True), first.shipping)) as there, there.locked():
            shipping = Shipping(there, first, print)
            assert not shipping.follow()
            with closing(connect(first.working, read_only=False)) as connection:
                assert shipping.ship(connection).completions == (121, 2)[step]
                assert [each for each in compare(connection, there) if not each.is_same] == []
        sandbox.account.update_metadata("odd", {"k": "changed"})
        sandbox.account.add(completion("late", (sandbox.account.newest() or 0) + 1))
    with closing(AnySql(Target("duckdb", "chat", True), second.shipping)) as there, there.locked():
        assert Shipping(there, second, print).follow()
        with closing(connect(second.working, read_only=True)) as connection:
            different = [each.table for each in compare(connection, there) if not each.is_same]
    assert different == ["definitions"]  # which say that the views are yet to be made


@pytest.mark.parametrize("destination", ["postgres"], indirect=True)
def test_its_views_say_what_ours_say(
    destination: str,
    sandbox: Sandbox,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Every digit of the costs; made once, and not again by the next package."""
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


def test_what_is_wrong_is_a_sentence_and_nothing_is_lost(
    sandbox: Sandbox,  # noqa: F811
    tmp_path: Path,
    postgres_address: str,
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


def test_a_bucket_that_cannot_be_reached_is_a_sentence(
    sandbox: Sandbox,  # noqa: F811
    tmp_path: Path,
) -> None:
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


def test_what_is_not_installed_is_named_with_the_command(tmp_path: Path, sandbox: Sandbox) -> None:  # noqa: F811
    for name, said in (
        ("ducklake", "pip install 'stored-completions[ducklake]'"),
        ("snowflake", "pip install 'dlt[snowflake]'"),
        ("filesystem", 'needs table_format = "delta"'),
    ):
        done = run("sync", "--destination", name, at=tmp_path, url=sandbox.base_url)
        assert (done.code, len(done.err.splitlines())) == (2, 1), done.err
        assert said in done.err


@pytest.mark.parametrize("destination", ["delta"], indirect=True)
def test_files_may_be_merged_by_others(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:  # noqa: F811
    check_merging(sandbox, tmp_path)
