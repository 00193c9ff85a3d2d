"""Warehouses of older versions, as SQL text: how they were written down, and how they become files again.

`python tests/old.py VERSION` writes down what the program of this checkout makes of a small account:
to be run before SCHEMA_VERSION is raised, so that every version to come is held to this one's files.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from graphlib import TopologicalSorter
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from stored_completions.sandbox import Account

DATA = Path(__file__).parent / "data"
ORIGIN = "http://127.0.0.1:1/v1"
_RENEWED = ("chat.model_prices", "chat.model_price_rules")  # large, and written anew by every version
_FOUND = (
    "select schema_name || '.' || {0}_name, sql from duckdb_{0}s()"
    " where not internal and database_name = current_database() order by all"
)


def account(version: int) -> Account:
    """What the old warehouse was synced from."""
    found = Account()
    for line in (DATA / f"version_{version}.ndjson").read_bytes().splitlines():
        found.add(line)
    return found


def restore(version: int, path: Path, base_url: str) -> None:
    """Makes the file that the version left, as if it had been synced from `base_url`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (DATA / f"version_{version}.sql").read_text()
    config = {"storage_compatibility_version": "v1.4.0"}
    with closing(duckdb.connect(str(path), config=config)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(text)
        connection.execute("update chat.sources set base_url = ?", [base_url])


def written_down(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """The whole database as statements, each relation after those that it reads."""
    connection.execute("set TimeZone = 'UTC'")
    for schema in ("chat", "marts", "reports"):
        yield f"create schema {schema};"
    for name, sql in connection.execute(_FOUND.format("table")).fetchall():
        yield sql
        if name not in _RENEWED:
            for row in connection.execute(f"select columns(*)::varchar from {name}").fetchall():
                yield f"insert into {name} values ({', '.join(map(_literal, row))});"
    views = dict(connection.execute(_FOUND.format("view")).fetchall())
    reads = {name: set(re.findall(r"marts\.\w+", sql)) & views.keys() - {name} for name, sql in views.items()}
    for name in TopologicalSorter(reads).static_order():
        yield views[name]


def _literal(text: str | None) -> str:
    return "null" if text is None else "'" + text.replace("'", "''") + "'"


def main(version: str) -> None:
    from synced import NAME, serving, synced

    made = Account.generate(12, seed=1, per_second=1, logprob_share=0.2, tokens=3, top_logprobs=2)
    with TemporaryDirectory() as folder, serving(made) as sandbox:
        synced(sandbox, Path(folder), page_size=5)
        with closing(duckdb.connect(os.path.join(folder, NAME), read_only=True)) as connection:
            text = "\n".join(written_down(connection)).replace(sandbox.base_url, ORIGIN)
    DATA.mkdir(exist_ok=True)
    (DATA / f"version_{version}.sql").write_text(text + "\n")
    (DATA / f"version_{version}.ndjson").write_bytes(b"\n".join(row.body for row in made.rows().rows) + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])
