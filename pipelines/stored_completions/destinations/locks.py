"""Locks that end with their process, for destinations that have no connection of their own to hold one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stored_completions.errors import Busy, WarehouseError


def busy(place: str) -> Busy:
    return Busy(
        f"Another sync is writing to {place}: this one did nothing. Let it end, or run this one later."
    )


@contextmanager
def beside(path: Path, place: str) -> Iterator[None]:
    """A file's lock, where the dataset lies on this machine's disk."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, blocking=False)
        lock.acquire()
    except Timeout:
        raise busy(place) from None
    except OSError as error:
        raise WarehouseError(
            f"{place} cannot be written to ({error.strerror}): change the folder's permissions, or name another."
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_held(lock: Callable[[], AbstractContextManager[None]]) -> bool:
    """Whether somebody has it: tried, and let go at once."""
    try:
        with lock():
            return False
    except Busy:
        return True
