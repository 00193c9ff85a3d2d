"""Writes sql/README.md and sql/dbt/sources.yml anew, or says what the reference still lacks."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from reference import dbt, demo
from reference.page import page
from reference.relations import problems, relations
from stored_completions import query
from stored_completions.models import sql_folder


def main() -> None:
    with TemporaryDirectory() as folder, query.reading(demo.make(Path(folder))) as connection:
        lacking = problems(connection)
        (sql_folder() / "README.md").write_text(page(connection), encoding="utf-8")
        dbt.write(relations(connection))
    if lacking:
        sys.exit("\n".join(lacking))


main()
