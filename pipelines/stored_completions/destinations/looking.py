"""Where a destination stands beside a warehouse: asked, and nothing written on either side."""

from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from stored_completions.destinations import changes
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.opening import opened


@dataclass(frozen=True)
class Looked:
    """`generation` and `published_at` (ISO 8601) of the dataset, None where it is empty; `is_as_left`: nobody else
    wrote to it since; `completions_behind`: how many it does not have as they are here."""

    place: str
    generation: str | None
    published_at: str | None
    is_as_left: bool
    is_held: bool
    completions_behind: int

    def sentence(self) -> str:
        if self.generation is None:
            said = "empty"
        elif not self.is_as_left:
            said = f"at generation {self.generation[:8]}, where this warehouse did not leave it: the next sync goes on from there"
        elif self.completions_behind:
            said = f"at generation {self.generation[:8]}, {self.completions_behind:,} completions behind"
        else:
            said = f"at generation {self.generation[:8]}, nothing behind"
        return f"{self.place}: {said}" + (", a sync is writing there now" if self.is_held else "")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def look(chosen: Target, connection: duckdb.DuckDBPyConnection | None) -> Looked:
    """Raises UsageError or WarehouseError, in a sentence, when it cannot be asked; `connection` is to the warehouse."""
    destination = opened(chosen)
    try:
        standing, is_held = destination.standing(), destination.is_held()
    finally:
        destination.close()
    left = changes.position(connection, destination.place)
    return Looked(
        place=destination.place,
        generation=standing.generation if standing else None,
        published_at=standing.published_at.isoformat() if standing else None,
        is_as_left=bool(left and standing and standing.generation in (left.generation, left.pending)),
        is_held=is_held,
        completions_behind=changes.completions_behind(connection, destination.place) if connection else 0,
    )
