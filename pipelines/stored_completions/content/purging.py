"""Purging: completions lose their content in every file that belongs to a warehouse, for good.

Each file is written anew and put in place of the old one in one step, first the working file, whose
`chat.purges` says from then on that nothing of them is ever loaded again. A note beside the files
tells of a purge that died: the next one, whatever it is to purge, finishes what that one began.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from stored_completions import undo, warehouse
from stored_completions.content.erasing import Chosen, Which, choose, rewrite
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.shipping import Shipping, shipping_to
from stored_completions.errors import WarehouseError
from stored_completions.publishing import mark_unpublished, prepare, publish
from stored_completions.reports import rollup
from stored_completions.warehouse import Damaged, Files, connect, wal


@dataclass(frozen=True)
class Found:
    """What a purge would erase: what was created before `before`, and what is named. `missing` are ids that are
    neither in the warehouse nor purged."""

    warehouse: str
    completions: list[str]
    quarantined: int
    missing: list[str]
    kept_files: list[str]
    damaged_files: list[str]
    is_unfinished: bool
    before: datetime | None
    has_named: bool

    def __bool__(self) -> bool:
        return any(
            (
                self.completions,
                self.quarantined,
                self.missing,
                self.kept_files,
                self.damaged_files,
                self.is_unfinished,
            )
        )

    def as_json(self) -> dict[str, Any]:
        said = asdict(self) | {"before": self.before.isoformat() if self.before else None}
        del said["has_named"]
        return said


@dataclass(frozen=True)
class Purged:
    """How much was erased; `removed_files` could not be read, so nobody could say what they held."""

    warehouse: str
    completions: int
    quarantined: int
    missing: list[str]
    rewritten_files: list[str]
    removed_files: list[str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def look(path: Path, which: Which) -> Found:
    """What a purge would find, as the published copy has it; changes nothing."""
    files = Files(path.absolute())
    with contextlib.closing(warehouse.open_published(files)) as connection:
        chosen = choose(connection, which)
        missing = _missing(connection, which)
    kept = [path for path in _kept(files) if _holds(path, which)]
    return Found(
        str(files.published),
        chosen.completions,
        len(chosen.quarantined),
        missing,
        _named(kept),
        _named(_damaged(files)),
        files.purging.exists(),
        which.before,
        bool(which.ids),
    )


def purge(
    path: Path,
    which: Which,
    say: Callable[[str], None] = lambda _: None,
    destination: Target | None = None,
) -> Purged:
    """Erases the content of `which` from everything on disk that belongs to the warehouse, and from its `destination`.

    Raises Busy and WarehouseError; it may be repeated after any end.
    """
    files = Files(path.absolute())
    with (
        warehouse.locked(files),
        shipping_to(destination, files, say) as shipping,
        _in_sentences(files),
    ):
        prepared = prepare(files, reads_all=True)
        if prepared.sentence:
            say(prepared.sentence)
        if files.was_cut() and files.working.exists():
            _recover(files)
        if shipping is not None:
            shipping.follow()
        if not files.working.exists():
            raise WarehouseError(f"There is no warehouse at {files.published}, so there is nothing to purge.")
        return _purge(files, which, datetime.now(UTC), shipping)


def _purge(files: Files, which: Which, at: datetime, shipping: Shipping | None) -> Purged:
    files.purging.touch()
    mark_unpublished(files)
    _recover(files)
    with contextlib.closing(connect(files.working, read_only=True)) as connection:
        missing = _missing(connection, which)
    erased = _replace(files.working, which, at)
    _publish(files, shipping)
    rewritten, removed = _purge_aside(files, Which(_ever_purged(files), which.before), at)
    for remains in _remains(files):
        shutil.rmtree(remains) if remains.is_dir() else remains.unlink()
    files.purging.unlink()
    return Purged(
        warehouse=str(files.published),
        completions=len(erased.completions),
        quarantined=len(erased.quarantined),
        missing=missing,
        rewritten_files=_named(rewritten),
        removed_files=_named(removed),
    )


def _purge_aside(files: Files, which: Which, at: datetime) -> tuple[list[Path], list[Path]]:
    """The same for files that were kept aside: those written anew, and those removed since nobody can read them."""
    rewritten, removed = [], _damaged(files)
    for path in _kept(files):
        try:
            if _holds(path, which):
                _replace(path, which, at)
                rewritten.append(path)
        except (Damaged, duckdb.Error):
            removed.append(path)
    for path in removed:
        path.unlink()
    return rewritten, removed


def _holds(path: Path, which: Which) -> bool:
    """Whether there is something to erase in a file that was kept aside; true if nobody can say."""
    try:
        with contextlib.closing(connect(path, read_only=True)) as connection:
            return bool(choose(connection, which))
    except (WarehouseError, duckdb.Error):
        return True


def _recover(files: Files) -> None:
    """Ends what a sync left that died, its working folder too."""
    with contextlib.closing(connect(files.working, read_only=False)) as connection:
        undo.recover(connection)
    shutil.rmtree(files.dlt, ignore_errors=True)


def _replace(path: Path, which: Which, at: datetime) -> Chosen:
    """Puts the file without the content in place of the one with it, in one step."""
    with contextlib.closing(connect(path, read_only=False)) as connection:
        connection.execute("checkpoint")
    _check_space(path)
    fresh = path.with_name(f"{path.name}.fresh")
    for half in (fresh, wal(fresh)):
        half.unlink(missing_ok=True)
    erased = rewrite(path, fresh, which, at)
    wal(path).unlink(missing_ok=True)
    os.replace(fresh, path)
    return erased


def _publish(files: Files, shipping: Shipping | None) -> None:
    """Publishes, then ships: what that fails on, a repeat ships."""
    with contextlib.closing(connect(files.working, read_only=False)) as connection:
        try:
            rollup.refresh(connection)
        except duckdb.Error:  # views of another version: without these tables reports ask the views
            connection.execute("drop schema if exists reports cascade")
        publish(files, connection)
    if shipping is not None:
        with contextlib.closing(connect(files.working, read_only=False)) as connection:
            mark_unpublished(files)
            shipping.ship(connection)
            shipping.destination.erase_old()
            publish(files, connection)


def _ever_purged(files: Files) -> tuple[str, ...]:
    """Also those of before: an older file may hold them yet."""
    with contextlib.closing(connect(files.working, read_only=True)) as connection:
        return tuple(row[0] for row in connection.execute("select completion_id from chat.purges").fetchall())


def _missing(connection: duckdb.DuckDBPyConnection, which: Which) -> list[str]:
    """The ids that are neither in the warehouse nor purged."""
    rows = connection.execute(
        "select id from (select distinct unnest(?::varchar[]) as id)"
        " where id not in (select completion_id from chat.completions)"
        " and id not in (select completion_id from chat.purges) order by id",
        [list(which.ids)],
    ).fetchall()
    return [row[0] for row in rows]


def _kept(files: Files) -> list[Path]:
    """Working files of before, kept aside when another copy was put in place; no other warehouse's file."""
    name = re.compile(rf"{re.escape(files.published.stem)}\.([0-9a-f]{{32}}|unpublished)\.duckdb")
    found = files.folder.iterdir() if files.folder.is_dir() else iter(())
    return sorted(
        path
        for path in found
        if name.fullmatch(path.name) and not (files.published.parent / path.name).exists()
    )


def _damaged(files: Files) -> list[Path]:
    """What was set aside since it cannot be read."""
    paths = (path.with_name(f"{path.name}.damaged") for path in (files.published, files.working))
    return [path for path in paths if path.exists()]


def _remains(files: Files) -> Iterator[Path]:
    """What runs that died may have left: half copies, logs, and what did not fit into memory."""
    for base in (files.working, files.published, *_kept(files)):
        for suffix in (
            ".publishing",
            ".shipping",
            ".restoring",
            ".fresh",
            ".fresh.wal",
            ".tmp",
            ".fresh.tmp",
        ):
            path = base.with_name(base.name + suffix)
            if path.exists():
                yield path


def _named(paths: list[Path]) -> list[str]:
    return [str(path) for path in paths]


def _check_space(path: Path) -> None:
    needed, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(
            0, f"writing {path.name} anew needs {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free"
        )


@contextlib.contextmanager
def _in_sentences(files: Files) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.Error) as error:
        raise WarehouseError(
            f"The purge of {files.published} did not end: {warehouse.first_line(error)} Mend the cause and repeat it: "
            f"until then content may still be on the disk."
        ) from error
