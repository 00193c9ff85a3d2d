"""The files of a warehouse: the one that analysts open, the one that a sync works on, and what lies beside it.

stored_completions.duckdb                        the published copy: mode 0444, replaced in one step
.stored_completions/stored_completions.duckdb    the working file: only a sync opens it
….duckdb.dlt/         dlt's working folder, there only while a sync writes
….duckdb.shipping     what is on its way to a destination through dlt, there only meanwhile
….duckdb.unpublished  the working file is ahead of the published copy, see `publishing`
….duckdb.suspected    a block of a file was found spoilt: the next sync reads both whole before it goes on
….duckdb.purging      a purge is working, or died while it was
….duckdb.lock         held by the sync that is running
last_run.json         the last run, and those that found nothing new, see `journal`
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock, Timeout

from stored_completions.errors import Busy, UsageError, WarehouseError

DEFAULT_NAME = "stored_completions.duckdb"
SCHEMA_VERSION = 2

_GENERATION = "replace(generation::varchar, '-', '')"  # a UUID, or its digits as older versions stored it
_SCHEMAS = ("chat", "marts", "reports", "custom")


@dataclass(frozen=True)
class Files:
    """Where everything that belongs to one warehouse lies; a link to it leads to the same place."""

    published: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "published", self.published.resolve())

    @property
    def folder(self) -> Path:
        return self.published.parent / ".stored_completions"

    @property
    def working(self) -> Path:
        return self.folder / self.published.name

    @property
    def dlt(self) -> Path:
        return self.folder / f"{self.published.name}.dlt"

    @property
    def shipping(self) -> Path:
        return self.folder / f"{self.published.name}.shipping"

    @property
    def spilled(self) -> Path:
        """Where DuckDB puts what does not fit into memory; a process that is killed leaves it behind."""
        return self.working.with_name(self.working.name + ".tmp")

    @property
    def unpublished(self) -> Path:
        return self.folder / f"{self.published.name}.unpublished"

    @property
    def suspected(self) -> Path:
        return self.folder / f"{self.published.name}.suspected"

    @property
    def lock(self) -> Path:
        return self.folder / f"{self.published.name}.lock"

    @property
    def purging(self) -> Path:
        return self.folder / f"{self.published.name}.purging"

    @property
    def journal(self) -> Path:
        return self.folder / "last_run.json"

    def was_cut(self) -> bool:
        """Whether a sync died while it was writing."""
        return self.dlt.exists()


class Damaged(WarehouseError):
    """The file cannot be read as a DuckDB file."""


class Newer(WarehouseError):
    """A newer version of this program made the file."""


@contextlib.contextmanager
def locked(files: Files) -> Iterator[None]:
    """Holds the warehouse's lock; Busy when another sync does, WarehouseError when the folder is read-only.

    UsageError when no warehouse can have that name.
    """
    check_name(files)
    try:
        files.folder.mkdir(parents=True, exist_ok=True)
        if not os.access(files.folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        lock = FileLock(files.lock, blocking=False)
        lock.acquire()
    except Timeout:
        raise Busy(
            f"Another sync is working on {files.published}: this one did nothing. Let it end, or run this one later."
        ) from None
    except OSError as error:
        raise WarehouseError(
            f"Cannot write to {files.folder} ({error.strerror}): a sync needs a folder where it can keep its "
            f"working file. Choose another with --warehouse, or change the folder's permissions."
        ) from None
    try:
        yield
    finally:
        lock.release()


def check_name(files: Files) -> None:
    """Raises UsageError for a path that DuckDB or dlt would take for something else."""
    path = files.published
    if path.stem.lower() in _SCHEMAS:
        raise UsageError(
            f"A warehouse cannot be called {path.name}: DuckDB names a database after its file, and {path.stem} is "
            f"also a schema in it, so that nobody could say {path.stem}.TABLE. Choose another name with --warehouse."
        )
    for sign, why in (("\\", "DuckDB takes it for a /"), ("%", "dlt cannot write beside it")):
        if sign in str(path):
            raise UsageError(f"The path {path} has a {sign} in it: {why}. Choose another with --warehouse.")


@contextlib.contextmanager
def held(files: Files) -> Iterator[bool]:
    """Holds the lock as a sync does, but writes nothing for it; False, and holds nothing, when a sync has it."""
    with contextlib.ExitStack() as stack:
        if files.lock.exists():
            file = stack.enter_context(files.lock.open("rb"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
        yield True


def connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Opens a warehouse file; what a new one stores can be read by DuckDB 1.4 and later."""
    config: dict[str, Any] = {} if read_only else {"storage_compatibility_version": "v1.4.0"}
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config=config)
    except duckdb.Error as error:
        raise _why_unopened(path, error) from error
    connection.execute("set global TimeZone = 'UTC'")
    return connection


def open_published(files: Files, *, of_anybody: bool = False) -> duckdb.DuckDBPyConnection:
    """The published copy, read-only; WarehouseError, with the remedy, when there is none.

    So it is for another program's file, unless that `of_anybody` will do.
    """
    if not files.published.exists():
        raise WarehouseError(
            f"There is no warehouse at {files.published}: run `stored-completions sync` to make it, or name "
            f"another with --warehouse."
        )
    try:
        connection = connect(files.published, read_only=True)
    except Damaged as error:
        if not os.path.exists(files.working):  # false, too, for whoever may not look into the folder
            raise
        raise Damaged(
            f"{files.published} cannot be read as a DuckDB file: sync again, which publishes it anew from the file that "
            f"it works on."
        ) from error
    if (
        not of_anybody
        and not connection.execute(
            "select 1 from duckdb_schemas() where schema_name = 'chat' limit 1"
        ).fetchall()
    ):
        connection.close()
        raise foreign(files)
    return connection


def foreign(files: Files) -> WarehouseError:
    return WarehouseError(
        f"{files.published} is a DuckDB file, but no warehouse that this program made: name another with --warehouse."
    )


def start_over(files: Files) -> None:
    """Removes everything but the published copy."""
    for folder in (files.dlt, files.shipping, files.spilled):
        shutil.rmtree(folder, ignore_errors=True)
    for path in (files.working, wal(files.working), files.unpublished):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commits at the end; after an error the caller closes the connection, which takes it all back."""
    connection.execute("begin")
    yield
    connection.execute("commit")


def published_at(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    row = _first(connection, "select published_at from chat.publication")
    return row[0] if row else None  # type: ignore[return-value]


def generation(path: Path) -> str | None:
    """The generation that a file was stamped with; None if there is no such file, or no stamp in it.

    Raises Newer, before anything is written to a file whose tables this version does not know.
    """
    if not path.exists():
        return None
    with contextlib.closing(connect(path, read_only=True)) as connection:
        try:
            row = _first(connection, f"select {_GENERATION}, schema_version from chat.publication")
        except duckdb.Error as error:
            raise _why_unopened(path, error) from error
    if row is None:
        return None
    if isinstance(row[1], int) and row[1] > SCHEMA_VERSION:
        raise Newer(
            f"{path} was made by a newer version of this program (its tables are version {row[1]}, this one knows "
            f"{SCHEMA_VERSION}). It was left as it is: install the newer version again, or name another file with "
            f"--warehouse."
        )
    return str(row[0])


def wal(path: Path) -> Path:
    """Where DuckDB keeps what it has not yet written into the file itself."""
    return path.with_name(path.name + ".wal")


def first_line(error: BaseException) -> str:
    """What an error of a library says, as one sentence."""
    said = str(error)
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    lines = said.splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(".") + "."


def remedy(files: Files, error: BaseException) -> str:
    """What to do about an error while the working file was read or written; nothing that was synced is lost by it."""
    if "corrupt database file" in str(error).lower():
        return (
            f"The file is damaged: sync again. It is restored from {files.published} then, and what came after that is "
            f"read again."
        )
    if isinstance(error, PermissionError):
        return "What was synced before is kept: let the user of the sync write there, and sync again."
    return "What was synced before is kept: free space or mend the cause, and sync again."


def _first(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[object, ...] | None:
    try:
        return connection.execute(sql).fetchone()
    except duckdb.CatalogException:
        return None


def _why_unopened(path: Path, error: Exception) -> WarehouseError:
    text = str(error).lower()
    if "could not set lock" in text:
        held = re.search(r"lock is held in (\S+ \(PID \d+\))", str(error))
        return WarehouseError(
            f"{path} is open for writing in another program{f', {held[1]}' if held else ''}: DuckDB lets nobody else in "
            f"then. Close it there, and open it read-only."
        )
    if "permission denied" in text:
        return WarehouseError(f"{path} cannot be opened: permission denied.")
    if "cannot open file" in text or "out of memory" in text:
        return WarehouseError(f"{path} cannot be opened: {first_line(error)} Mend the cause and try again.")
    return Damaged(
        f"{path} cannot be read as a DuckDB file: it is damaged, or newer than this DuckDB ({duckdb.__version__}). "
        f"Put a good copy back, or move it away and sync again."
    )
