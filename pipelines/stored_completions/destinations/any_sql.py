"""A dataset in any SQL database that dlt loads into: rows go through a pipeline of dlt's, the rest is plain SQL.

A package is loaded into tables of its own, in dataset `DATASET_package`; then one row of `_package` announces it. From
that moment on it is there for good, whoever dies: whichever sync takes the lock next brings it to its end, which may be
repeated, for it deletes the package's keys from the tables and inserts its rows. Where the database has transactions
for that (dlt says which) readers see all of it or nothing; elsewhere one table can be ahead of another for a moment.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from stored_completions.destinations import through_dlt
from stored_completions.destinations.base import Standing, overtaken, short
from stored_completions.destinations.changes import Package
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.row_leases import LEASE, RowLease
from stored_completions.destinations.texts import EMPTY, escaped, is_text
from stored_completions.destinations.units import UNITS, Unit
from stored_completions.errors import StoredCompletionsError, WarehouseError
from stored_completions.loading import imported_dlt
from stored_completions.models import CheckResult
from stored_completions.tables import PUBLICATION, Column, Table

ANNOUNCED = Table(
    "_package",
    "The package that is staged in dataset DATASET_package and not yet in the tables.",
    (),
    (
        *PUBLICATION.columns,
        Column("parts", "text", "the units that it replaces, and which tables have rows of theirs, as JSON"),
    ),
)
KEYS = Table(
    "keys",
    "Keys of the units of a package.",
    (),
    (Column("unit", "text", "the kind of unit"), Column("key", "text", "its key")),
)
_ROWS_AT_ONCE = 20_000
_SECRETS = ("password", "token", "access_token", "private_key", "private_key_passphrase", "client_secret")


class AnySql:
    """See `base.Destination`; `folder` is where dlt may work, and is removed."""

    def __init__(self, chosen: Target, folder: Path | None = None) -> None:
        self._chosen, self._folder = chosen, folder
        self._dlt = through_dlt.client(chosen, (*through_dlt.TABLES, ANNOUNCED, LEASE))
        where = str(self._dlt.config).replace(":***", "")  # where dlt hides the password
        self.place = f"{where}, dataset {chosen.dataset}, through dlt"
        self._lease: RowLease | None = None
        self._stack = ExitStack()
        self._is_open = False

    @contextmanager
    def locked(self) -> Iterator[None]:
        try:
            with ExitStack() as stack:
                with self._in_sentences():
                    if not self._has(LEASE):
                        self._make_tables()
                    self._lease = RowLease(self._another, self.place)
                    stack.enter_context(self._lease.held())
                    self._finish()
                yield
        finally:
            self.close()

    def is_held(self) -> bool:
        with self._in_sentences():
            return self._has(LEASE) and RowLease(self._another, self.place).is_held()

    def standing(self) -> Standing | None:
        with self._in_sentences():
            return self._standing()

    def prepare(self) -> None:
        with self._in_sentences():
            self._make_tables()

    def take(self, package: Package, old: Standing | None, new: Standing) -> None:
        with self._in_sentences():
            if self._standing() != old:
                raise overtaken(self.place)
            parts = self._stage(package, is_first=old is None)
            assert self._lease is not None, "a package is taken under the lock"
            self._lease.check()
            self._insert(ANNOUNCED, new.generation, new.published_at, new.schema_version, json.dumps(parts))
            self._apply(parts, new, is_repeated=False)

    def read(self, table: Table) -> Iterator[pa.RecordBatch]:
        columns = ", ".join(map(self._quoted, table.columns))
        with (
            self._in_sentences(),
            self._sql.execute_query(f"SELECT {columns} FROM {self._name(table)}") as cursor,
        ):
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                arrays = [
                    pa.array([_value(row[at], column) for row in rows], field.type)
                    for at, (column, field) in enumerate(zip(table.columns, table.schema, strict=True))
                ]
                yield pa.record_batch(arrays, names=table.schema.names)

    def checks(self) -> list[CheckResult]:
        return []

    def erase_old(self) -> None:
        """Only where we know how: a service's own history (time travel) ends when it says."""
        if self._chosen.name == "postgres":
            with self._in_sentences():
                for table in through_dlt.TABLES:
                    self._sql.execute_sql(f"VACUUM FULL {self._name(table)}")

    def close(self) -> None:
        self._is_open = False
        self._stack.close()

    @property
    def _sql(self) -> Any:
        """dlt's SQL client, connected."""
        if not self._is_open:
            self._stack.enter_context(self._dlt)
            self._is_open = True
        return self._dlt.sql_client

    @contextmanager
    def _another(self) -> Iterator[Any]:
        """The same with a connection of its own."""
        with through_dlt.client(self._chosen, (LEASE,)) as other:
            yield other.sql_client

    def _make_tables(self) -> None:
        self.close()  # dlt opens and closes this client by itself
        through_dlt.make_tables(self._dlt)

    def _has(self, table: Table) -> bool:
        from dlt.destinations.exceptions import DatabaseUndefinedRelation

        try:
            return bool(self._sql.has_dataset() and self._dlt.get_storage_table(table.name)[0])
        except DatabaseUndefinedRelation:
            return False

    def _standing(self) -> Standing | None:
        if not self._has(PUBLICATION):
            return None
        found = self._standings(PUBLICATION)
        return found[-1][0] if found else None

    def _standings(self, table: Table) -> list[tuple[Standing, tuple[Any, ...]]]:
        """Rows of `publication` or `_package`, and what more they have, the last one written last."""
        columns = ", ".join(map(self._quoted, table.columns))
        rows = self._sql.execute_sql(f"SELECT {columns} FROM {self._name(table)}") or []
        found = []
        for generation, published_at, version, *more in rows:
            at = published_at if published_at.tzinfo else published_at.replace(tzinfo=UTC)
            found.append((Standing(generation, at.astimezone(UTC), int(version)), tuple(more)))
        return sorted(found, key=lambda each: each[0].published_at)

    def _stage(self, package: Package, *, is_first: bool) -> list[dict[str, Any]]:
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
        staged: dict[str, Table] = {KEYS.name: KEYS} | {
            name: _plain(table) for part in parts for name, table in _staged(part)
        }

        @dlt.resource(name="package")  # type: ignore[untyped-decorator]
        def rows() -> Iterator[Any]:
            for part in parts:
                unit = UNITS[part["unit"]]
                if unit.key is not None:
                    keys = package.keys(unit, replaced_only=False)
                    named = pa.table({"unit": [unit.name] * len(keys), "key": pa.array(keys, pa.string())})
                    yield dlt.mark.with_table_name(named, KEYS.name)
                for name, table in _staged(part):
                    columns = [self._sent(column) for column in table.columns]
                    schema = _plain(table).schema
                    for batch in package.rows(unit, table, columns):
                        arrays = [a.cast(f.type) for a, f in zip(batch.columns, schema, strict=True)]
                        nullable = pa.schema(field.with_nullable(True) for field in schema)
                        yield dlt.mark.with_table_name(pa.Table.from_arrays(arrays, schema=nullable), name)

        for name, table in staged.items():
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
            dataset_name=self._package,
        )
        try:
            with ThreadPoolExecutor(1, "load") as thread:
                thread.submit(pipeline.run, rows, loader_file_format=self._file_format).result()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _finish(self) -> None:
        """Brings a package to its end whose sync died after it was announced."""
        if not self._has(ANNOUNCED):
            return
        for standing, (parts,) in self._standings(ANNOUNCED):
            self._apply(json.loads(parts), standing, is_repeated=True)

    def _apply(self, parts: Sequence[dict[str, Any]], new: Standing, *, is_repeated: bool) -> None:
        with self._transaction():
            for part in parts:
                unit = UNITS[part["unit"]]
                staged = {table.name: name for name, table in _staged(part)}
                for table in unit.tables:
                    if part["clears"]:
                        self._delete(table)
                    elif part["replaces"] or is_repeated:
                        self._delete(table, unit)
                    if table.name in staged:
                        self._move(table, staged[table.name])
            self._delete(PUBLICATION)
            self._insert(PUBLICATION, new.generation, new.published_at, new.schema_version)
            self._delete(ANNOUNCED)
        with self._sql.with_alternative_dataset_name(self._package):
            self._sql.truncate_tables(KEYS.name, *(name for part in parts for name, _ in _staged(part)))

    def _delete(self, table: Table, unit: Unit | None = None) -> None:
        where = "1 = 1"  # which some want to hear
        if unit is not None:
            assert unit.key is not None, "units without keys are cleared as a whole"
            key = next(column for column in table.columns if column.name == unit.key)
            named, kind = (self._sql.escape_column_name(column.name) for column in reversed(KEYS.columns))
            keys = self._staged_name(KEYS.name)
            where = f"{self._quoted(key)} IN (SELECT {named} FROM {keys} WHERE {kind} = '{unit.name}')"
        self._sql.execute_sql(f"DELETE FROM {self._name(table)} WHERE {where}")

    def _move(self, table: Table, name: str) -> None:
        columns = ", ".join(map(self._quoted, table.columns))
        theirs = ", ".join(map(self._arrived, _plain(table).columns))
        self._sql.execute_sql(
            f"INSERT INTO {self._name(table)} ({columns}) SELECT {theirs} FROM {self._staged_name(name)}"
        )

    def _insert(self, table: Table, *values: Any) -> None:
        columns = ", ".join(map(self._quoted, table.columns))
        places = ", ".join(["%s"] * len(values))
        self._sql.execute_sql(f"INSERT INTO {self._name(table)} ({columns}) VALUES ({places})", *values)

    def _transaction(self) -> Any:
        """Of the database; none where dlt knows of none that has room for all of it."""
        has_them = self._dlt.capabilities.supports_ddl_transactions
        return self._sql.begin_transaction() if has_them else nullcontext()

    def _sent(self, column: Column) -> str:
        """DuckDB's SQL for the column as dlt can load it: in CSV bytes are written out, and an empty text would be NULL."""
        if column.type == "binary" and self._file_format == "csv":
            return f'encode(\'\\x\' || hex("{column.name}")) as "{column.name}"'
        return escaped(column, EMPTY if self._file_format == "csv" else "")

    def _arrived(self, column: Column) -> str:
        """The column of a staged table, as it was."""
        name = self._quoted(column)
        if self._file_format == "csv" and is_text(column):
            return f"CASE WHEN {name} = '{EMPTY}' THEN '' ELSE {name} END"
        return name

    @property
    def _file_format(self) -> str:
        """Of what dlt loads. Parquet for PostgreSQL it can only load with a driver installed beside Python's packages."""
        return "csv" if self._chosen.name == "postgres" else "parquet"

    @property
    def _package(self) -> str:
        return f"{self._chosen.dataset}_package"

    def _staged_name(self, name: str) -> str:
        with self._sql.with_alternative_dataset_name(self._package):
            return str(self._sql.make_qualified_table_name(name))

    def _name(self, table: Table) -> str:
        return str(self._sql.make_qualified_table_name(table.name))

    def _quoted(self, column: Column) -> str:
        return str(self._sql.escape_column_name(column.name))

    @contextmanager
    def _in_sentences(self) -> Iterator[None]:
        """The clients of a dozen services raise what they like; a person gets one sentence, without the password."""
        try:
            yield
        except StoredCompletionsError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> StoredCompletionsError:
        cause: BaseException = error
        while cause.__cause__ or cause.__context__:
            cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
        said = str(cause)
        credentials = self._dlt.config.credentials
        for name in _SECRETS:
            if secret := getattr(credentials, name, None):
                said = said.replace(str(secret), "***")
        return WarehouseError(
            f"{self.place} failed: {short(said)}. What was synced is kept here, and the next sync ships what is behind."
        )


def _plain(table: Table) -> Table:
    """The same with names of columns that dlt does not take for its own."""
    columns = tuple(
        Column(column.name.lstrip("_"), column.type, column.description) for column in table.columns
    )
    return Table(table.name, table.description, (), columns)


def _staged(part: dict[str, Any]) -> list[tuple[str, Table]]:
    """What the tables of a part that have rows are called while they are staged."""
    tables = UNITS[part["unit"]].tables
    return [
        (f"{part['unit'].strip('_')}_{table.name.strip('_')}", table)
        for table in tables
        if table.name in part["tables"]
    ]


def _value(value: Any, column: Column) -> Any:
    """As a client gives it, or nearly so, in the type that Arrow wants."""
    if value is None:
        return None
    if column.type == "bool":
        return bool(value)
    if column.type == "binary":
        return value.encode("latin-1") if isinstance(value, str) else bytes(value)
    if column.type in ("decimal", "money"):
        return Decimal(str(value))
    return value
