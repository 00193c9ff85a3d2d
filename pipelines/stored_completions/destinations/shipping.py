"""A sync's end at a destination: to begin where that one stands, and to bring it what changed here.

Every package moves the dataset to a new generation, noted here before it is sent and after it has arrived.
So three cases are told apart: the dataset stands where this working file left it, or one package further
because the process died right then; or another machine went ahead, and this one goes on from there.
"""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from stored_completions import schema, store, warehouse
from stored_completions.destinations import arriving, changes
from stored_completions.destinations.base import Destination, Standing
from stored_completions.destinations.changes import Position
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.opening import opened
from stored_completions.destinations.units import BULK, SHIPPED, local
from stored_completions.publishing import keep_aside, mark_unpublished
from stored_completions.room import Room
from stored_completions.tables import DEFINITIONS, LOAD_ID, TABLES
from stored_completions.warehouse import SCHEMA_VERSION, Files, Newer, connect, wal

_MEMORY = 500_000_000  # bytes for DuckDB while a working file is made of what a destination has; long values need more

Say = Callable[[str], None]


@dataclass(frozen=True)
class Shipped:
    """What a destination was brought: completions, new or changed, in so many packages."""

    completions: int
    packages: int


@contextlib.contextmanager
def shipping_to(chosen: Target | None, files: Files, say: Say) -> "Iterator[Shipping | None]":
    """The destination, its lock held; None where only the local file is wanted. Raises Busy, UsageError, WarehouseError."""
    if chosen is None:
        yield None
        return
    destination = opened(chosen, files.shipping)
    with destination.locked():
        yield Shipping(destination, files, say)


class Shipping:
    """What a sync does at a destination whose lock it holds."""

    def __init__(self, destination: Destination, files: Files, say: Say) -> None:
        self.destination = destination
        self._files = files
        self._say = say
        self._standing: Standing | None = None
        self._is_repeated = False
        self._must_forget = False

    @property
    def place(self) -> str:
        return self.destination.place

    def follow(self) -> bool:
        """Makes the working file anew from the destination, if that is not where this one left it."""
        self._standing = self.destination.standing()
        here = self._position()
        if self._standing is None:
            self._must_forget = here is not None
            if self._must_forget:
                self._say(f"{self.place} is empty, though it was not: everything is shipped again.")
            return False
        if self._standing.schema_version > SCHEMA_VERSION:
            raise Newer(
                f"{self.place} was written by a newer version of this program (its tables are version "
                f"{self._standing.schema_version}, this one knows {SCHEMA_VERSION}): install that version here, too."
            )
        if here is not None and self._standing.generation in (here.generation, here.pending):
            self._is_repeated = self._standing.generation == here.pending
            return False
        self._restore(self._standing)
        return True

    def is_behind(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Whether something is here that the destination does not have."""
        return self._must_forget or self._is_repeated or changes.is_behind(connection, self.place)

    def ship(self, connection: duckdb.DuckDBPyConnection) -> Shipped:
        """Brings the destination everything that changed, package by package; what arrived is marked in the working file."""
        if self._must_forget:
            changes.note(connection, self.place, None)
            self._must_forget = False
        shipped = packages = 0
        for package in changes.packages(connection, self.place, is_repeated=self._is_repeated):
            if not packages:
                self.destination.prepare()
            old = self._standing
            new = Standing(uuid.uuid4().hex, datetime.now(UTC), SCHEMA_VERSION)
            changes.note(connection, self.place, Position(old.generation if old else None, new.generation))
            self.destination.take(package, old, new)
            changes.mark(connection, self.place, package, new.generation)
            self._standing = new
            packages += 1
            shipped += sum(part.number for part in package.parts if part.unit is BULK)
        if self._is_repeated and not packages and self._standing is not None:
            changes.note(connection, self.place, Position(self._standing.generation))
        self._is_repeated = False
        return Shipped(shipped, packages)

    def _position(self) -> Position | None:
        if not self._files.working.exists():
            return None
        with contextlib.closing(connect(self._files.working, read_only=True)) as connection:
            return changes.position(connection, self.place)

    def _restore(self, standing: Standing) -> None:
        """The working file as the destination has it; one with rows that were never shipped is kept aside."""
        fresh = self._files.folder / f"{self._files.published.name}.restoring"
        for half in (fresh, wal(fresh)):
            half.unlink(missing_ok=True)
        self.destination.prepare()
        with contextlib.closing(connect(fresh, read_only=False)) as connection:
            room = Room(connection)
            room.allow(_MEMORY)
            self._fill(connection, room)
            changes.mark_everything(connection, self.place, standing.generation)
            connection.execute(f"delete from chat.{DEFINITIONS.name}")  # views and prices are yet to be made
            connection.execute("checkpoint")
            rows = store.Store(connection).completions()
        kept = self._kept()
        warehouse.start_over(self._files)
        mark_unpublished(self._files)
        os.replace(fresh, self._files.working)
        aside = f" What was here and not there is kept in {kept}." if kept else ""
        self._say(
            f"{self.place} stands elsewhere than this machine left it: continued from its {rows:,} completions.{aside}"
        )

    def _fill(self, connection: duckdb.DuckDBPyConnection, room: Room) -> None:
        store.create_own_tables(connection)
        schema.create_missing(connection)
        for table in SHIPPED:
            rows = self.destination.read(table)
            arriving.insert(connection, f"chat.{local(table)}", table, rows, room.make)
        for table in TABLES:
            connection.execute(
                f"insert into chat._dlt_loads select distinct {LOAD_ID}, '{store.PIPELINE}', 0, now(), null"
                f" from chat.{table.name} where {LOAD_ID} not in (select load_id from chat._dlt_loads)"
            )

    def _kept(self) -> Path | None:
        """Where the working file was put, if it has rows that no destination has."""
        if not self._files.working.exists():
            return None
        with contextlib.closing(connect(self._files.working, read_only=True)) as connection:
            is_ahead = changes.completions_behind(connection, self.place) > 0
        return keep_aside(self._files) if is_ahead else None
