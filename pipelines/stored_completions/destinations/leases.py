"""A lock in a bucket: an object that is made only where there is none, renewed while it is held, taken over once old.

S3's conditional writes (`If-None-Match: *` to make it, `If-Match` to take an old one over) let one of several win. A
server that ignores the conditions is found out: what is read back must be what was written.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stored_completions.destinations import locks
from stored_completions.errors import Busy

SECONDS = 300
"""How long it holds without being renewed: a machine that dies keeps others out for so long."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PATIENCE = 1.0  # seconds in which somebody who wrote at the same moment must have


class Lease:
    """`files` is an fsspec file system on S3, `path` the object, `place` what people call that which it locks."""

    def __init__(self, files: Any, path: str, place: str) -> None:
        self._files, self._path, self._place = files, path, place
        self._mine = uuid.uuid4().hex
        self._over = threading.Event()
        self._good_until = 0.0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Busy when somebody else has it."""
        self._take()
        keeper = threading.Thread(target=self._keep, name="lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            self._over.set()
            keeper.join()
            with suppress(Exception):  # then its time runs out
                if self._is_mine():
                    self._files.rm_file(self._path)

    def holder(self) -> str | None:
        """The machine and process that has it now."""
        said = self._read()
        return said["by"] if said and is_good(said) else None

    def check(self) -> None:
        """WarehouseError unless it is held still, and for a while to come."""
        if time.time() + SECONDS / 10 > self._good_until or not self._is_mine():
            raise locks.lost(self._place)

    def _take(self) -> None:
        said = self._read()
        if said is not None and is_good(said):
            raise self._busy(said)
        old = {} if said is None else {"IfMatch": said["tag"]}
        try:
            self._write("overwrite" if old else "create", **old)
        except OSError as error:
            if not isinstance(error, FileExistsError) and "pre-condition" not in str(error):
                raise
            raise self._busy(self._read()) from None
        time.sleep(_PATIENCE if old else 0)
        if not self._is_mine():
            raise self._busy(self._read())

    def _keep(self) -> None:
        while not self._over.wait(SECONDS / 5):
            with suppress(Exception):  # of whatever kind it is, the next time may go better
                if not self._is_mine():
                    return
                self._write("overwrite")

    def _write(self, mode: str, **conditions: str) -> None:
        until = time.time() + SECONDS
        said = {"id": self._mine, "until": until} | who()
        self._files.pipe_file(self._path, json.dumps(said).encode(), mode=mode, **conditions)
        self._good_until = until

    def _read(self) -> dict[str, Any] | None:
        self._files.invalidate_cache()
        try:
            tag = str(self._files.info(self._path)["ETag"])
            said = json.loads(self._files.cat_file(self._path))
        except FileNotFoundError:
            return None
        return {
            "id": str(said.get("id")),
            "by": str(said.get("by")),
            "until": float(said.get("until", 0)),
            "pid": said.get("pid"),
            "pids_of": said.get("pids_of"),
            "tag": tag,
        }

    def _is_mine(self) -> bool:
        said = self._read()
        return said is not None and said["id"] == self._mine

    def _busy(self, said: dict[str, Any] | None) -> Busy:
        by = f" ({said['by']})" if said else ""
        return locks.taken(self._place, SECONDS, by)


def who() -> dict[str, Any]:
    """This machine and process, for people and for `is_good`."""
    return {
        "by": f"{socket.gethostname()}, process {os.getpid()}",
        "pid": os.getpid(),
        "pids_of": _pids_of(),
    }


def is_good(said: dict[str, Any]) -> bool:
    """Whether it holds: its time is not over, and its process is not known to be dead."""
    if said["until"] <= time.time():
        return False
    return said["pids_of"] is None or said["pids_of"] != _pids_of() or Path(f"/proc/{said['pid']}").exists()


def _pids_of() -> str | None:
    """What tells whose process ids these are: this start of this machine, and the container; None: nobody can say."""
    try:
        return f"{_BOOT.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None
