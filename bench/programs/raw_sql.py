"""The floor: the same pages from a local file into the same tables, by DuckDB alone. FILE WAREHOUSE."""

import sys
from pathlib import Path

import duckdb

ndjson, warehouse = sys.argv[1:]

with duckdb.connect(warehouse) as connection:
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(f"set variable ndjson = '{ndjson}'")
    connection.execute(Path(__file__).with_name("raw.sql").read_text())
