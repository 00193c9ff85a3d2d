"""Rows as places to come back to: few however long the account is, and denser towards where one stands."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

_SPACING_SECONDS = 15
_NEWEST_KEPT = 3


class Mark(NamedTuple):
    """A listed row as a place in time: its `created` in unix seconds, and its id."""

    created: int
    id: str


class Trail:
    """Marks in order of time, thinned with age: one per 15 seconds, or per `share` of its age.

    The last mark before each second of `kept` is never thinned out: something is to begin there.
    """

    def __init__(self, marks: tuple[Mark, ...] = (), share: float = 0.1, kept: tuple[int, ...] = ()) -> None:
        self._marks = sorted(marks)
        self._share = share
        self.kept = kept

    def add(self, marks: Iterable[tuple[int, str]], now: int) -> None:
        """Adds marks of one page, and thins the whole."""
        ids = dict(self._marks)
        ids.update(marks)
        seconds = sorted(ids)
        wanted = {seconds[at - 1] for second in self.kept if (at := bisect_left(seconds, second))}
        self._marks = [Mark(second, ids[second]) for second in _thinned(seconds, now, self._share, wanted)]

    def drop(self, id_: str) -> None:
        """Forgets a row that the server no longer knows."""
        self._marks = [mark for mark in self._marks if mark.id != id_]

    def before(self, second: int, steps: int = 1) -> Mark | None:
        """The mark `steps` back from `second`, strictly before it; None when there is none."""
        at = bisect_left(self._marks, Mark(second, "")) - steps
        return self._marks[at] if at >= 0 else None

    def marks(self) -> tuple[Mark, ...]:
        return tuple(self._marks)


def _thinned(seconds: list[int], now: int, share: float, wanted: set[int]) -> list[int]:
    """The first and the newest three, the wanted ones, and between them as many as their age allows."""
    kept = seconds[: -_NEWEST_KEPT - 1 : -1]
    for second in reversed(seconds[:-_NEWEST_KEPT]):
        gap = kept[-1] - second
        if (gap >= _SPACING_SECONDS and gap >= (now - second) * share) or second in wanted:
            kept.append(second)
    if seconds and kept[-1] != seconds[0]:
        kept.append(seconds[0])
    return kept[::-1]
