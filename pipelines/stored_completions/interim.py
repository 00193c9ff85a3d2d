"""When a long run shows what it has so far: soon at first, then less and less often, for the file grows."""

import time
from collections.abc import Callable

_LONGEST = 900.0


class Interim:
    """Due `first` seconds after the start, and after each time in twice as many, at most a quarter of an hour."""

    def __init__(self, first: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = first
        self._due_at = clock() + first

    @property
    def is_due(self) -> bool:
        return self._clock() >= self._due_at

    def done(self) -> None:
        self._pause = min(2 * self._pause, _LONGEST)
        self._due_at = self._clock() + self._pause
