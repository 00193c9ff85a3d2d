"""The data tests under `sql/checks/`: each is a select of rows that should not be there."""

from collections.abc import Mapping
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from stored_completions import models
from stored_completions.models import Model

SAMPLE = 5
"""Failing rows of a check that are shown."""


@dataclass(frozen=True)
class CheckResult:
    """How one check went; `sample` holds a few of the failing rows, by column."""

    name: str
    description: str
    failing_rows: int
    sample: tuple[dict[str, object], ...]


def run_checks(
    connection: DuckDBPyConnection, sample_size: int = SAMPLE, schemas: Mapping[str, str] = models.HERE
) -> list[CheckResult]:
    """Runs every data test."""
    return [run_check(connection, check, sample_size, schemas) for check in models.models("checks")]


def run_check(
    connection: DuckDBPyConnection,
    check: Model,
    sample_size: int = SAMPLE,
    schemas: Mapping[str, str] = models.HERE,
) -> CheckResult:
    """Runs one; failing rows are counted where they are, only the sample is fetched.

    `schemas` says what chat and marts are called there.
    """
    sql = models.in_schemas(check.sql, schemas)
    failing_rows = models.count(connection, sql)
    sample = _rows(connection, f"select * from (\n{sql}\n) limit {sample_size}") if failing_rows else ()
    return CheckResult(check.name, check.description, failing_rows, tuple(sample))


def _rows(connection: DuckDBPyConnection, sql: str) -> list[dict[str, object]]:
    names = models.column_names(connection, sql)
    return [dict(zip(names, row, strict=True)) for row in connection.execute(sql).fetchall()]
