"""What shipping asks of a destination. Each takes a package all or nothing, and has a lock that others meet."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from stored_completions.checks import CheckResult
from stored_completions.destinations.changes import Package
from stored_completions.errors import WarehouseError
from stored_completions.tables import Table


@dataclass(frozen=True)
class Standing:
    """Where a dataset stands, as its table `publication` says: `generation` changes with every package."""

    generation: str
    published_at: datetime
    schema_version: int


class Destination(Protocol):
    """`place` names the dataset, with no secret in it. Errors are sentences: Busy, UsageError, WarehouseError."""

    place: str

    def locked(self) -> AbstractContextManager[None]:
        """Holds the dataset's lock; Busy if another sync, on whatever machine, does."""

    def is_held(self) -> bool:
        """Whether somebody holds the lock now; takes nothing."""

    def standing(self) -> Standing | None:
        """None where there is no dataset, or an empty one."""

    def prepare(self) -> None:
        """Makes the tables, or gives those of an older version the columns that they lack."""

    def take(self, package: Package, old: Standing | None, new: Standing) -> None:
        """Takes the package, and stands at `new` with it; WarehouseError if it does not stand at `old`."""

    def read(self, table: Table) -> Iterator[pa.RecordBatch]:
        """Every row of a table, in the columns and types of its schema."""

    def checks(self) -> list[CheckResult]:
        """The data tests that its engine runs over its own tables and views; none where it has no views."""

    def erase_old(self) -> None:
        """Lets go of what replaced rows still occupy, so that purged content is gone from the disk, too."""

    def close(self) -> None: ...


def overtaken(place: str) -> WarehouseError:
    """Somebody moved the dataset on while a sync held its lock."""
    return WarehouseError(
        f"Somebody else wrote to {place} during this sync: nothing more of it was shipped. Sync again, and it begins from "
        f"what is there."
    )


def short(text: str) -> str:
    """The first line of what an engine says."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    return lines[0][:200].rstrip(".")
