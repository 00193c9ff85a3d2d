"""Input messages as a part of a sync: for completions that have none yet, round by round.

It goes on from what the warehouse says and needs no cursor: a completion is asked for until its
`messages_synced_at` is set, and one whose messages failed is left for the next run.
"""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stored_completions import schema
from stored_completions.client import Client
from stored_completions.errors import StoredCompletionsError, WarehouseError
from stored_completions.messages.asking import Asking
from stored_completions.messages.reader import Listed, read
from stored_completions.messages.rounds import MessageCounts, MessageRound
from stored_completions.messages.rows import prompt
from stored_completions.messages.wanted import Wanted, count, wanted
from stored_completions.progress import Watcher
from stored_completions.reader import Filter
from stored_completions.rounds import Bounds
from stored_completions.stop import Stop

if TYPE_CHECKING:
    from stored_completions.session import Session

_FEW = 2_000  # requests that are no reason to publish what was read before them


class MessageSync:
    """Reads a source's messages into the session's warehouse, where it waits for its turn."""

    def __init__(
        self,
        asking: Asking,
        source: str,
        query: Filter,
        session: "Session",
        stop: Stop,
        watcher: Watcher,
        bounds: Bounds,
    ) -> None:
        self.counts = MessageCounts()
        self._asking = asking
        self._source = source
        self._query = query
        self._session = session
        self._stop = stop
        self._watcher = watcher
        self._bounds = bounds
        self._left = 0
        self._places: dict[str, int] = {}
        self._round = self._new_round()

    def run(self, client: Client) -> StoredCompletionsError | None:
        """Reads what is wanted; what stopped it, once all that was read is written."""
        try:
            total = self._begin()
            asked = 0
            while chunk := self._chunk(total - asked):
                asked += len(chunk)
                self._read(client, chunk, total)
        except WarehouseError:
            raise
        except StoredCompletionsError as error:
            return error
        return None

    def _begin(self) -> int:
        """How many there are to be asked for. Where that takes long, what was loaded before is published first."""
        with self._session.turn:
            connection = self._session.store.connection
            if connection is None or self._session.store.is_empty:
                return 0
            if schema.is_behind(connection):
                connection = self._session.write().connection
                schema.renew(connection)
            waiting = count(connection, self._source, self._query)
            total = waiting if self._asking.most is None else min(waiting, self._asking.most)
            self._publish_at = time.monotonic() + (self._bounds.publish_every if total <= _FEW else 0.0)
            if total:
                self._hashes = self._session.hashes()
                self._publish_if_due()
            return total

    def _chunk(self, most: int) -> list[Wanted]:
        """The next to be asked for, in the order in which they are stored."""
        if most <= 0:
            return []
        most = min(most, self._bounds.messages)
        with self._session.turn:
            connection = self._session.write().connection
            found = wanted(connection, self._source, self._query, most=most, left=self._left)
        self._places = {each.completion_id: place for place, each in enumerate(found)}
        return found

    def _read(self, client: Client, chunk: list[Wanted], total: int) -> None:
        try:
            for listed in read(client, chunk, self._asking.in_flight, self._stop):
                self._take(listed)
                self._watcher.messages(self.counts.messages_synced + len(self._round), total)
        except WarehouseError:
            raise
        except StoredCompletionsError:
            self._write()
            raise
        self._write()
        if self._stop.is_wanted:
            raise self._stop.error()

    def _take(self, listed: Listed) -> None:
        wanted = listed.wanted
        if listed.error or (listed.is_gone and not wanted.is_settled):
            self._left += 1
            self.counts.messages_failed += 1
            return
        found = prompt(
            wanted.completion_id,
            wanted.created_date,
            listed.messages,
            wanted.answers,
            self._hashes,
            self._asking.images,
        )
        self._round.add(self._places[wanted.completion_id], wanted, found, listed.size)
        if self._round.bytes >= self._bounds.bytes:
            self._write()

    def _write(self) -> None:
        if not len(self._round):
            return
        with self._session.turn:
            if self._session.broken_by is not None:
                raise self._session.broken_by
            loading = self._session.write()
            self._round.write(loading.connection, loading.room.make)
            self.counts.add(self._round.counts)
            self._round = self._new_round()
            self._publish_if_due()

    def _publish_if_due(self) -> None:
        if time.monotonic() >= self._publish_at:
            self._session.publish_meanwhile()
            self._publish_at = time.monotonic() + self._bounds.publish_every

    def _new_round(self) -> MessageRound:
        return MessageRound(self._source, datetime.now(UTC), self._session.policy)
