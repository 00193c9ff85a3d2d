"""From the working file to the copy that analysts open, and back when that copy is another one.

Each publish stamps both files with a new generation, and the `unpublished` note names the one that
was out when the working file went ahead: so a crash before publishing (continue), an older copy put
back (start from it) and a deleted warehouse (start over) are told apart.
"""

import contextlib
import json
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import duckdb

from stored_completions import damage, undo
from stored_completions.copying import copy as make_copy
from stored_completions.errors import WarehouseError
from stored_completions.warehouse import (
    SCHEMA_VERSION,
    Damaged,
    Files,
    connect,
    first_line,
    generation,
    start_over,
    wal,
)


@dataclass(frozen=True)
class Prepared:
    """`sentence` is what a person should know; `is_another`: not the warehouse that the last run left."""

    sentence: str | None = None
    is_another: bool = False


def prepare(files: Files, *, reads_all: bool = False) -> Prepared:
    """Brings the working file to where the published copy stands, unless it is rightly ahead of it.

    `reads_all` has it see first that every block of both can be read, as after one was found that could not.
    Raises WarehouseError, and leaves both as they are, when the published file is not one of ours, or when
    neither can be gone on from.
    """
    reads_all = reads_all or files.suspected.exists()
    prepared = _prepared(files, reads_all)
    files.suspected.unlink(missing_ok=True)
    return prepared


def _prepared(files: Files, reads_all: bool) -> Prepared:
    if _is_damaged(files.working, reads_all):
        return _restored(files)
    if not files.working.exists():
        _begin_from(files, _copy_of_published(files))
        return Prepared()
    try:
        published = _published_generation(files)
    except Damaged:
        return _set_aside_damaged_copy(files)
    is_same = published is not None and published == generation(files.working)
    if not is_same and _unpublished(files) != {"base": published}:
        return _begun_from_another(files)
    if reads_all and (spoilt := damage.find(files.published)):
        mark_unpublished(files)
        return Prepared(f"{files.published} was damaged ({damage.named(spoilt)}): it is published anew.")
    return _continued(files, published)


def _begun_from_another(files: Files) -> Prepared:
    copy = _copy_of_published(files)
    kept = keep_aside(files)
    _begin_from(files, copy)
    what = (
        "is gone: started over" if copy is None else "is another copy: continued from where that one stands"
    )
    return Prepared(
        f"{files.published} {what}. All that was synced before is kept in {kept}; to go on with that instead, move "
        f"it to {files.published} and sync again.",
        is_another=True,
    )


def mark_unpublished(files: Files) -> None:
    """Notes, before the first write, that the working file goes ahead of the published copy."""
    if not files.unpublished.exists():
        _note(files, generation(files.published))


def publish(files: Files, connection: duckdb.DuckDBPyConnection) -> None:
    """Stamps the working file, copies it, and puts the copy in place of the published one in one step.

    Readers of the old copy keep it; whoever opens the file afterwards sees the new one whole. A copy of which a
    block cannot be read is not published.
    """
    copy = files.folder / f"{files.published.name}.publishing"
    try:
        _stamp(connection)
        make_copy(files.working, copy)
        damage.check(copy)
        copy.chmod(0o444)
        wal(files.published).unlink(missing_ok=True)
        os.replace(copy, files.published)
    except (OSError, duckdb.Error, WarehouseError) as error:
        copy.unlink(missing_ok=True)
        if damage.is_cause_of(error):
            raise _unpublishable(files) from error
        reason = getattr(error, "strerror", None) or first_line(error)
        raise WarehouseError(
            f"Cannot publish {files.published}: {reason.rstrip('.')}. What was synced is kept in {files.working}: mend "
            f"the cause, and the next sync publishes it."
        ) from None
    files.unpublished.unlink(missing_ok=True)


def _unpublishable(files: Files) -> WarehouseError:
    files.suspected.touch()
    return WarehouseError(
        f"{files.working} is damaged on the disk, so it was not published, and {files.published} is as it was. Sync "
        f"again: the file is restored from there then, and what came after that is read again."
    )


def _stamp(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("begin")
    connection.execute("delete from chat.publication")
    row = [uuid.uuid4().hex, datetime.now(UTC), SCHEMA_VERSION]
    connection.execute(
        "insert into chat.publication (generation, published_at, schema_version) values (?, ?, ?)", row
    )
    connection.execute("commit")
    connection.execute("checkpoint")


def _continued(files: Files, published: str | None) -> Prepared:
    """With the working file as it is: it is the published one's, or ahead of it as its note says."""
    if _unpublished(files) != {"base": published}:
        files.unpublished.unlink(missing_ok=True)
    elif files.was_cut():
        return Prepared(
            "The last sync was interrupted: what it had loaded is kept, this one goes on from there."
        )
    return Prepared()


def _copy_of_published(files: Files) -> Path | None:
    """What is to be the working file; None where nothing is published."""
    try:
        published = _published_generation(files)
    except Damaged as error:
        raise _not_ours(files) from error
    if published is None:
        return None
    copy = files.folder / f"{files.published.name}.restoring"
    make_copy(files.published, copy)
    if spoilt := damage.find(copy):
        copy.unlink()
        raise WarehouseError(
            f"{files.published} is damaged ({damage.named(spoilt)} cannot be read), and there is no sound working file "
            f"that belongs to it. It was left as it is: put a good older copy in its place, or move it away, and sync "
            f"again. What the API still lists is read anew then."
        )
    copy.chmod(0o644)
    return copy


def _begin_from(files: Files, copy: Path | None) -> None:
    start_over(files)
    if copy is not None:
        os.replace(copy, files.working)


def _published_generation(files: Files) -> str | None:
    """None if there is no file; WarehouseError for one that this program did not make, Damaged for no DuckDB file.

    A log beside it is somebody else's: where the file cannot be read with it, it is set aside.
    """
    try:
        published = generation(files.published)
    except Damaged:
        if not wal(files.published).exists():
            raise
        _set_aside(wal(files.published))
        published = generation(files.published)
    if published is None and files.published.exists():
        raise _not_ours(files)
    return published


def _not_ours(files: Files) -> WarehouseError:
    return WarehouseError(
        f"{files.published} exists, but it is no warehouse that this program made, or it is damaged. It was left "
        f"as it is: move it away, or name another file with --warehouse."
    )


def _is_damaged(path: Path, reads_all: bool) -> bool:
    try:
        generation(path)
    except Damaged:
        return True
    return reads_all and bool(damage.find(path))


def _restored(files: Files) -> Prepared:
    """The damaged working file is set aside, once there is something to put in its place."""
    copy = _copy_of_published(files)
    kept = _set_aside(files.working)
    if wal(files.working).exists():
        _set_aside(wal(files.working))
    _begin_from(files, copy)
    how = "started over" if copy is None else "continued from the published copy"
    return Prepared(f"The working file was damaged and is set aside as {kept}: {how}.", is_another=True)


def _set_aside_damaged_copy(files: Files) -> Prepared:
    """The working file has all that the damaged copy had, and more: it is published anew."""
    _note(files, None)
    kept = _set_aside(files.published)
    return Prepared(f"{files.published} was damaged and is set aside as {kept}: published anew.")


def keep_aside(files: Files) -> Path:
    """Takes the working file out of the way; the API may no longer have all that is in it."""
    stamp = generation(files.working) or "unpublished"
    if files.was_cut() or wal(files.working).exists():
        with contextlib.closing(connect(files.working, read_only=False)) as connection:
            undo.recover(connection)
    return _moved(files.working, f"{files.published.stem}.{stamp}", ".duckdb")


def _set_aside(path: Path) -> Path:
    return _moved(path, f"{path.name}.damaged")


def _moved(path: Path, name: str, suffix: str = "") -> Path:
    """Moves a file to this name beside the others, numbered so that it takes no other's place."""
    names = (name + (f"-{number}" if number > 1 else "") + suffix for number in count(1))
    kept = next(place for each in names if not (place := path.with_name(each)).exists())
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
