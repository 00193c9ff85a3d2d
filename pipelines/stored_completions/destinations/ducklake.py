"""A dataset in a DuckLake: its catalog in SQLite or PostgreSQL, its rows as Parquet files in a folder or a bucket.

A package is one transaction of the catalog, so readers see all of it or nothing. Rows are never kept in the catalog
itself (`data_inlining_row_limit`), but DuckLake notes the least and the greatest text of each column there: what a purge
erased must not stay among them.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from urllib.parse import quote

import duckdb
import pyarrow as pa

from stored_completions import __version__, models
from stored_completions.checks import CheckResult, run_checks
from stored_completions.destinations import catalogs, extensions, through_dlt
from stored_completions.destinations.base import Standing, overtaken, short
from stored_completions.destinations.changes import Package, Part
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.texts import escaped
from stored_completions.errors import StoredCompletionsError, UsageError, WarehouseError
from stored_completions.tables import PUBLICATION, Table
from stored_completions.warehouse import transaction

LAKE = "lake"
"""What the lake is called in the connection."""
_ROWS_AT_ONCE = 20_000
_ARRIVING = "arriving"
_DENIED = (
    "password authentication failed",
    "no password supplied",
    "403",
    "access denied",
    "forbidden",
    "invalidaccesskeyid",
)


class DuckLake:
    """See `base.Destination`."""

    def __init__(self, chosen: Target) -> None:
        self._chosen, self._dataset = chosen, chosen.dataset
        self._dlt = through_dlt.client(chosen)
        credentials = self._dlt.config.credentials
        self._catalog = catalogs.of(self._dlt.config, chosen.dataset)
        self._secrets = _secrets(credentials)
        self.place = f"DuckLake {self._catalog.where}, dataset {self._dataset}"
        needed = ["ducklake", self._catalog.extension]
        self._loading = extensions.loading(
            *needed, *([] if credentials.storage.is_local_filesystem else ["httpfs"])
        )
        self._open: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        try:
            with ExitStack() as stack:
                with self._in_sentences():
                    stack.enter_context(self._catalog.locked())
                yield
        finally:
            self.close()

    def is_held(self) -> bool:
        with self._in_sentences():
            return self._catalog.is_held()

    def standing(self) -> Standing | None:
        with self._in_sentences():
            if not self._catalog.is_there() or self._is_missing(PUBLICATION):
                return None
            rows = self._rows(
                f"select generation, published_at, schema_version from {self._name(PUBLICATION)}"
            )
            return Standing(*rows[0]) if rows else None

    def prepare(self) -> None:
        from dlt.destinations.impl.duckdb.configuration import ConnStatement

        with self._in_sentences():
            if self._lacks_columns():
                pool = self._dlt.config.credentials.conn_pool
                pool.add_statements([ConnStatement(statement) for statement in self._loading])
                through_dlt.make_tables(self._dlt)
            options = self._rows(
                f"select value from ducklake_options('{LAKE}') where option_name = 'data_inlining_row_limit'"
                " and scope_entry = ?",
                self._dataset,
            )
            if options != [("0",)]:
                self._do(f"call {LAKE}.set_option('data_inlining_row_limit', 0, schema => '{self._dataset}')")
            self._make_views()

    def take(self, package: Package, old: Standing | None, new: Standing) -> None:
        with self._in_sentences(), transaction(self._connection()):
            self._stand_at(old, new)
            for part in package.parts:
                self._remove(package, part)
                for table in part.unit.tables:
                    if not package.is_empty(part.unit, table):
                        columns = [escaped(column) for column in table.columns]
                        self._append(table, package.rows(part.unit, table, columns))
            self._catalog.check()

    def read(self, table: Table) -> Iterator[pa.RecordBatch]:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        with self._in_sentences():
            found = self._connection().sql(f"select {columns} from {self._name(table)}")
            yield from found.to_arrow_reader(_ROWS_AT_ONCE)

    def checks(self) -> list[CheckResult]:
        with self._in_sentences():
            return run_checks(self._connection(), schemas=self._chosen.schemas)

    def erase_old(self) -> None:
        """Writes every table anew and forgets the old ones, with their files and what the catalog notes of them: older
        snapshots are gone then."""
        with self._in_sentences():
            for table in through_dlt.TABLES:
                self._write_anew(table)
            self._do(f"call ducklake_expire_snapshots('{LAKE}', older_than => now())")
            self._do(f"call ducklake_cleanup_old_files('{LAKE}', cleanup_all => true)")
            self._do(f"call ducklake_delete_orphaned_files('{LAKE}', cleanup_all => true)")
            self._detach()
            self._catalog.shrink()

    def close(self) -> None:
        self._detach()
        with suppress(Exception):
            self._catalog.close()

    def _make_views(self) -> None:
        """All there are, as they are here, unless this version made those that are there; what a sync keeps as tables of
        schema reports are views as well."""
        made_by = f"stored-completions {__version__}, {models.fingerprint()[:12]}"
        schemas = self._chosen.schemas
        views = models.as_views(schemas)
        wanted = {name: f"{view.description} ({made_by})" for view, name, _ in views}
        there = self._rows(
            "select concat(schema_name, '.', view_name), comment from duckdb_views() where database_name = ?",
            LAKE,
        )
        if wanted.items() <= dict(there).items():
            return
        with transaction(self._connection()):
            for schema in (schemas["reports"], schemas["marts"]):
                self._do(f'create schema if not exists {LAKE}."{schema}"')
            for _, name, sql in views:
                self._do(f"create or replace view {LAKE}.{name} as\n{sql}")
                self._do(f"comment on view {LAKE}.{name} is {models.quoted(wanted[name])}")

    def _stand_at(self, old: Standing | None, new: Standing) -> None:
        """Moves the dataset on, unless somebody else has meanwhile."""
        rows = self._rows(f"select generation from {self._name(PUBLICATION)}")
        if [row[0] for row in rows] != ([old.generation] if old else []):
            raise overtaken(self.place)
        self._do(f"delete from {self._name(PUBLICATION)}")
        self._do(
            f"insert into {self._name(PUBLICATION)} (generation, published_at, schema_version) values (?, ?, ?)",
            new.generation,
            new.published_at,
            new.schema_version,
        )

    def _remove(self, package: Package, part: Part) -> None:
        if part.unit.key is None:
            for table in part.unit.tables:
                self._do(f"delete from {self._name(table)}")
        elif part.replaced:
            keys = pa.table({"key": pa.array(package.keys(part.unit, replaced_only=True), pa.string())})
            self._connection().register(_ARRIVING, keys)
            for table in part.unit.tables:
                self._do(
                    f"delete from {self._name(table)} where {part.unit.key} in (select key from {_ARRIVING})"
                )
            self._connection().unregister(_ARRIVING)

    def _append(self, table: Table, rows: pa.RecordBatchReader) -> None:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        self._connection().register(_ARRIVING, rows)
        self._do(f"insert into {self._name(table)} ({names}) select * from {_ARRIVING}")
        self._connection().unregister(_ARRIVING)

    def _write_anew(self, table: Table) -> None:
        """The same rows in a table of its own, so that nothing noted of the old one goes on."""
        name = self._name(table)
        old = f'{LAKE}."{self._dataset}"."{table.name}_old"'
        columns = self._rows(f'select column_name, column_type, "null" from (describe {name})')
        defined = ", ".join(
            f'"{column}" {type_}{"" if null == "YES" else " not null"}' for column, type_, null in columns
        )
        with transaction(self._connection()):
            self._do(f'alter table {name} rename to "{table.name}_old"')
            self._do(f"create table {name} ({defined})")
            self._do(f"insert into {name} from {old}")
            self._do(f"drop table {old}")

    def _lacks_columns(self) -> bool:
        """Whether dlt is to make any: it connects anew for it, which costs more than to ask."""
        there = self._rows(
            "select table_name, column_name from duckdb_columns() where database_name = ? and schema_name = ?",
            LAKE,
            self._dataset,
        )
        wanted = {(table.name, column.name) for table in through_dlt.TABLES for column in table.columns}
        return not wanted <= set(there)

    def _is_missing(self, table: Table) -> bool:
        return not self._rows(
            "select 1 from duckdb_tables() where database_name = ? and schema_name = ? and table_name = ?",
            LAKE,
            self._dataset,
            table.name,
        )

    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._open is None:
            opened = duckdb.connect()
            attaching = [each["sql"] for each in self._dlt.sql_client.attach_statements(alias=LAKE)]
            try:
                for statement in (*self._loading, *attaching, "set TimeZone = 'UTC'", f"use {LAKE}"):
                    opened.execute(statement)
            except duckdb.Error:
                opened.close()
                raise
            self._open = opened
        return self._open

    def _detach(self) -> None:
        """Lets go of the lake as dlt does: a catalog that is merely closed may be left inconsistent."""
        if self._open is None:
            return
        for statement in ("rollback", "use memory", f"detach {LAKE}"):
            with suppress(duckdb.Error):
                self._open.execute(statement)
        self._open.close()
        self._open = None

    def _do(self, sql: str, *values: Any) -> None:
        self._connection().execute(sql, values)

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection().execute(sql, values).fetchall()

    def _name(self, table: Table) -> str:
        return f'{LAKE}."{self._dataset}"."{table.name}"'

    @contextmanager
    def _in_sentences(self) -> Iterator[None]:
        from dlt.common.destination.exceptions import DestinationException

        own: tuple[type[Exception], ...] = (duckdb.Error, DestinationException, OSError)
        try:
            yield
        except (*own, *catalogs.errors()) as error:
            self.close()
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> StoredCompletionsError:
        said = str(error)
        for secret in self._secrets:
            said = said.replace(secret, "***")
        text = short(said)
        if any(word in text.lower() for word in _DENIED):
            return UsageError(
                f"{self.place}: the catalog or the store does not accept the password or key ({text}). Set it in "
                f"[destination.ducklake.credentials] of .dlt/secrets.toml. What was synced is kept here."
            )
        return WarehouseError(
            f"{self.place} failed: {text}. What was synced is kept here, and the next sync ships what is behind."
        )


def _secrets(credentials: Any) -> list[str]:
    """What must not stand in a sentence, longest first."""
    password = getattr(credentials.catalog, "password", None) or ""
    store = credentials.storage.credentials
    key = getattr(store, "aws_secret_access_key", None) or ""
    found = {str(password), quote(str(password), safe=""), str(key)} - {""}
    return sorted(found, key=len, reverse=True)
