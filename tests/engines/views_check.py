"""`python views_check.py [ENGINE...]`: every portable view and check on other engines, its rows compared with DuckDB's.

Prints the matrix: rows, and the seconds that the engine took. A row that differs is shown, and the exit code is 1.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import everything
from elsewhere import ENGINES, Rows, Select

from stored_completions import models, portable


def main(names: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ["TZ"] = "UTC"
    time.tzset()
    with TemporaryDirectory(prefix="views-") as folder, ExitStack() as stack:
        warehouse = stack.enter_context(duckdb.connect(everything.make(Path(folder)), read_only=True))
        warehouse.execute("set TimeZone = 'UTC'")
        cells: dict[str, dict[str, str]] = {}
        problems: list[str] = []
        for engine in names or ENGINES:
            with ENGINES[engine](warehouse) as select:
                for name, sql, theirs in _questions(engine):
                    wanted = _in_order(warehouse.sql(sql).fetchall())
                    found, took = _asked(select, theirs)
                    cells.setdefault(name, {"DuckDB": f"{len(wanted):,} rows"})[engine] = (
                        f"equal, {took:.2f} s" if found == wanted else "DIFFERS"
                    )
                    problems += [f"{engine}, {name}: {each}" for each in _differences(wanted, found)]
    _print(cells)
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


def _questions(engine: str) -> Iterator[tuple[str, str, str]]:
    """Name, DuckDB's select and the engine's, of each view and then each check."""
    for relation, _ in portable.views(engine):
        yield relation, f"select * from {relation}", f"select * from {relation}"
    for check, sql in portable.checks(engine):
        yield f"checks.{check.name}", check.sql, sql


def _asked(select: Select, sql: str) -> tuple[Rows, float]:
    began = time.monotonic()
    rows = select(sql)
    return _in_order(rows), time.monotonic() - began


def _in_order(rows: Rows) -> Rows:
    alike = [tuple(map(_alike, row)) for row in rows]
    return sorted(alike, key=lambda row: [(value is None, str(value)) for value in row])


def _alike(value: Any) -> Any:
    """The same value from any client: whole decimals as int, times as UTC without saying so."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value.normalize()
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _differences(wanted: Rows, found: Rows) -> list[str]:
    """The first row that differs, if one does."""
    for ours, theirs in zip_longest(wanted, found):
        if ours != theirs:
            return [f"DuckDB has {len(wanted)} rows, it {len(found)}; {ours} is {theirs}"]
    return []


def _print(cells: dict[str, dict[str, str]]) -> None:
    heads = ["DuckDB", *ENGINES]
    width = max(map(len, cells))
    print(f"{'':{width}}", *(f"{head:>16}" for head in heads))  # noqa: T201
    for name, row in cells.items():
        print(f"{name:{width}}", *(f"{row.get(head, '-'):>16}" for head in heads))  # noqa: T201
    views = [name for name in cells if name.startswith("marts.")]
    left = sum(not view.is_portable for view in models.models("marts"))
    print(f"{len(views)} views and {len(cells) - len(views)} checks; {left} views are DuckDB's.")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
