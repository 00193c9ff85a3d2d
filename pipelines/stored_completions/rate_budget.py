"""How fast may we ask? One budget for all requests in flight, found out from the server's refusals.

Until somebody is refused there is no limit. A refusal (429) holds back every request until the time that
the server asks for, and halves the rate at which they were sent; from there the rate grows again,
quickly up to nearly where it was refused and slowly beyond. Refusals of requests that were on their way
when the rate was halved are the same refusal, and halve it once.
"""

import time
from collections import deque
from collections.abc import Callable
from threading import Lock

from stored_completions.errors import UsageError

_MEASURED = 10.0  # seconds over which the rate is measured
_LEAST = 0.2  # requests per second


class RateBudget:
    """Shared by the threads of a client. Times are those of `clock`, in seconds."""

    def __init__(
        self, most_per_second: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`most_per_second` is a rate that is never exceeded, whatever the server bears."""
        if most_per_second is not None and most_per_second <= 0:
            raise UsageError("requests_per_second must be above 0.")
        self._most = most_per_second
        self._clock = clock
        self._lock = Lock()
        self._rate = most_per_second
        self._refused_at_rate: float | None = None
        self._sent: deque[float] = deque(maxlen=256)
        self._open_at = float("-inf")
        self._halved_at = float("-inf")

    @property
    def rate(self) -> float | None:
        """Requests per second; None as long as there is no limit."""
        return self._rate

    def take(self, sleep: Callable[[float], None]) -> float:
        """Waits, by `sleep`, until one more request may be sent; returns when that is."""
        while True:
            wait, now = self._admit()
            if wait <= 0:
                return now
            sleep(wait)

    def refused(self, asked: float, sent_at: float) -> None:
        """Notes a refusal of a request that was sent at `sent_at`, with the seconds that the server asks for."""
        with self._lock:
            now = self._clock()
            self._open_at = max(self._open_at, now + asked)
            if sent_at < self._halved_at:
                return
            measured = self._measured(now)
            self._refused_at_rate = measured if self._rate is None else min(measured, self._rate)
            self._rate = max(self._refused_at_rate / 2, _LEAST)
            self._halved_at = now

    def _admit(self) -> tuple[float, float]:
        """Seconds to wait, and the time; 0 when a request may be sent now, and then it counts as sent."""
        with self._lock:
            now = self._clock()
            wait = max(self._open_at - now, self._until_next(now))
            if wait <= 0:
                self._grow(now)
                self._sent.append(now)
            return wait, now

    def _until_next(self, now: float) -> float:
        return self._sent[-1] + 1 / self._rate - now if self._rate and self._sent else 0.0

    def _grow(self, now: float) -> None:
        """By a tenth of the refused rate a second up to nine tenths of it, then by a fiftieth."""
        if self._rate is None or self._refused_at_rate is None:
            return
        seconds = min(now - max(self._sent[-1], self._halved_at), 1.0) if self._sent else 0.0
        slowly = self._rate >= 0.9 * self._refused_at_rate
        self._rate += self._refused_at_rate / (50 if slowly else 10) * max(seconds, 0.0)
        if self._most is not None:
            self._rate = min(self._rate, self._most)

    def _measured(self, now: float) -> float:
        """Requests per second of late."""
        late = [at for at in self._sent if at > now - _MEASURED]
        return len(late) / max(now - late[0], 0.1) if late else _LEAST
