"""A package on its way through dlt: a pipeline of its own loads it into tables beside the dataset's.

Their names are those of unit and table, and what was in them is replaced.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa

from stored_completions.destinations import through_dlt
from stored_completions.destinations.changes import Package
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.texts import EMPTY, escaped, is_text
from stored_completions.destinations.units import UNITS
from stored_completions.dlt_setup import imported_dlt
from stored_completions.tables import Column, Table

KEYS = Table(
    "keys",
    "Keys of the units of a package.",
    (),
    (Column("unit", "text", "the kind of unit"), Column("key", "text", "its key")),
)


class Staging:
    """`folder` is where dlt may work, and is removed; only who stages must name one."""

    def __init__(self, chosen: Target, folder: Path | None) -> None:
        self._chosen, self._folder = chosen, folder
        self.dataset = f"{chosen.dataset}_package"

    def stage(self, package: Package, *, is_first: bool) -> list[dict[str, Any]]:
        """Loads the package's rows and keys, by dlt; what is to be done with them."""
        parts: list[dict[str, Any]] = [
            {
                "unit": part.unit.name,
                "tables": [t.name for t in part.unit.tables if not package.is_empty(part.unit, t)],
                "replaces": bool(part.replaced),
                "clears": is_first or part.unit.key is None,
            }
            for part in package.parts
        ]
        dlt = imported_dlt()
        tables: dict[str, Table] = {KEYS.name: KEYS} | {
            name: plain(table) for part in parts for name, table in staged(part)
        }

        @dlt.resource(name="package")  # type: ignore[untyped-decorator]
        def rows() -> Iterator[Any]:
            yield dlt.mark.with_table_name(_keys(package), KEYS.name)
            for part in parts:
                unit = UNITS[part["unit"]]
                for name, table in staged(part):
                    columns = [self._sent(column) for column in table.columns]
                    schema = plain(table).schema
                    for batch in package.rows(unit, table, columns):
                        arrays = [a.cast(f.type) for a, f in zip(batch.columns, schema, strict=True)]
                        nullable = pa.schema(field.with_nullable(True) for field in schema)
                        yield dlt.mark.with_table_name(pa.Table.from_arrays(arrays, schema=nullable), name)

        for name, table in tables.items():
            rows.apply_hints(
                table_name=name,
                columns=through_dlt.hints(table),
                write_disposition="replace",
                create_table_variant=True,
            )
        self._load(dlt, rows)
        return parts

    def _load(self, dlt: Any, rows: Any) -> None:
        """In a thread of its own, since dlt takes over the signals of the main thread."""
        assert self._folder is not None, "who ships says where dlt may work"
        shutil.rmtree(self._folder, ignore_errors=True)
        pipeline = dlt.pipeline(
            "stored_completions_package",
            pipelines_dir=str(self._folder),
            destination=getattr(dlt.destinations, self._chosen.name)(),
            dataset_name=self.dataset,
        )
        try:
            with ThreadPoolExecutor(1, "load") as thread:
                thread.submit(pipeline.run, rows, loader_file_format=self._file_format).result()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def arrived(self, column: Column, name: str) -> str:
        """SQL for the column of a staged table as it was; `name` is it as that database quotes it."""
        if self._file_format == "csv" and is_text(column):
            return f"CASE WHEN {name} = '{EMPTY}' THEN '' ELSE {name} END"
        return name

    def _sent(self, column: Column) -> str:
        """DuckDB's SQL for the column as dlt can load it: in CSV bytes are written out, and an empty text would be NULL."""
        if column.type == "binary" and self._file_format == "csv":
            return f'encode(\'\\x\' || hex("{column.name}")) as "{column.name}"'
        return escaped(column, EMPTY if self._file_format == "csv" else "")

    @property
    def _file_format(self) -> str:
        """Of what dlt loads. Parquet for PostgreSQL it can only load with a driver installed beside Python's packages."""
        return "csv" if self._chosen.name == "postgres" else "parquet"


def _keys(package: Package) -> pa.Table:
    """Of every unit that is not a table as a whole; a package without such has none."""
    units = [part.unit for part in package.parts if part.unit.key is not None]
    named = [(unit.name, key) for unit in units for key in package.keys(unit, replaced_only=False)]
    return pa.table(
        {
            column.name: pa.array([row[at] for row in named], pa.string())
            for at, column in enumerate(KEYS.columns)
        }
    )


def plain(table: Table) -> Table:
    """The same with names of columns that dlt does not take for its own."""
    columns = tuple(
        Column(column.name.lstrip("_"), column.type, column.description) for column in table.columns
    )
    return Table(table.name, table.description, (), columns)


def staged(part: dict[str, Any]) -> list[tuple[str, Table]]:
    """What the tables of a part that have rows are called while they are staged."""
    tables = UNITS[part["unit"]].tables
    return [
        (f"{part['unit'].strip('_')}_{table.name.strip('_')}", table)
        for table in tables
        if table.name in part["tables"]
    ]
