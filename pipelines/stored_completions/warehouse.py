"""The files of a warehouse: the one that analysts open, the one that a sync works on, and their order.

    stored_completions.duckdb                        the published copy: mode 0444, replaced in one step
    .stored_completions/stored_completions.duckdb    the working file: only a sync opens it
    .stored_completions/stored_completions.dlt/      dlt's working folder, there only while a sync writes
    .stored_completions/stored_completions.unpublished   the working file is ahead of the published copy
    .stored_completions/stored_completions.lock      held by the sync that is running
    .stored_completions/last_run.json                runs that found nothing new, see `journal`

Each publish stamps both files with a new generation, and the `unpublished` note names the one that
was out when the working file went ahead: so a crash before publishing (continue), an older copy put
back (start from it) and a deleted warehouse (start over) are told apart.
"""

import contextlib
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock, Timeout

from stored_completions.errors import Busy, WarehouseError

DEFAULT_NAME = "stored_completions.duckdb"
SCHEMA_VERSION = 1

_FICLONE = 0x40049409


@dataclass(frozen=True)
class Files:
    """Where everything that belongs to one warehouse lies."""

    published: Path

    @property
    def folder(self) -> Path:
        return self.published.parent / ".stored_completions"

    @property
    def working(self) -> Path:
        return self.folder / self.published.name

    @property
    def dlt(self) -> Path:
        return self.folder / f"{self.published.stem}.dlt"

    @property
    def unpublished(self) -> Path:
        return self.folder / f"{self.published.stem}.unpublished"

    @property
    def lock(self) -> Path:
        return self.folder / f"{self.published.stem}.lock"

    @property
    def journal(self) -> Path:
        return self.folder / "last_run.json"

    def was_cut(self) -> bool:
        """Whether a sync died while it was writing."""
        return self.dlt.exists()


@contextlib.contextmanager
def locked(files: Files) -> Iterator[None]:
    """Holds the warehouse's lock; Busy when another sync does, WarehouseError when the folder is read-only."""
    try:
        files.folder.mkdir(parents=True, exist_ok=True)
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


def connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Opens a warehouse file; what a new one stores can be read by DuckDB 1.4 and later."""
    config: dict[str, Any] = {} if read_only else {"storage_compatibility_version": "v1.4.0"}
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config=config)
    except (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException) as error:
        raise WarehouseError(_why_unopened(path, error)) from error
    connection.execute("set global TimeZone = 'UTC'")
    return connection


def open_published(files: Files) -> duckdb.DuckDBPyConnection:
    """The published copy, read-only; WarehouseError, with the remedy, when there is none."""
    if not files.published.exists():
        raise WarehouseError(
            f"There is no warehouse at {files.published}: run `stored-completions sync` to make it, or name "
            f"another with --warehouse."
        )
    return connect(files.published, read_only=True)


def prepare(files: Files) -> str | None:
    """Brings the working file to where the published copy stands; a sentence if that was not so already."""
    if not files.working.exists():
        return _take_published(files, None)
    published = _generation(files.published)
    working = _generation(files.working)
    note = _unpublished(files)
    if note is not None and (note["base"] == published or published is None is not files.published.exists()):
        return "The last sync ended before it could publish: continued where it stood."
    if published is not None and published == working:
        return None
    if not files.published.exists():
        start_over(files)
        return f"{files.published} is gone, so its state is too: started over."
    if published is None:
        return f"{files.published} cannot be read as a warehouse: it will be published anew from the working file."
    return _take_published(files, "Another copy of the warehouse was put back: continued from where it stands.")


def start_over(files: Files) -> None:
    """Removes everything but the published copy."""
    shutil.rmtree(files.dlt, ignore_errors=True)
    for path in (files.working, _wal(files.working), files.unpublished):
        path.unlink(missing_ok=True)


def mark_unpublished(files: Files) -> None:
    """Notes, before the first write, that the working file goes ahead of the published copy."""
    if not files.unpublished.exists():
        _write(files.unpublished, json.dumps({"base": _generation(files.published)}))


def publish(files: Files, connection: duckdb.DuckDBPyConnection) -> None:
    """Stamps the working file, copies it, and puts the copy in place of the published one in one step.

    Readers of the old copy keep it; whoever opens the file afterwards sees the new one whole.
    """
    connection.execute("begin")
    connection.execute("delete from chat.publication")
    row = [uuid.uuid4().hex, datetime.now(UTC), SCHEMA_VERSION]
    connection.execute("insert into chat.publication values (?, ?, ?)", row)
    connection.execute("commit")
    connection.execute("checkpoint")
    copy = files.folder / f"{files.published.name}.publishing"
    _check_space(files)
    try:
        _clone(files.working, copy)
        copy.chmod(0o444)
        _wal(files.published).unlink(missing_ok=True)
        os.replace(copy, files.published)
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise WarehouseError(
            f"Cannot publish {files.published} ({error.strerror}). What was synced is kept in {files.working}; "
            f"the next sync publishes it."
        ) from None
    files.unpublished.unlink(missing_ok=True)


def published_at(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    row = _first(connection, "select published_at from chat.publication")
    return row[0] if row else None  # type: ignore[return-value]


def _take_published(files: Files, sentence: str | None) -> str | None:
    start_over(files)
    if files.published.exists():
        if _generation(files.published) is None:
            raise WarehouseError(
                f"{files.published} exists, but it is no warehouse that this program made, or it is damaged. It "
                f"was left as it is: move it away, or name another file with --warehouse."
            )
        copy = files.working.with_suffix(".restoring")
        _clone(files.published, copy)
        copy.chmod(0o644)
        os.replace(copy, files.working)
    return sentence


def _unpublished(files: Files) -> dict[str, str | None] | None:
    try:
        return json.loads(files.unpublished.read_text())  # type: ignore[no-any-return]
    except (FileNotFoundError, ValueError):
        return None


def _generation(path: Path) -> str | None:
    """The generation that a file was stamped with; None if there is no such file, or no warehouse in it."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(connect(path, read_only=True)) as connection:
            row = _first(connection, "select generation from chat.publication")
    except (WarehouseError, duckdb.Error):
        return None
    return str(row[0]) if row else None


def _first(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[object, ...] | None:
    try:
        return connection.execute(sql).fetchone()
    except duckdb.CatalogException:
        return None


def _check_space(files: Files) -> None:
    needed = files.working.stat().st_size
    free = shutil.disk_usage(files.folder).free
    if free < needed:
        raise WarehouseError(
            f"Not enough space to publish {files.published}: it needs {needed / 1e6:.0f} MB and {free / 1e6:.0f} MB "
            f"are free. What was synced is kept in {files.working}; free some space and sync again."
        )


def _clone(source: Path, target: Path) -> None:
    """Copies a file, sharing its blocks where the file system can."""
    with source.open("rb") as reading, target.open("wb") as writing:
        try:
            fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
        except OSError:
            shutil.copyfileobj(reading, writing, 1 << 20)
        writing.flush()
        os.fsync(writing.fileno())


def _write(path: Path, text: str) -> None:
    """Replaces a small file in one step."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)


def _wal(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _why_unopened(path: Path, error: Exception) -> str:
    text = str(error)
    if "lock" in text.lower():
        return f"{path} is open for writing in another program, which DuckDB allows one program only: close it there."
    if "permission" in text.lower():
        return f"{path} cannot be opened: permission denied."
    return (
        f"{path} cannot be read as a DuckDB file: it is damaged, or newer than this DuckDB ({duckdb.__version__}). "
        f"Put a good copy back, or move it away and sync again."
    )
