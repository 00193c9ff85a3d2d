"""Rows of each table of schema chat in a DuckDB file but dlt's own, as one JSON object. WAREHOUSE."""

import json
import sys

import duckdb

with duckdb.connect(sys.argv[1], read_only=True) as connection:
    names = connection.execute(
        "select table_name from duckdb_tables() where schema_name = 'chat' and table_name not like '\\_dlt%' escape '\\'"
    ).fetchall()
    counts = {
        name: connection.execute(f'select count(*) from chat."{name}"').fetchall()[0][0] for (name,) in names
    }
print(json.dumps(counts))  # noqa: T201
