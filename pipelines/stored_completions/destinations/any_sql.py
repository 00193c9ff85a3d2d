"""A dataset in any SQL database that dlt loads into: rows go through a pipeline of dlt's, the rest is plain SQL.

A package is loaded into tables of its own, in dataset `DATASET_package`; then one row of `_package` announces it. From
that moment on it is there for good, whoever dies: whichever sync takes the lock next brings it to its end, which may be
repeated, for it deletes the package's keys from the tables and inserts its rows. Where the database has transactions
for that (dlt says which) readers see all of it or nothing; elsewhere one table can be ahead of another for a moment.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from stored_completions.checks import CheckResult
from stored_completions.destinations import through_dlt
from stored_completions.destinations.base import Standing, overtaken, short
from stored_completions.destinations.changes import Package
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.row_leases import LEASE, RowLease
from stored_completions.destinations.staging import KEYS, Staging, plain, staged
from stored_completions.destinations.units import UNITS, Unit
from stored_completions.errors import StoredCompletionsError, WarehouseError
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
_ROWS_AT_ONCE = 20_000
_TRIES = 4  # to make tables that others are making, half a second apart
_SECRETS = ("password", "token", "access_token", "private_key", "private_key_passphrase", "client_secret")


class AnySql:
    """See `base.Destination`; `folder` is where dlt may work, and is removed."""

    def __init__(self, chosen: Target, folder: Path | None = None) -> None:
        self._chosen = chosen
        self._staging = Staging(chosen, folder)
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
                    self._begin()
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
            parts = self._staging.stage(package, is_first=old is None)
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

    def _begin(self) -> None:
        """Makes the tables of a new dataset; of those who do so at once, all but one fail, and find them made then."""
        from dlt.destinations.exceptions import DatabaseException

        for left in reversed(range(_TRIES)):
            if self._has(LEASE):
                return
            try:
                return self._make_tables()
            except DatabaseException:
                if not left:
                    raise
                self.close()
                time.sleep(0.5)

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
                names = {table.name: name for name, table in staged(part)}
                for table in unit.tables:
                    if part["clears"]:
                        self._delete(table)
                    elif part["replaces"] or is_repeated:
                        self._delete(table, unit)
                    if table.name in names:
                        self._move(table, names[table.name])
            self._delete(PUBLICATION)
            self._insert(PUBLICATION, new.generation, new.published_at, new.schema_version)
            self._delete(ANNOUNCED)
        with self._sql.with_alternative_dataset_name(self._staging.dataset):
            self._sql.truncate_tables(KEYS.name, *(name for part in parts for name, _ in staged(part)))

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
        theirs = ", ".join(
            self._staging.arrived(column, self._quoted(column)) for column in plain(table).columns
        )
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

    def _staged_name(self, name: str) -> str:
        with self._sql.with_alternative_dataset_name(self._staging.dataset):
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
