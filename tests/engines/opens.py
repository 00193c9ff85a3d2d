"""`python opens.py WAREHOUSE`: reads all of a published copy with whatever DuckDB this Python has, and nothing else.

For the DuckDB versions of analysts, which are older than ours: every table, every view and every data
test is asked for every value of every row.
"""

import sys
from pathlib import Path

import duckdb

CHECKS = Path(__file__).resolve().parents[2] / "sql" / "checks"
RELATIONS = (
    "select schema_name || '.' || table_name from duckdb_tables() where not internal"
    " union all select schema_name || '.' || view_name from duckdb_views() where not internal order by 1"
)


def main(path: str) -> int:
    failing = []
    with duckdb.connect(path, read_only=True) as connection:
        names = [name for (name,) in connection.execute(RELATIONS).fetchall()]
        rows = {
            name: len(connection.execute(f"select columns(*)::varchar from {name}").fetchall())
            for name in names
        }
        for check in sorted(CHECKS.glob("*.sql")):
            if connection.execute(check.read_text()).fetchall():
                failing.append(check.name)
    empty = [
        name
        for name in ("chat.completions", "chat.top_logprobs", "marts.completion_costs")
        if not rows.get(name)
    ]
    version = f"DuckDB {duckdb.__version__}"
    print(f"{version} read {len(rows)} tables and views, {sum(rows.values()):,} rows, of {path}")  # noqa: T201
    for problem in (
        *(f"{name} is empty or missing" for name in empty),
        *(f"{name} fails" for name in failing),
    ):
        print(f"{version}: {problem}", file=sys.stderr)  # noqa: T201
    return 1 if empty or failing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
