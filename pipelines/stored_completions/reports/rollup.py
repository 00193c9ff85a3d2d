"""Costs per day as tables, one for each file under `sql/reports`: each sync renews the days it touched, and no other.

A day is renewed when the number of its completions or the load packages among them have changed (every
row that is rewritten carries a new one), or what the organization's bill says of it, and all days are when
prices or SQL have. Nothing else needs to be remembered, so it does not matter how a sync before this one ended.
"""

from collections.abc import Sequence
from datetime import date
from hashlib import sha256
from typing import Any

import duckdb

from stored_completions import models
from stored_completions.models import Model
from stored_completions.tables import LOAD_ID

_MARKS = "reports.daily_costs_marks"
_FOUND = (
    "select days.*, bills.bill from (select created_date, count(*) as completions,"
    f" cast(sum(hash({LOAD_ID})) as varchar) as load_id"
    " from chat.completions group by created_date) as days"
    " left join (select usage_date, cast(bit_xor(hash(usage::varchar)) as varchar) as bill"
    " from (select * exclude (read_at, extra) from chat.organization_usage) as usage group by usage_date) as bills"
    " on bills.usage_date = days.created_date"
)
_INPUTS = (
    "chat.model_price_rules",
    "chat.model_prices",
    "chat.price_multipliers",
    "chat.batch_rules",
    "(select source, bill_source, project_id from chat.organization_bills)",
)


def refresh(connection: duckdb.DuckDBPyConnection) -> int:
    """Brings the tables up to what is in the warehouse, in one transaction; the number of days renewed."""
    rollups = models.models("reports")
    basis = _basis(connection, rollups)
    connection.execute("begin")
    try:
        _create(connection, rollups)
        stale = _stale(connection, basis)
        if stale:
            _renew(connection, rollups, basis, stale)
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")
    return len(stale)


def exists(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the warehouse has the tables with their columns of today; those of older versions may not."""
    found = connection.execute(
        "select table_name, list(column_name order by column_index) from duckdb_columns()"
        " where database_name = current_database() and schema_name = 'reports' group by table_name"
    )
    columns = dict(found.fetchall())
    return all(columns.get(model.name) == list(model.columns) for model in models.models("reports"))


def stale_rows(connection: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
    """The days of which a table has other rows than its SQL gives now, and how many differ either way."""
    return [
        {"relation": model.relation, "created_date": row[0], "rows_that_differ": row[1]}
        for model in models.models("reports")
        for row in connection.execute(_differing(model)).fetchall()
    ]


def _differing(model: Model) -> str:
    now = f"(\n{model.sql}\n)"
    return (
        "select created_date, count(*) from ("
        f"(select * from {model.relation} except all select * from {now})"
        f" union all (select * from {now} except all select * from {model.relation})"
        ") group by created_date order by created_date"
    )


def _create(connection: duckdb.DuckDBPyConnection, rollups: Sequence[Model]) -> None:
    connection.execute("create schema if not exists reports")
    if exists(connection) and all(
        _types(connection, f"from {model.relation}") == _types(connection, model.sql) for model in rollups
    ):
        return
    for model in rollups:
        connection.execute(f"create or replace table {model.relation} as\n{model.sql}\nlimit 0")
    connection.execute(
        f"create or replace table {_MARKS} (created_date date, completions bigint, load_id varchar,"
        " bill varchar, basis varchar)"
    )


def _types(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(f"describe ({sql}\n)").fetchall()]


def _basis(connection: duckdb.DuckDBPyConnection, rollups: Sequence[Model]) -> str:
    """Changes with the SQL and the prices that make a cost out of the same completions."""
    digest = sha256("\0".join(model.sql for model in rollups).encode())
    for model in models.behind("completion_costs"):
        digest.update(model.sql.encode())
    for relation in _INPUTS:
        row = connection.execute(
            f"select count(*), bit_xor(hash(rows::varchar)) from {relation} as rows"
        ).fetchall()
        digest.update(repr(row).encode())
    return digest.hexdigest()


def _stale(connection: duckdb.DuckDBPyConnection, basis: str) -> list[date | None]:
    """Days whose completions are not those that the table was made of; also days that have none any more."""
    rows = connection.execute(
        f"with found as ({_FOUND}) select coalesce(found.created_date, marks.created_date)"
        f" from found full join {_MARKS} as marks on found.created_date is not distinct from marks.created_date"
        " where found.completions is distinct from marks.completions or found.load_id is distinct from marks.load_id"
        " or found.bill is distinct from marks.bill"
        " or marks.basis is distinct from ?",
        [basis],
    ).fetchall()
    return [row[0] for row in rows]


def _renew(
    connection: duckdb.DuckDBPyConnection, rollups: Sequence[Model], basis: str, stale: Sequence[date | None]
) -> None:
    inside = _inside(connection, stale)
    for model in rollups:
        connection.execute(f"delete from {model.relation} where {inside}")
        connection.execute(f"insert into {model.relation} select * from (\n{model.sql}\n) where {inside}")
    connection.execute(f"delete from {_MARKS} where {inside}")
    connection.execute(f"insert into {_MARKS} select *, ? from ({_FOUND}) where {inside}", [basis])


def _inside(connection: duckdb.DuckDBPyConnection, stale: Sequence[date | None]) -> str:
    """Days as a condition that DuckDB can bring down to the tables; true when it is all of them."""
    days: Any = connection.execute("select count(distinct created_date) from chat.completions").fetchall()[0][
        0
    ]
    if len(stale) >= days:
        return "true"
    listed = ", ".join(f"date '{day}'" for day in stale if day is not None)
    conditions = [f"created_date in ({listed})"] if listed else []
    return " or ".join([*conditions, *(["created_date is null"] if None in stale else [])])
