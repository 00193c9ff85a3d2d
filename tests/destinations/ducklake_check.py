"""What a DuckLake has beside the rows: every view, check and report. Run by `make test-engines`, with DuckDB 1.5."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from destinations_check import account, check_merging, sandbox, synced  # noqa: F401

from console import run
from stored_completions import models
from stored_completions.config import destination as configured
from stored_completions.destinations import extensions
from stored_completions.destinations.opening import opened
from stored_completions.reports import asking
from stored_completions.reports import formats as report_formats
from stored_completions.reports.catalog import DEFINITIONS
from stored_completions.reports.dimensions import dimensions
from stored_completions.sandbox import Account, Sandbox
from synced import NAME, serving

PUBLISHED = "last_published_at"  # of which each has its own


@pytest.mark.parametrize("destination", ["ducklake"], indirect=True)
def test_its_views_checks_and_reports_say_what_ours_say(
    destination: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """As an analyst attaches it, who has a file with the same schemas open."""
    monkeypatch.setenv("SOURCES__STORED_COMPLETIONS__DATASET", "chat")
    with serving(Account.generate(120, seed=3, logprob_share=0.2, tokens=12)) as own_sandbox:
        synced(own_sandbox, tmp_path, messages=True, billing=True, admin_key="sk-admin")
    with (
        closing(duckdb.connect(str(tmp_path / NAME), read_only=True)) as here,
        closing(duckdb.connect()) as lake,
    ):
        for statement in extensions.loading("ducklake", "sqlite_scanner"):
            lake.execute(statement)
        lake.execute("create schema chat; create table chat.completions (completion_id varchar)")
        catalog = tmp_path / "lake" / "catalog.sqlite"
        lake.execute(f"attach 'ducklake:sqlite:{catalog}' as lake (read_only); set TimeZone = 'UTC'")
        here.execute("set TimeZone = 'UTC'")
        views = models.models("marts")
        for view in views:
            columns = ", ".join(name for name in view.columns if name != PUBLISHED)
            wanted = _in_order(here.execute(f"select {columns} from {view.relation}").fetchall())
            found = _in_order(lake.execute(f"select {columns} from lake.{view.relation}").fetchall())
            assert found == wanted, view.relation
            record_property("view", f"{view.relation:32}{len(wanted):6,} rows, equal")
        lake.execute("use lake")
        for definition in DEFINITIONS.values():
            question = asking.Question(dimensions(["model"]) if definition.name == "costs" else ())
            answers = [asking.ask(connection, definition, question) for connection in (here, lake)]
            texts = [report_formats.text(answer, "json") for answer in answers]
            assert texts[0] == texts[1], definition.name
    own = configured({}, os.environ, None)
    assert own is not None
    with closing(opened(own)) as there:
        checks = there.checks()
    assert {check.name for check in checks} == {model.name for model in models.models("checks")}
    assert [check.name for check in checks if check.failing_rows] in ([], ["future_times"])


def _in_order(rows: list[tuple[Any, ...]]) -> list[str]:
    """Floating point to 12 digits: the last ones hang on the order in which an average adds up."""
    return sorted(
        repr([f"{value:.12g}" if isinstance(value, float) else value for value in row]) for row in rows
    )


def test_a_lake_that_is_not_named_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:  # noqa: F811
    """Catalog, storage, a catalog without a lock, a password that is wrong."""
    own = "DESTINATION__DUCKLAKE__CREDENTIALS"
    catalog, storage = f"{own}__CATALOG", f"{own}__STORAGE__BUCKET_URL"
    named = {catalog: f"sqlite:///{tmp_path / 'c.sqlite'}", storage: str(tmp_path / "lake")}
    assert run("sync", at=tmp_path, url=sandbox.base_url).code == 0
    for env, code, said in (
        ({}, 2, "needs its catalog named"),
        ({catalog: named[catalog]}, 2, "needs its storage named"),
        (named | {catalog: f"duckdb:///{tmp_path / 'c.duckdb'}"}, 2, "it must be in sqlite or postgresql"),
        (named | {catalog: "postgresql://loader:sesame@127.0.0.1:1/lake"}, 1, "Connection refused"),
        (named, 0, "121 completions shipped"),
    ):
        done = run("sync", "--destination", "ducklake", at=tmp_path, url=sandbox.base_url, env=env)
        assert (done.code, len(done.err.splitlines())) == (code, 1), done.err
        assert said in done.err
        assert "sesame" not in done.err
    assert not list(tmp_path.glob("ducklake.*"))


@pytest.mark.parametrize("destination", ["ducklake"], indirect=True)
def test_files_may_be_merged_by_others(destination: str, sandbox: Sandbox, tmp_path: Path) -> None:  # noqa: F811
    check_merging(sandbox, tmp_path)
