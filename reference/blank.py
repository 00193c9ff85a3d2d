"""Writes the empty warehouse that comes with the package anew, from tables and views as they are."""

import contextlib
import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

from stored_completions import blank, definitions, models, schema, store, warehouse


def make(path: Path) -> None:
    """The empty warehouse: all that no completion, no price and no setting changes."""
    with contextlib.closing(warehouse.connect(path, read_only=False)) as connection:
        store.create_own_tables(connection)
        with warehouse.transaction(connection):
            schema.create_missing(connection)
            models.create_views(connection)
            models.comment_tables(connection)
            definitions.note(connection, definitions.of_program())


def main() -> None:
    with TemporaryDirectory() as folder:
        made = Path(folder) / "blank.duckdb"
        make(made)
        blank.PATH.write_bytes(gzip.compress(made.read_bytes(), mtime=0))


if __name__ == "__main__":
    main()
