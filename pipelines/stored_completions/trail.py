"""Rows as places to come back to: few however long the account is, and denser towards where one stands."""

from bisect import bisect_left
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

    def add(self, marks: list[Mark], now: int) -> None:
        """Adds marks of one page, and thins the whole."""
        merged = {mark.created: mark for mark in (*self._marks, *marks)}
        self._marks = [merged[created] for created in sorted(merged)]
        kept = {mark.created for second in self.kept if (mark := self.before(second))}
        self._marks = _thinned(self._marks, now, self._share, kept)

    def drop(self, id_: str) -> None:
        """Forgets a row that the server no longer knows."""
        self._marks = [mark for mark in self._marks if mark.id != id_]

    def before(self, second: int, steps: int = 1) -> Mark | None:
        """The mark `steps` back from `second`, strictly before it; None when there is none."""
        at = bisect_left(self._marks, Mark(second, "")) - steps
        return self._marks[at] if at >= 0 else None

    def marks(self) -> tuple[Mark, ...]:
        return tuple(self._marks)


def _thinned(marks: list[Mark], now: int, share: float, wanted: set[int]) -> list[Mark]:
    """The first and the newest three marks, those of wanted seconds, and between them as many as their age allows."""
    kept = marks[: -_NEWEST_KEPT - 1 : -1]
    for mark in reversed(marks[:-_NEWEST_KEPT]):
        created = mark.created
        gap = kept[-1].created - created
        if (gap >= _SPACING_SECONDS and gap >= (now - created) * share) or created in wanted:
            kept.append(mark)
    if marks and kept[-1] != marks[0]:
        kept.append(marks[0])
    return kept[::-1]
