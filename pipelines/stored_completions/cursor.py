"""Where a walk stands between two runs: what dlt's state keeps, as plain JSON.

`position` is where the walk is; `settled` is up to where the past is taken as complete, for the
short and the long look-back apart, but for the gaps that a backfill still has to read. The trail
holds older rows' ids, denser towards the present: the next walk starts at one of them, and steps
back along them when its cursor has vanished.
"""

from dataclasses import dataclass, field
from typing import Any

from stored_completions.backfill import Backfill
from stored_completions.errors import WarehouseError
from stored_completions.trail import Mark, Trail

__all__ = ["Cursor", "Mark", "Settled", "Trail"]

_WALK = ("started_at", "is_long", "long_at", "long_to")


@dataclass(frozen=True)
class Settled:
    """Unix seconds up to where each look-back takes the past as complete; None: no walk has ended yet."""

    short: int | None = None
    long: int | None = None

    @property
    def starts(self) -> tuple[int, ...]:
        """The next walk of each look-back begins after the last row before one of these seconds."""
        return tuple(at + 1 for at in (self.short, self.long) if at is not None)

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
    `is_long` says which look-back that walk covers; `long_at` is when the last long one started, and
    `long_to` up to where it read for sure before it left something to the next one.
    `newest` is the newest `created` known that is not in the future. `backfill` is what of the past
    was not read, or not wanted; None: everything was.
    """

    position: Mark | None = None
    settled: Settled = Settled()
    started_at: int | None = None
    is_long: bool = True
    long_at: int | None = None
    long_to: int | None = None
    newest: int | None = None
    trail: tuple[Mark, ...] = field(default=())
    backfill: Backfill | None = None

    @property
    def covered_from(self) -> int | None:
        """The second from which on everything has been read; None: everything there is."""
        return self.backfill.covered_from if self.backfill else None

    def as_json(self) -> dict[str, Any]:
        position = self.position and {"id": self.position.id, "created": self.position.created}
        backfill = {} if self.backfill is None else {"backfill": self.backfill.as_json()}
        return {
            "position": position,
            "settled": {"short": self.settled.short, "long": self.settled.long},
            "walk": {name: getattr(self, name) for name in _WALK},
            "newest": self.newest,
            "trail": [[mark.created, mark.id] for mark in self.trail],
            **backfill,
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> "Cursor":
        """The cursor that `as_json` wrote; an empty state is the beginning.

        Raises WarehouseError for one that only a newer version understands: to leave out what it says would lose rows.
        """
        if not state:
            return cls()
        try:
            cursor = cls._read(state)
            unknown = _names(state) - _names(cursor.as_json())
        except (KeyError, TypeError, ValueError, AttributeError):
            unknown = {"its form"}
        if unknown:
            raise WarehouseError(
                f"Where the last sync stood was noted by a newer version of this program: this one does not know "
                f"{', '.join(sorted(unknown))}. Nothing was changed: install the newer version again."
            )
        return cursor

    @classmethod
    def _read(cls, state: dict[str, Any]) -> "Cursor":
        position = state["position"]
        return cls(
            position=position and Mark(position["created"], position["id"]),
            settled=Settled(state["settled"]["short"], state["settled"]["long"]),
            newest=state["newest"],
            trail=tuple(Mark(created, id_) for created, id_ in state["trail"]),
            backfill=Backfill.from_json(state["backfill"]) if "backfill" in state else None,
            **{name: state["walk"][name] for name in _WALK if name in state["walk"]},
        )


def _names(state: Any) -> set[str]:
    """The keys of all objects in it."""
    if isinstance(state, dict):
        return set(state).union(*map(_names, state.values()))
    return set().union(*map(_names, state)) if isinstance(state, list) else set()
