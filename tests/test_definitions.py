"""Prices, views and descriptions are renewed when they changed, and only then."""

from pathlib import Path

import duckdb
import pytest

from stored_completions.config import settings
from stored_completions.content.groups import COLUMNS, undeclared
from stored_completions.errors import UsageError
from stored_completions.run_report import Report
from stored_completions.sandbox import Account, Sandbox
from stored_completions.sync import sync
from stored_completions.tables import BOOKKEEPING, REFERENCE_TABLES, TABLES

_PRICES = """
[[model]]
id = "gpt-4o-mini-2024-07-18"
match = "gpt-4o-mini-2024-07-18"
source = "a contract"
rates = [{ input = 1000.0, output = 1000.0 }]
"""


def test_each_column_that_can_hold_content_has_one_group_or_is_exempt() -> None:
    """Whoever adds a text, JSON or binary column says in `content.groups` whose content it holds."""
    tables = (*TABLES, *REFERENCE_TABLES, *BOOKKEEPING)
    missing = {table.name: undeclared(table) for table in tables}
    assert {name: columns for name, columns in missing.items() if columns} == {}
    found = {table.name: {column.name for column in table.columns} for table in tables}
    gone = {name: sorted(columns.keys() - found.get(name, set())) for name, columns in COLUMNS.items()}
    assert gone == {name: [] for name in found}


def _sync(sandbox: Sandbox, folder: Path, prices: Path | None = None) -> Report:
    flags = {"api_key": "sk-test", "base_url": sandbox.base_url, "prices": prices and str(prices)}
    return sync(settings(flags, {}, folder), folder / "w.duckdb")


def _sync_with_new_prices(folder: Path) -> None:
    """A first sync, and one that changes nothing but prices."""
    prices = folder / "prices.toml"
    prices.write_text(_PRICES)
    with Sandbox(Account.generate(20, seed=5)) as sandbox:
        _sync(sandbox, folder)
        _sync(sandbox, folder, prices)


def _costs(folder: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as connection:
        return connection.execute(
            "select sum(cost_usd), count(*) filter (where price_basis = 'override')"
            " from marts.completion_costs where model = 'gpt-4o-mini-2024-07-18'"
        ).fetchall()


def test_new_prices_are_published_although_no_completion_is_new(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(_PRICES)
    with Sandbox(Account.generate(120, seed=5)) as sandbox:
        _sync(sandbox, tmp_path)
        before = _costs(tmp_path)
        renewed = _sync(sandbox, tmp_path, prices)
        after = _costs(tmp_path)
        again = _sync(sandbox, tmp_path, prices)
    assert (renewed.outcome, renewed.published) == ("nothing_new", True)
    assert "the copy was renewed" in renewed.sentences()[0]
    assert (again.outcome, again.published) == ("nothing_new", False)
    assert before[0][1] == 0
    assert after[0][1] > 0
    assert after[0][0] > 100 * before[0][0]


def test_small_notes_take_no_block_of_the_file(tmp_path: Path) -> None:
    """DuckDB gives a table 256 KB for one text, and for one row among deleted ones."""
    _sync_with_new_prices(tmp_path)
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        for table in ("chat.definitions", "chat.publication"):
            info = f"select block_id from pragma_storage_info('{table}') where block_id >= 0"
            assert connection.execute(info).fetchall() == [], table


def test_each_price_set_used_is_recorded(tmp_path: Path) -> None:
    _sync_with_new_prices(tmp_path)
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        kept = connection.execute("select overrides from chat.price_sets order by loaded_at").fetchall()
    assert kept == [(None,), (_PRICES,)]


def test_a_warehouse_of_another_version_gets_this_ones_views(tmp_path: Path) -> None:
    with Sandbox(Account.generate(20, seed=5)) as sandbox:
        _sync(sandbox, tmp_path)
        with duckdb.connect(str(tmp_path / ".stored_completions" / "w.duckdb")) as connection:
            connection.execute("update chat.definitions set fingerprint = uuid()")
            connection.execute("drop view marts.unpriced_models")
        assert _sync(sandbox, tmp_path).published
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from marts.unpriced_models").fetchall()


def test_a_warehouse_that_noted_its_views_otherwise_is_brought_up_to_date(tmp_path: Path) -> None:
    with Sandbox(Account.generate(20, seed=5)) as sandbox:
        _sync(sandbox, tmp_path)
        with duckdb.connect(str(tmp_path / ".stored_completions" / "w.duckdb")) as connection:
            connection.execute("create or replace table chat.definitions (fingerprint varchar)")
            connection.execute("insert into chat.definitions values ('an older version'), ('its prices')")
        assert _sync(sandbox, tmp_path).published
        assert not _sync(sandbox, tmp_path).published
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        found = connection.execute("select typeof(fingerprint) from chat.definitions").fetchall()
    assert found == [("UUID",)]


def test_a_price_file_that_cannot_be_right_stops_the_sync_before_it_asks(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[[model]]\nid = 3\n")
    with Sandbox(Account.generate(20, seed=5)) as sandbox:
        with pytest.raises(UsageError, match=r"prices\.toml"):
            _sync(sandbox, tmp_path, prices)
        assert sandbox.requests == []
    assert not (tmp_path / "w.duckdb").exists()
