"""A wish to stop, from outside: how SIGTERM and Ctrl-C reach a sync that must not lose a page."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from stored_completions.errors import Stopped


class Stop:
    """A wish to stop, by SIGTERM or Ctrl-C: the page is finished, the round loaded, the copy published."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.signal: int | None = None

    def __call__(self, number: int, _frame: object) -> None:
        """Notes the first signal; the second ends the process at once, which is safe, but not polite."""
        if self.signal is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.signal = number
        self._event.set()

    @property
    def is_wanted(self) -> bool:
        return self._event.is_set()

    def sleep(self, seconds: float) -> None:
        """Waits, unless stopping is wanted: then raises Stopped."""
        if self._event.wait(seconds):
            raise self.error()

    def error(self) -> Stopped:
        by, exit_code = ("Ctrl-C", 130) if self.signal == signal.SIGINT else ("SIGTERM", 1)
        return Stopped(
            f"Stopped by {by}. What was read is loaded; the next sync goes on from there.", exit_code
        )


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """Turns SIGTERM and Ctrl-C into a wish to stop while the block runs; a second one ends at once."""
    stop = Stop()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
