"""Where a walk stands between two runs: what dlt's state keeps, as plain JSON.

`position` is where the walk is; `settled` is up to where the past is taken as complete, for the
short and the long look-back apart. The trail holds older rows' ids, denser towards the present:
the next walk starts at one of them, and steps back along them when its cursor has vanished.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

_SPACING_SECONDS = 15
_SPACING_SHARE = 0.1
_NEWEST_KEPT = 3


@dataclass(frozen=True, order=True)
class Mark:
    """A listed row as a place in time: its `created` in unix seconds, and its id."""

    created: int
    id: str


@dataclass(frozen=True)
class Settled:
    """Unix seconds up to where each look-back takes the past as complete; None: no walk has ended yet."""

    short: int | None = None
    long: int | None = None

    def is_behind(self, other: "Settled") -> bool:
        """Whether `other` takes more of the past as complete, in either look-back."""
        mine, theirs = [
            [-1 if at is None else at for at in (each.short, each.long)] for each in (self, other)
        ]
        return any(own < their for own, their in zip(mine, theirs, strict=True))


@dataclass(frozen=True)
class Cursor:
    """The state of one base URL, source and filter.

    `started_at` is the server's time at the start of the walk under way, None between walks;
    `is_long` says which look-back that walk covers; `long_at` is when the last long one started.
    `newest` is the newest `created` known that is not in the future.
    """

    position: Mark | None = None
    settled: Settled = Settled()
    started_at: int | None = None
    is_long: bool = True
    long_at: int | None = None
    newest: int | None = None
    trail: tuple[Mark, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        position = self.position and {"id": self.position.id, "created": self.position.created}
        return {
            "position": position,
            "settled": {"short": self.settled.short, "long": self.settled.long},
            "walk": {"started_at": self.started_at, "is_long": self.is_long, "long_at": self.long_at},
            "newest": self.newest,
            "trail": [[mark.created, mark.id] for mark in self.trail],
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> "Cursor":
        """The cursor that `as_json` wrote; an empty state is the beginning."""
        if not state:
            return cls()
        position = state["position"]
        return cls(
            position=position and Mark(position["created"], position["id"]),
            settled=Settled(**state["settled"]),
            newest=state["newest"],
            trail=tuple(Mark(created, id_) for created, id_ in state["trail"]),
            **state["walk"],
        )


class Trail:
    """Marks in order of time, thinned with age so that they stay few however long the account is."""

    def __init__(self, marks: tuple[Mark, ...]) -> None:
        self._marks = sorted(marks)

    def add(self, marks: list[Mark], now: int) -> None:
        """Adds marks of one page, and thins the whole."""
        merged = {mark.created: mark for mark in (*self._marks, *marks)}
        self._marks = _thinned([merged[created] for created in sorted(merged)], now)

    def drop(self, id_: str) -> None:
        """Forgets a row that the server no longer knows."""
        self._marks = [mark for mark in self._marks if mark.id != id_]

    def before(self, second: int, steps: int = 1) -> Mark | None:
        """The mark `steps` back from `second`, strictly before it; None when there is none."""
        at = bisect_left(self._marks, Mark(second, "")) - steps
        return self._marks[at] if at >= 0 else None

    def marks(self) -> tuple[Mark, ...]:
        return tuple(self._marks)


def _thinned(marks: list[Mark], now: int) -> list[Mark]:
    """The first and the newest three marks, and between them one per 15 seconds or per tenth of its age."""
    kept = marks[: -_NEWEST_KEPT - 1 : -1]
    for mark in reversed(marks[:-_NEWEST_KEPT]):
        age = max(0, now - mark.created)
        if kept[-1].created - mark.created >= max(_SPACING_SECONDS, age * _SPACING_SHARE):
            kept.append(mark)
    if marks and kept[-1] != marks[0]:
        kept.append(marks[0])
    return kept[::-1]
