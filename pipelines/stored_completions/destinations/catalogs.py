"""Where a lake's catalog is kept, SQLite or PostgreSQL: its lock, and what old rows leave there.

The catalog is what writers share, whatever folder or bucket the rows are in. So its lock is the dataset's.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from stored_completions.destinations import locks
from stored_completions.errors import UsageError


class Catalog(Protocol):
    """`where` names it, with no secret in it; `extension` is DuckDB's for it."""

    where: str
    extension: str

    def locked(self) -> Any: ...

    def is_held(self) -> bool: ...

    def is_there(self) -> bool:
        """Whether there is a lake in it; looking makes none."""

    def check(self) -> None:
        """That the lock is held still."""

    def shrink(self) -> None:
        """Lets go of what deleted rows of the catalog occupy."""

    def close(self) -> None: ...


class Sqlite:
    """A file of this machine, with a file's lock beside it."""

    extension = "sqlite_scanner"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.where = str(path)
        self._lock_file = path.with_name(f"{path.name}.lock")

    def locked(self) -> Any:
        return locks.beside(self._lock_file, f"the lake of {self.where}")

    def is_held(self) -> bool:
        return self._lock_file.exists() and locks.is_held(self.locked)

    def is_there(self) -> bool:
        return self._path.exists()

    def check(self) -> None:
        pass

    def shrink(self) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")

    def close(self) -> None:
        pass


class InPostgres:
    """A schema of a database, with an advisory lock of it, held by a connection of its own."""

    extension = "postgres_scanner"

    def __init__(self, credentials: Any, schema: str, dataset: str) -> None:
        if locks.lacks_adbc():
            raise UsageError(
                "destination ducklake with a catalog in PostgreSQL needs adbc_driver_postgresql, which is not "
                "installed: pip install 'stored-completions[ducklake,postgres]'"
            )
        self._uri = credentials.to_native_representation()
        self._schema = schema
        self.where = f"{credentials.host}:{credentials.port}/{credentials.database}#{schema}"
        self._lock = locks.Advisory(self._connection, f"{schema} {dataset}", f"the lake of {self.where}")
        self._open: Any = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        self._lock.take()
        yield

    def is_held(self) -> bool:
        return self._lock.is_held()

    def is_there(self) -> bool:
        found = self._rows("select to_regclass($1) is not null", f'"{self._schema}".ducklake_metadata')
        return bool(found[0][0])

    def check(self) -> None:
        self._rows("select 1")

    def shrink(self) -> None:
        tables = self._rows("select tablename from pg_tables where schemaname = $1", self._schema)
        connection = self._connection()
        connection.commit()
        connection.adbc_connection.set_autocommit(True)
        with connection.cursor() as cursor:
            for (table,) in tables:
                cursor.execute(f'vacuum full "{self._schema}"."{table}"')
        connection.adbc_connection.set_autocommit(False)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _connection(self) -> Any:
        if self._open is None:
            from adbc_driver_postgresql import dbapi

            self._open = dbapi.connect(self._uri)
        return self._open

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._connection().cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())


def of(config: Any, dataset: str) -> Catalog:
    """The catalog that dlt's settings name; UsageError for one that two writers cannot share, or that was not named."""
    credentials = config.credentials
    kept = credentials.catalog
    if kept.drivername == "sqlite":
        path = Path(kept.database).absolute()
        if path == Path.cwd() / f"{credentials.ducklake_name}.sqlite":
            raise _unnamed("catalog", "ducklake.sqlite", "catalog = 'sqlite:////srv/lake/catalog.sqlite'")
        found: Catalog = Sqlite(path)
    elif kept.drivername in ("postgres", "postgresql"):
        found = InPostgres(kept, credentials.metadata_schema or credentials.ducklake_name, dataset)
    else:
        raise UsageError(
            f"destination ducklake has its catalog in {kept.drivername}, but it must be in sqlite or postgresql: those "
            f"have a lock that other writers meet."
        )
    if credentials.storage_url.rstrip("/") == str(Path.cwd() / f"{credentials.ducklake_name}.files"):
        raise _unnamed(
            "storage", "ducklake.files", "[destination.ducklake.credentials.storage] bucket_url = '...'"
        )
    return found


def errors() -> tuple[type[Exception], ...]:
    """What the catalogs' clients raise."""
    if locks.lacks_adbc():
        return (sqlite3.Error,)
    from adbc_driver_manager import dbapi

    return (sqlite3.Error, dbapi.Error)


def _unnamed(setting: str, default: str, example: str) -> UsageError:
    return UsageError(
        f"destination ducklake needs its {setting} named: {example}. dlt's own default, {default} in the folder that a "
        f"sync happens to run in, is not taken: from another folder it would be another lake."
    )
