"""Costs per day as a table, `reports.daily_costs`: each sync renews the days it touched, and no other.

A day is renewed when the number of its completions or the newest load package among them has changed
(every row that is rewritten carries a new one), and all days are when prices or SQL have. Nothing
else needs to be remembered, so it does not matter how a sync before this one ended.
"""

from collections.abc import Sequence
from datetime import date
from hashlib import sha256
from typing import Any

import duckdb

from stored_completions import models
from stored_completions.report_sql import ROLLUP, is_rolled_up
from stored_completions.tables import LOAD_ID

_MARKS = "reports.daily_costs_marks"
_FOUND = (
    f"select created_date, count(*) as completions, max({LOAD_ID}) as load_id from chat.completions"
    " group by created_date"
)
_INPUTS = ("chat.model_price_rules", "chat.model_prices", "chat.price_multipliers", "chat.batch_rules")


def refresh(connection: duckdb.DuckDBPyConnection) -> int:
    """Brings the table up to what is in the warehouse, in one transaction; the number of days renewed."""
    sql = models.parsed(models.sql_folder() / "reports" / "daily_costs.sql").sql
    basis = _basis(connection, sql)
    connection.execute("begin")
    try:
        _create(connection, sql)
        stale = _stale(connection, basis)
        if stale:
            _renew(connection, sql, basis, stale)
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")
    return len(stale)


def exists(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the warehouse has the table; those of older versions and of tests may not."""
    return is_rolled_up(connection)


def _create(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    connection.execute("create schema if not exists reports")
    wanted = [(row[0], row[1]) for row in connection.execute(f"describe ({sql}\n)").fetchall()]
    if exists(connection):
        if wanted == [(row[0], row[1]) for row in connection.execute(f"describe {ROLLUP}").fetchall()]:
            return
        connection.execute(f"drop table {ROLLUP}")
    connection.execute(f"create table {ROLLUP} as\n{sql}\nlimit 0")
    connection.execute(
        f"create or replace table {_MARKS} (created_date date, completions bigint, load_id varchar, basis varchar)"
    )


def _basis(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Changes with the SQL and the prices that make a cost out of the same completions."""
    digest = sha256(sql.encode())
    for model in models.models("marts"):
        if model.name == "completion_costs":
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
        " or marks.basis is distinct from ?",
        [basis],
    ).fetchall()
    return [row[0] for row in rows]


def _renew(connection: duckdb.DuckDBPyConnection, sql: str, basis: str, stale: Sequence[date | None]) -> None:
    inside = _inside(connection, stale)
    connection.execute(f"delete from {ROLLUP} where {inside}")
    connection.execute(f"insert into {ROLLUP} select * from (\n{sql}\n) where {inside}")
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
