"""Sums and threads as tables, one for each file under `sql/reports`: each sync renews what it touched, and no more.

Costs are renewed day by day: where the number of its completions or the load packages among them have changed
(every row that is rewritten carries a new one), or what the organization's bill says of it; and all days when prices
or SQL have. `turns` says what is renewed of threads.
"""

from collections.abc import Sequence
from datetime import date
from hashlib import sha256

import duckdb

from stored_completions import models
from stored_completions.models import Model
from stored_completions.reports import turns
from stored_completions.reports.marks import Marks, in_parts, inside
from stored_completions.tables import LOAD_ID

_DAYS = Marks(
    models.DAY_MARKS,
    "select days.*, bills.bill from (select created_date, count(*) as completions,"
    f" cast(sum(hash({LOAD_ID})) as varchar) as load_id"
    " from chat.completions group by created_date) as days"
    " left join (select usage_date, cast(bit_xor(hash(usage::varchar)) as varchar) as bill"
    " from (select * exclude (read_at, extra) from chat.organization_usage) as usage group by usage_date) as bills"
    " on bills.usage_date = days.created_date",
    ("completions", "load_id", "bill"),
)
_INPUTS = (
    "chat.model_price_rules",
    "chat.model_prices",
    "chat.price_multipliers",
    "chat.batch_rules",
    "(select source, bill_source, project_id from chat.organization_bills)",
)


def refresh(
    connection: duckdb.DuckDBPyConnection, at_once: int = 200_000, turns_at_once: int = 50_000
) -> int:
    """Brings the tables up to what is in the warehouse, in one transaction; the number of days renewed.

    The costs of so many completions `at_once` are reckoned, and of a day at least, and so many turns told, and whole
    threads at least: memory grows with them.
    """
    kept = models.models("reports")
    basis = _basis(connection, kept)
    connection.execute("begin")
    try:
        _create(connection, kept)
        stale = _DAYS.stale(connection, basis)
        if stale:
            costs = [model for model in kept if model.name != turns.NAME]
            _renew(connection, costs, basis, stale, at_once)
        turns.refresh(connection, basis, turns_at_once)
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")
    return len(stale)


def exists(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the tables are there with their columns of today, and filled; those of older versions may not be."""
    marks = connection.execute(
        "select count(*) from duckdb_tables() where database_name = current_database()"
        " and schema_name || '.' || table_name in (?, ?)",
        [models.DAY_MARKS, models.TURN_MARKS],
    )
    return marks.fetchall() == [(2,)] and all(
        models.is_kept(connection, model) for model in models.models("reports")
    )


def stale_rows(connection: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
    """The days of which a table has other rows than its SQL gives now, and how many differ either way."""
    return [
        {"relation": model.relation, "created_date": row[0], "rows_that_differ": row[1]}
        for model in models.models("reports")
        for row in connection.execute(_differing(model)).fetchall()
    ]


def _differing(model: Model) -> str:
    return (
        f"with now as materialized (\n{model.sql}\n) select created_date, count(*) from ("
        f"(select * from {model.relation} except all from now)"
        f" union all (from now except all select * from {model.relation})"
        ") group by created_date order by created_date"
    )


def _create(connection: duckdb.DuckDBPyConnection, kept: Sequence[Model]) -> None:
    connection.execute("create schema if not exists reports")
    for model in kept:
        if not models.is_kept(connection, model):
            models.create_kept(connection, model)
            models.describe(connection, model, model.columns)
    for marks in (_DAYS, turns.MARKS):
        marks.create(connection)


def _basis(connection: duckdb.DuckDBPyConnection, kept: Sequence[Model]) -> str:
    """Changes with the SQL and the prices that make a cost out of the same completions."""
    digest = sha256("\0".join(model.sql for model in kept).encode())
    for model in models.behind("completion_costs"):
        digest.update(model.sql.encode())
    for relation in _INPUTS:
        row = connection.execute(
            f"select count(*), bit_xor(hash(rows::varchar)) from {relation} as rows"
        ).fetchall()
        digest.update(repr(row).encode())
    return digest.hexdigest()


def _renew(
    connection: duckdb.DuckDBPyConnection,
    kept: Sequence[Model],
    basis: str,
    stale: Sequence[date | None],
    at_once: int,
) -> None:
    counted = connection.execute("select created_date, count(*) from chat.completions group by created_date")
    counts = dict(counted.fetchall())
    for days in in_parts({day: counts.get(day, 0) for day in stale}, at_once):
        where = inside(days)
        for model in kept:
            connection.execute(f"delete from {model.relation} where {where}")
            connection.execute(f"insert into {model.relation} select * from (\n{model.sql}\n) where {where}")
        _DAYS.note(connection, basis, where)
