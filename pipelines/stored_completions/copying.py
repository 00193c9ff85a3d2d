"""A copy of a warehouse file: blocks are shared where the file system can, and only begun where there is room."""

import fcntl
import os
import shutil
from pathlib import Path

from stored_completions.errors import WarehouseError

_FICLONE = 0x40049409


def copy(source: Path, target: Path) -> None:
    """Makes `target` anew, and sees it onto the disk; WarehouseError, before a byte is written, without the room."""
    target.unlink(missing_ok=True)
    try:
        _write(source, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _write(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("wb") as writing:
        try:
            fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
        except OSError:
            _check_room(source, target)
            shutil.copyfile(source, target)
        os.fsync(writing.fileno())


def _check_room(source: Path, target: Path) -> None:
    needed = source.stat().st_size
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise WarehouseError(
            f"A copy of {source} needs {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free in {target.parent}: "
            f"free some, and sync again."
        )
