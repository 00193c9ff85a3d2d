"""CPU seconds of the reports on a warehouse generated in SQL: python -m bench.reports 10000000 [PATH]

What is measured is a process of its own, from its start to its last line, as `report` is used.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb

from stored_completions import definitions
from stored_completions.reports import rollup
from stored_completions.tables import BOOKKEEPING, BY_NAME, TABLES

_TWO_YEARS = 63_072_000
_ROWS = {
    "completions": """
select
    'chatcmpl-' || left(md5(i::varchar), 24) as completion_id,
    'load ' || (i // 1000000) as _dlt_load_id,
    to_timestamp(1735689600 + i * $span // $rows) as created_at,
    cast(created_at as date) as created_date,
    ['gpt-4o-mini-2024-07-18', 'gpt-4o-2024-08-06', 'gpt-5-2025-08-07', 'o3-mini-2025-01-31', 'gpt-4.1-2025-04-14',
        'nobody-knows'][1 + cast(hash(i) % 6 as bigint)] as model,
    [null, 'default', 'default', 'default', 'flex', 'priority'][1 + cast(hash(i + 1) % 6 as bigint)] as service_tier,
    'user ' || (hash(i) % 1000) as input_user,
    'default' as source
from range($rows) as numbers (i)
""",
    "usage": """
select
    completion_id, created_date, _dlt_load_id,
    100 + hash(completion_id) % 5000 as prompt_tokens,
    10 + hash(completion_id) % 800 as completion_tokens,
    prompt_tokens + completion_tokens as total_tokens,
    case when hash(completion_id) % 3 > 0 then hash(completion_id) % 90 end as cached_tokens
from chat.completions
""",
    "metadata": """
select completion_id, created_date, _dlt_load_id, 'team' as key, 'team ' || (hash(completion_id) % 20) as value
from chat.completions where hash(completion_id) % 10 < 8
""",
    "choices": """
select completion_id, 0 as choice_index, created_date, _dlt_load_id, 'stop' as finish_reason from chat.completions
""",
}
REPORTS = (
    ("costs", "--by", "day,model"),
    ("costs", "--by", "month,tier"),
    ("tokens", "--by", "week,model", "--top", "3"),
    ("costs", "--by", "day,model", "--since", "2026-11", "--until", "2026-11", "--timezone", "Europe/Berlin"),
    ("costs", "--by", "metadata:team", "--since", "2026-11", "--until", "2026-11"),
    ("costs", "--by", "metadata:team"),
    ("finish-reasons",),
)


def generate(path: Path, rows: int) -> None:
    """Writes completions of two years, with everything that a sync leaves beside them."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create schema chat")
        for table in (*TABLES, *BOOKKEEPING):
            connection.register("empty", table.schema.empty_table())
            connection.execute(f"create table chat.{table.name} as select * from empty")
        for name, sql in _ROWS.items():
            values = {"rows": rows, "span": _TWO_YEARS} if "$rows" in sql else {}
            connection.execute(f"insert into chat.{BY_NAME[name].name} by name {sql}", values)
        definitions.refresh(connection)
        connection.execute("checkpoint")
        newest = "created_date = (select max(created_date) from chat.completions)"
        for what, change in (
            ("costs of all days", "select 1"),
            ("of none", "select 1"),
            ("of one", f"delete from reports.daily_costs_marks where {newest}"),
        ):
            connection.execute(change)
            begin = time.process_time()
            days = rollup.refresh(connection)
            _line(time.process_time() - begin, f"{what} ({days:,})")


def cpu_seconds(command: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(rows: int, path: Path) -> None:
    if not path.exists():
        generate(path, rows)
    for arguments in REPORTS:
        command = [sys.executable, "-m", "stored_completions", "report", *arguments, "--warehouse", str(path)]
        _line(cpu_seconds(command), " ".join(["report", *arguments]))


def _line(seconds: float, what: str) -> None:
    os.write(1, f"{seconds:8.2f} CPU s  {what}\n".encode())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(folder, "generated.duckdb"))
