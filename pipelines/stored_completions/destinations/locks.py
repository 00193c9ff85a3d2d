"""Locks that end with their process: of a file, and of a connection to PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stored_completions.errors import Busy, WarehouseError


def busy(place: str) -> Busy:
    return Busy(
        f"Another sync is writing to {place}: this one did nothing. Let it end, or run this one later."
    )


def taken(place: str, seconds: int, by: str = "") -> Busy:
    """The same for a lock that has to be renewed, `by` whom it is held."""
    return Busy(
        f"Another sync is writing to {place}{by}: this one did nothing. Let it end, or run this one later; a lock whose "
        f"owner died is let go after {seconds // 60} minutes at the latest."
    )


def lost(place: str) -> WarehouseError:
    return WarehouseError(
        f"The lock on {place} was lost: nothing more was written there. The next sync begins from what is there."
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


class Advisory:
    """PostgreSQL's, by name, held by the connection (of ADBC) that the function gives: gone when that one is."""

    def __init__(self, connection: Callable[[], Any], name: str, place: str) -> None:
        self._connection, self._place = connection, place
        digest = sha256(f"stored-completions {name}".encode()).digest()
        self._number = int.from_bytes(digest[:8], "big", signed=True)

    def take(self) -> None:
        """Busy when somebody else has it."""
        if not self._asked("select pg_try_advisory_lock($1)"):
            raise busy(self._place)

    def is_held(self) -> bool:
        if not self._asked("select pg_try_advisory_lock($1)"):
            return True
        self._asked("select pg_advisory_unlock($1)")
        return False

    def _asked(self, sql: str) -> bool:
        with self._connection().cursor() as cursor:
            cursor.execute(sql, (self._number,))
            return bool(cursor.fetchone()[0])


def lacks_adbc() -> bool:
    return find_spec("adbc_driver_postgresql") is None or find_spec("adbc_driver_manager") is None
