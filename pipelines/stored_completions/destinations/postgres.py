"""A dataset in PostgreSQL: one connection holds the advisory lock and takes each package in one transaction.

So whoever has lost the lock cannot commit either: its connection is gone with it. Rows go in and out
as Arrow over COPY, in bounded memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from stored_completions import __version__, models, portable
from stored_completions.checks import SAMPLE, CheckResult
from stored_completions.destinations import locks, through_dlt
from stored_completions.destinations.base import Standing, overtaken, short
from stored_completions.destinations.changes import Package, Part
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.texts import escaped
from stored_completions.errors import StoredCompletionsError, UsageError, WarehouseError
from stored_completions.models import Model
from stored_completions.tables import PUBLICATION, Table

_PASSWORD = ("28P01", "28000")
_NO_DATABASE = "3D000"
_DENIED = "42501"
_DEPENDED_ON = "2BP01"


class Postgres:
    """See `base.Destination`."""

    def __init__(self, chosen: Target) -> None:
        self._chosen, self._dataset, self._marts = chosen, chosen.dataset, chosen.marts
        self._dlt = through_dlt.client(chosen)
        credentials = self._dlt.config.credentials
        self._where = f"{credentials.host}:{credentials.port}/{credentials.database}"
        self.place = f"postgres {self._where}, dataset {self._dataset}"
        self._uri = credentials.to_native_representation()
        self._lock = locks.Advisory(self._connection, self._dataset, self.place)
        self._open: Any = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        try:
            with self._in_sentences():
                self._lock.take()
            yield
        finally:
            self.close()

    def is_held(self) -> bool:
        with self._in_sentences():
            return self._lock.is_held()

    def standing(self) -> Standing | None:
        with self._in_sentences():
            if self._is_missing(PUBLICATION):
                return None
            rows = self._rows(
                f"select generation, published_at, schema_version from {self._name(PUBLICATION)}"
            )
            return Standing(*rows[0]) if rows else None

    def prepare(self) -> None:
        with self._in_sentences():
            through_dlt.make_tables(self._dlt)
            for table in through_dlt.TABLES:
                if "completion_id" in table.key:
                    name = f'"{table.name}_completion_id"'
                    self._do(f"create index if not exists {name} on {self._name(table)} (completion_id)")
            self._connection().commit()
            self._make_views()

    def take(self, package: Package, old: Standing | None, new: Standing) -> None:
        with self._in_sentences():
            self._stand_at(old, new)
            for part in package.parts:
                self._replace(package, part)
            self._connection().commit()

    def read(self, table: Table) -> Iterator[pa.RecordBatch]:
        columns = ", ".join(
            f'"{column.name}"::text' if column.type in ("decimal", "money") else f'"{column.name}"'
            for column in table.columns
        )
        with self._in_sentences(), self._connection().cursor() as cursor:
            cursor.execute(f"select {columns} from {self._name(table)}")
            yield from cursor.fetch_record_batch()
            self._connection().commit()

    def checks(self) -> list[CheckResult]:
        with self._in_sentences():
            found = [
                self._check(check, sql) for check, sql in portable.checks("postgres", self._chosen.schemas)
            ]
            self._connection().commit()
            return found

    def erase_old(self) -> None:
        with self._in_sentences():
            connection = self._connection()
            connection.commit()
            connection.adbc_connection.set_autocommit(True)
            for table in through_dlt.TABLES:
                self._do(f"vacuum full {self._name(table)}")
            connection.adbc_connection.set_autocommit(False)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _make_views(self) -> None:
        """Makes those of schema marts that this program did not make there yet.

        Views of other people's that stand on them are left alone: where a column is gone they are in the way, and
        PostgreSQL says so.
        """
        schema = self._marts
        made_of = f"stored-completions {__version__} {models.fingerprint()}"
        noted = self._rows("select obj_description(to_regnamespace($1), 'pg_namespace')", f'"{schema}"')
        there = self._rows("select table_name from information_schema.views where table_schema = $1", schema)
        if noted == [(made_of,)] and portable.names() <= {row[0] for row in there}:
            return
        views = portable.views("postgres", self._chosen.schemas)
        self._do(f'create schema if not exists "{schema}"')
        for name, _ in reversed(views):
            self._do(f"drop view if exists {name}")
        for name, sql in views:
            self._do(f"create view {name} as {sql}")
        self._do(f"comment on schema \"{schema}\" is '{made_of}'")
        self._connection().commit()

    def _check(self, check: Model, sql: str) -> CheckResult:
        failing = int(self._one(f"select count(*) from (\n{sql}\n) as failing"))
        with self._connection().cursor() as cursor:
            cursor.execute(f"select * from (\n{sql}\n) as failing limit {SAMPLE}")
            names = [column[0] for column in cursor.description]
            sample = tuple(dict(zip(names, row, strict=True)) for row in cursor.fetchall())
        return CheckResult(check.name, check.description, failing, sample)

    def _stand_at(self, old: Standing | None, new: Standing) -> None:
        """Moves the dataset on, unless somebody else has meanwhile."""
        rows = self._rows(f"select generation from {self._name(PUBLICATION)} for update")
        if [row[0] for row in rows] != ([old.generation] if old else []):
            raise overtaken(self.place)
        self._do(f"delete from {self._name(PUBLICATION)}")
        self._do(
            f"insert into {self._name(PUBLICATION)} (generation, published_at, schema_version) values ($1, $2::text::timestamptz, $3)",
            new.generation,
            new.published_at.isoformat(),
            new.schema_version,
        )

    def _replace(self, package: Package, part: Part) -> None:
        if part.unit.key is None:
            for table in part.unit.tables:
                self._do(f"delete from {self._name(table)}")
        elif part.replaced:
            self._do("create temporary table replaced_keys (key varchar) on commit drop")
            keys = pa.table({"key": package.keys(part.unit, replaced_only=True)})
            self._ingest("replaced_keys", keys, temporary=True)
            self._do("analyze replaced_keys")
            for table in part.unit.tables:
                self._do(
                    f"delete from {self._name(table)} where {part.unit.key} in (select key from replaced_keys)"
                )
            self._do("drop table replaced_keys")
        for table in part.unit.tables:
            if not package.is_empty(part.unit, table):
                rows = package.rows(part.unit, table, [escaped(column) for column in table.columns])
                self._ingest(table.name, rows, db_schema_name=self._dataset)

    def _ingest(self, name: str, rows: Any, **how: Any) -> None:
        with self._connection().cursor() as cursor:
            cursor.adbc_ingest(name, rows, mode="append", **how)

    def _is_missing(self, table: Table) -> bool:
        return not self._one(
            "select count(*) from information_schema.tables where table_schema = $1 and table_name = $2",
            self._dataset,
            table.name,
        )

    def _connection(self) -> Any:
        if self._open is None:
            from adbc_driver_postgresql import dbapi

            self._open = dbapi.connect(self._uri)
        return self._open

    def _do(self, sql: str, *values: Any) -> None:
        with self._connection().cursor() as cursor:
            cursor.execute(sql, values or None)

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._connection().cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def _one(self, sql: str, *values: Any) -> Any:
        return self._rows(sql, *values)[0][0]

    def _name(self, table: Table) -> str:
        return f'"{self._dataset}"."{table.name}"'

    @contextmanager
    def _in_sentences(self) -> Iterator[None]:
        from adbc_driver_manager import dbapi
        from dlt.destinations.exceptions import DatabaseException

        try:
            yield
        except (dbapi.Error, DatabaseException) as error:
            self.close()
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> StoredCompletionsError:
        state, text = getattr(error, "sqlstate", None), str(error)
        if state in _PASSWORD or ("password" in text and "failed" in text) or "no password supplied" in text:
            return UsageError(
                f"{self._where} (postgres) does not accept the user or the password: set username and password in "
                f"[destination.postgres.credentials] of .dlt/secrets.toml. What was synced is kept here."
            )
        if state == _NO_DATABASE or ("database" in text and "does not exist" in text):
            return UsageError(
                f"{self._where} (postgres): there is no such database. Create it, or name another in "
                f"[destination.postgres.credentials]. What was synced is kept here."
            )
        if state == _DENIED or "permission denied" in text:
            return UsageError(
                f"{self.place}: the user may not write there ({short(text)}). Grant it the schema, or create on the "
                f"database. What was synced is kept here."
            )
        if state == _DEPENDED_ON or "other objects depend on it" in text:
            return WarehouseError(
                f"{self.place}: views of yours stand on views of schema {self._marts}, which are to be made anew "
                f"({short(text)}). Drop yours, sync, and make them again. What was synced is kept here."
            )
        return WarehouseError(
            f"{self.place} failed: {short(text)}. What was synced is kept here, and the next sync ships what is behind."
        )
