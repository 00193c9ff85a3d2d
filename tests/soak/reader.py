"""`python -m soak.reader WAREHOUSE PAUSE`: an analyst who opens the published copy and asks, again and again, with a pause
of so many seconds.

Every state seen must be a whole one: no orphan, nothing doubled, metadata as their completion has it, and
views and day sums that know the same completions. SIGTERM ends it; then it prints what it saw.
"""

import json
import signal
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

CHILDREN = ("choices", "tool_calls", "annotations", "logprobs", "top_logprobs", "usage", "metadata")
_CHILD = (
    "(select count(*) from chat.{0} as child left join chat.completions using (completion_id)"
    " where child._dlt_load_id is distinct from completions._dlt_load_id)"
)
WHOLE = f"""
select
    count(*) as completions,
    count(*) - count(distinct completion_id) as doubled,
    {" + ".join(_CHILD.format(name) for name in CHILDREN)} as torn,
    (
        select count(*) from chat.completions as completion
        where list_sort(coalesce(json_keys(nullif(metadata, 'null')), [])) is distinct from (
            select coalesce(list_sort(list(key)), []) from chat.metadata
            where metadata.completion_id = completion.completion_id
        )
    ) as stale_metadata,
    (select count(*) from marts.completions_wide) - count(*) as missing_in_view,
    (select coalesce(sum(completions), 0) from reports.daily_costs) - count(*) as missing_in_days
from chat.completions
"""
_AGAIN = 2


def problems(connection: duckdb.DuckDBPyConnection) -> tuple[int, dict[str, int]]:
    """The number of completions, and what is wrong with this state."""
    result = connection.execute(WHOLE)
    names = [column[0] for column in result.description]
    found = dict(zip(names, result.fetchall()[0], strict=True))
    completions = found.pop("completions")
    return completions, {name: int(count) for name, count in found.items() if count}


def look(path: Path, tally: dict[str, Any]) -> None:
    """Opens the copy, asks several times while it is open, and must get the same answer each time."""
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        answers = [problems(connection) for _ in range(_AGAIN)]
    tally["queries"] += _AGAIN
    tally["states"].add(answers[0][0])
    if answers[0][1] or answers.count(answers[0]) != _AGAIN:
        tally["errors"].append(f"not whole, or not the same twice: {answers}")


def main(path: Path, pause: float) -> None:
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    tally: dict[str, Any] = {"queries": 0, "errors": [], "states": set()}
    while not over:
        try:
            look(path, tally)
        except duckdb.Error as error:
            if "database does not exist" not in str(error):
                tally["errors"].append(f"{type(error).__name__}: {error}")
        time.sleep(pause)
    print(json.dumps(tally | {"states": len(tally["states"]), "errors": tally["errors"][:20]}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
