"""Writes sql/README.md anew, or says what the reference still lacks."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from reference import demo
from reference.page import page
from reference.relations import problems
from stored_completions import query
from stored_completions.models import sql_folder


def main() -> None:
    with TemporaryDirectory() as folder, query.reading(demo.make(Path(folder))) as connection:
        lacking = problems(connection)
        (sql_folder() / "README.md").write_text(page(connection), encoding="utf-8")
    if lacking:
        sys.exit("\n".join(lacking))


main()
