"""What a new warehouse begins with: a copy of an empty one that comes with the package, with all tables and views.

To make it takes 25 views, as many tables and 600 comments, each a statement, and 0.4 CPU-seconds; DuckDB copies all of
it in 0.03. `blank.duckdb.gz` beside this file is renewed by `make blank`. It notes which SQL it is of, as each
warehouse does: one that were of another would be brought up to date before anything is published.
"""

import zlib
from pathlib import Path

import duckdb

from stored_completions.models import quoted

PATH = Path(__file__).with_name("blank.duckdb.gz")

_GZIP = 31  # zlib's name for a header and a checksum as gzip has them


def fill(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Gives a database that has no table those of an empty warehouse, all or none; unpacks them into `folder`."""
    if connection.execute("select 1 from duckdb_tables() limit 1").fetchone():
        return
    unpacked = folder / "blank.duckdb"
    unpacked.write_bytes(zlib.decompress(PATH.read_bytes(), _GZIP))
    [(name,)] = connection.execute("select current_database()").fetchall()
    here, there = _identifier(name), _identifier(f"{name} blank")
    connection.execute(f"attach {quoted(str(unpacked))} as {there} (read_only)")
    connection.execute(f"copy from database {there} to {here}")
    connection.execute(f"detach {there}")
    unpacked.unlink()


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
