"""Every row of a warehouse a thousand times, a day older each time, published as a sync would. WAREHOUSE."""

import sys
from pathlib import Path

from stored_completions import warehouse
from stored_completions.publishing import publish
from stored_completions.reports import rollup
from stored_completions.tables import TABLES

files = warehouse.Files(Path(sys.argv[1]))
connection = warehouse.connect(files.working, read_only=False)
for table in TABLES:
    if "completion_id" in table.key:
        older = ["completion_id || '-' || days as completion_id", "created_date - days as created_date"]
        if table.name == "completions":
            older.append("created_at - to_days(days) as created_at")
        connection.execute(
            f"insert into chat.{table.name} by name select rows.* replace ({', '.join(older)})"
            f" from range(1, 1000) as numbers (number), chat.{table.name} as rows,"
            " lateral (select cast(number as integer) as days) order by number desc"
        )
rollup.refresh(connection)
publish(files, connection)
connection.close()
