"""From the working file to the copy that analysts open, and back when that copy is another one.

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
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from stored_completions import undo
from stored_completions.errors import WarehouseError
from stored_completions.warehouse import SCHEMA_VERSION, Damaged, Files, connect, generation, start_over, wal

_FICLONE = 0x40049409


@dataclass(frozen=True)
class Prepared:
    """`sentence` is what a person should know; `is_another`: not the warehouse that the last run left."""

    sentence: str | None = None
    is_another: bool = False


def prepare(files: Files) -> Prepared:
    """Brings the working file to where the published copy stands, unless it is rightly ahead of it.

    Raises WarehouseError, and leaves both as they are, when the published file is not one of ours.
    """
    damaged = _set_aside_damaged_working(files)
    if not files.working.exists():
        return _restore(files, damaged, is_another=damaged is not None)
    try:
        published = _published_generation(files)
    except Damaged:
        return _set_aside_damaged_copy(files)
    note = _unpublished(files)
    if note is not None and note["base"] == published:
        return _continued(files)
    if published is not None and published == generation(files.working):
        files.unpublished.unlink(missing_ok=True)
        return Prepared()
    kept = _keep_aside(files)
    what = (
        "is gone: started over"
        if published is None
        else "is another copy: continued from where that one stands"
    )
    return _restore(
        files,
        f"{files.published} {what}. All that was synced before is kept in {kept}; to go on with that instead, move "
        f"it to {files.published} and sync again.",
    )


def mark_unpublished(files: Files) -> None:
    """Notes, before the first write, that the working file goes ahead of the published copy."""
    if not files.unpublished.exists():
        _note(files, generation(files.published))


def publish(files: Files, connection: duckdb.DuckDBPyConnection) -> None:
    """Stamps the working file, copies it, and puts the copy in place of the published one in one step.

    Readers of the old copy keep it; whoever opens the file afterwards sees the new one whole.
    """
    copy = files.folder / f"{files.published.name}.publishing"
    try:
        _stamp(connection)
        _check_space(files)
        _clone(files.working, copy)
        copy.chmod(0o444)
        wal(files.published).unlink(missing_ok=True)
        os.replace(copy, files.published)
    except (OSError, duckdb.Error) as error:
        copy.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise WarehouseError(
            f"Cannot publish {files.published} ({reason}). What was synced is kept in {files.working}; "
            f"the next sync publishes it."
        ) from None
    files.unpublished.unlink(missing_ok=True)


def _stamp(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("begin")
    connection.execute("delete from chat.publication")
    row = [uuid.uuid4().hex, datetime.now(UTC), SCHEMA_VERSION]
    connection.execute(
        "insert into chat.publication (generation, published_at, schema_version) values (?, ?, ?)", row
    )
    connection.execute("commit")
    connection.execute("checkpoint")


def _continued(files: Files) -> Prepared:
    if not files.was_cut():
        return Prepared()
    return Prepared("The last sync was interrupted: what it had loaded is kept, this one goes on from there.")


def _restore(files: Files, sentence: str | None, *, is_another: bool = True) -> Prepared:
    """Makes the published copy the working file; none where there is no copy."""
    try:
        published = _published_generation(files)
    except Damaged as error:
        raise _not_ours(files) from error
    start_over(files)
    if published is not None:
        copy = files.folder / f"{files.published.name}.restoring"
        _clone(files.published, copy)
        copy.chmod(0o644)
        os.replace(copy, files.working)
    return Prepared(sentence, is_another)


def _published_generation(files: Files) -> str | None:
    """None if there is no file; WarehouseError for one that this program did not make, Damaged for no DuckDB file."""
    published = generation(files.published)
    if published is None and files.published.exists():
        raise _not_ours(files)
    return published


def _not_ours(files: Files) -> WarehouseError:
    return WarehouseError(
        f"{files.published} exists, but it is no warehouse that this program made, or it is damaged. It was left "
        f"as it is: move it away, or name another file with --warehouse."
    )


def _set_aside_damaged_working(files: Files) -> str | None:
    try:
        generation(files.working)
    except Damaged:
        kept = _set_aside(files.working)
        wal(files.working).unlink(missing_ok=True)
        return f"The working file was damaged and is set aside as {kept}: continued from the published copy."
    return None


def _set_aside_damaged_copy(files: Files) -> Prepared:
    """The working file has all that the damaged copy had, and more: it is published anew."""
    _note(files, None)
    kept = _set_aside(files.published)
    return Prepared(f"{files.published} was damaged and is set aside as {kept}: published anew.")


def _keep_aside(files: Files) -> Path:
    """Takes the working file out of the way; the API may no longer have all that is in it."""
    kept = files.folder / f"{files.published.stem}.{generation(files.working) or 'unpublished'}.duckdb"
    if files.was_cut():
        with contextlib.closing(connect(files.working, read_only=False)) as connection:
            undo.recover(connection)
    os.replace(files.working, kept)
    if wal(files.working).exists():
        os.replace(wal(files.working), wal(kept))
    return kept


def _set_aside(path: Path) -> Path:
    kept = path.with_name(path.name + ".damaged")
    os.replace(path, kept)
    return kept


def _unpublished(files: Files) -> dict[str, str | None] | None:
    try:
        return json.loads(files.unpublished.read_text())  # type: ignore[no-any-return]
    except (FileNotFoundError, ValueError):
        return None


def _note(files: Files, base: str | None) -> None:
    new = files.unpublished.with_name(files.unpublished.name + ".new")
    new.write_text(json.dumps({"base": base}))
    os.replace(new, files.unpublished)


def _check_space(files: Files) -> None:
    needed = files.working.stat().st_size
    free = shutil.disk_usage(files.folder).free
    if free < needed:
        raise OSError(0, f"it needs {needed / 1e6:.0f} MB of space and {free / 1e6:.0f} MB are free")


def _clone(source: Path, target: Path) -> None:
    """Copies a file, sharing its blocks where the file system can."""
    target.unlink(missing_ok=True)
    with source.open("rb") as reading, target.open("wb") as writing:
        try:
            fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
        except OSError:
            shutil.copyfileobj(reading, writing, 1 << 20)
        writing.flush()
        os.fsync(writing.fileno())
