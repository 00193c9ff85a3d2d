"""What time it is in the sandbox: real, moved, or standing still where a test put it."""

import time
from threading import Lock


class Clock:
    """Seconds since 1970. Runs with the machine's clock until it is set; a set clock stands still."""

    def __init__(self, now: float | None = None) -> None:
        self._fixed = now
        self._offset = 0.0
        self._lock = Lock()

    def now(self) -> float:
        with self._lock:
            return time.time() + self._offset if self._fixed is None else self._fixed

    def set(self, unix: float) -> None:
        with self._lock:
            self._fixed = unix

    def advance(self, seconds: float) -> None:
        """Moves a standing clock, or puts a running one ahead."""
        with self._lock:
            if self._fixed is None:
                self._offset += seconds
            else:
                self._fixed += seconds
