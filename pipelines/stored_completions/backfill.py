"""What of the past a source has not read yet, as plain JSON: gaps between what has been read.

A first sync reads newest first, from several places at once. Each gap is a stretch of seconds that
is still to be read, with the ends of the chains that work on it, so that a cut at any point resumes.
"""

from dataclasses import dataclass
from typing import Any

from stored_completions.trail import Mark


@dataclass(frozen=True)
class End:
    """Where a chain stands: the row it goes on after, the furthest second it knows of, rows to step back to."""

    anchor: Mark | None = None
    known: int | None = None
    trail: tuple[Mark, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "after": self.anchor and [self.anchor.created, self.anchor.id],
            "known": self.known,
            "trail": [[mark.created, mark.id] for mark in self.trail],
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> "End":
        return cls(
            anchor=Mark(*state["after"]) if state["after"] else None,
            known=state["known"],
            trail=tuple(Mark(*mark) for mark in state["trail"]),
        )


@dataclass(frozen=True)
class Gap:
    """The seconds from `first` to `last`; None: from the oldest row, up to the newest.

    `down` is the chain that comes from its top, `up` the one that comes from its bottom, if any does.
    """

    first: int | None
    last: int | None
    down: End = End()
    up: End | None = None


@dataclass(frozen=True)
class Backfill:
    """The gaps, oldest first; rows from before `since` are not wanted, None: all are.

    `floor` is where the reading stopped at `since`, to go on from if an earlier one is wanted.
    """

    since: int | None
    gaps: tuple[Gap, ...] = ()
    floor: End | None = None

    @property
    def covered_from(self) -> int | None:
        """The second from which on everything has been read; None: everything there is."""
        last = self.gaps[-1].last if self.gaps else None
        return self.since if last is None else last + 1

    def as_json(self) -> dict[str, Any]:
        gaps = [
            {
                "first": gap.first,
                "last": gap.last,
                "down": gap.down.as_json(),
                "up": gap.up and gap.up.as_json(),
            }
            for gap in self.gaps
        ]
        return {"since": self.since, "gaps": gaps, "floor": self.floor and self.floor.as_json()}

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> "Backfill":
        gaps = [
            Gap(
                gap["first"],
                gap["last"],
                End.from_json(gap["down"]),
                End.from_json(gap["up"]) if gap["up"] else None,
            )
            for gap in state["gaps"]
        ]
        return cls(state["since"], tuple(gaps), End.from_json(state["floor"]) if state["floor"] else None)
