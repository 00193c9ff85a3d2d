"""A lock in a table, for databases that dlt reaches and that promise neither locks nor unique keys.

Who wants it inserts a claim and then reads all claims. Whoever finds none of another has it; of two that find each
other the earlier waits, for a while, and the later goes. A claim is inserted before the others are read, so of two at
the same time at least one finds the other. A claim that is not renewed ends; renewing inserts it again, later.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from stored_completions.destinations import leases, locks
from stored_completions.tables import Column, Table

LEASE = Table(
    "_lease",
    "Who writes to this dataset, or wants to.",
    (),
    (
        Column("claim", "text", "the claim"),
        Column("claimed_at", "bigint", "when it was made, in milliseconds since 1970"),
        Column("holds_until", "bigint", "when it ends, in milliseconds since 1970"),
        Column("holder", "text", "the machine and process, as JSON"),
    ),
)
_PATIENCE = 10.0  # seconds that the earlier of two waits for the later to go


class RowLease:
    """`connected` gives dlt's SQL client of the dataset with a connection of its own; `place` is what people call it."""

    def __init__(self, connected: Callable[[], AbstractContextManager[Any]], place: str) -> None:
        self._connected, self._place = connected, place
        self._mine = uuid.uuid4().hex
        self._claimed_at = 0
        self._good_until = 0.0
        self._over = threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Busy when somebody else has it."""
        with self._connected() as client:
            self._take(client)
        keeper = threading.Thread(target=self._keep, name="lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            self._over.set()
            keeper.join()
            with suppress(Exception), self._connected() as client:  # else its time runs out
                self._leave(client)

    def is_held(self) -> bool:
        """By anybody, now."""
        with self._connected() as client:
            return bool(_others(client, self._mine, removes_ended=False))

    def check(self) -> None:
        """WarehouseError unless it is held still, and for a while to come."""
        if time.time() + leases.SECONDS / 10 > self._good_until:
            raise locks.lost(self._place)

    def _take(self, client: Any) -> None:
        self._claimed_at = time.time_ns() // 1_000_000
        self._claim(client)
        patient_until = time.time() + _PATIENCE
        while others := _others(client, self._mine):
            first, holder = min(others)
            if (first, holder) < (self._claimed_at, self._mine) or time.time() > patient_until:
                self._leave(client)
                raise locks.taken(self._place, leases.SECONDS)
            time.sleep(0.5)

    def _keep(self) -> None:
        while not self._over.wait(leases.SECONDS / 5):
            with suppress(Exception), self._connected() as client:  # the next time may go better
                self._claim(client)

    def _claim(self, client: Any) -> None:
        until = time.time() + leases.SECONDS
        said = json.dumps(leases.who())
        client.execute_sql(
            f"INSERT INTO {_name(client)} VALUES (%s, %s, %s, %s)",
            self._mine,
            self._claimed_at,
            int(until * 1000),
            said,
        )
        self._good_until = until

    def _leave(self, client: Any) -> None:
        claim = client.escape_column_name("claim")
        client.execute_sql(f"DELETE FROM {_name(client)} WHERE {claim} = %s", self._mine)


def _others(client: Any, mine: str, *, removes_ended: bool = True) -> list[tuple[int, str]]:
    """Good claims of others; those that ended are removed, unless one only looks."""
    names = [client.escape_column_name(column.name) for column in LEASE.columns]
    rows = client.execute_sql(f"SELECT {', '.join(names)} FROM {_name(client)}") or []
    until: dict[tuple[int, str], float] = {}
    said: dict[str, dict[str, Any]] = {}
    for claim, claimed_at, holds_until, holder in rows:
        key = (int(claimed_at), str(claim))
        until[key] = max(until.get(key, 0), int(holds_until) / 1000)
        said[str(claim)] = json.loads(holder)
    good = {key for key, last in until.items() if leases.is_good(said[key[1]] | {"until": last})}
    for _, claim in until.keys() - good if removes_ended else ():
        client.execute_sql(f"DELETE FROM {_name(client)} WHERE {names[0]} = %s", claim)
    return [key for key in good if key[1] != mine]


def _name(client: Any) -> str:
    return str(client.make_qualified_table_name(LEASE.name))
