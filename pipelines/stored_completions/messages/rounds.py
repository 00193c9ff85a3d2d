"""A round of messages: rows of many completions, and their `messages_synced_at`, in one transaction.

No load package is involved, so there is nothing to undo: a run that is cut anywhere has either all of a
round or nothing. Of the completions only the one column is written, in place.
"""

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa

from stored_completions.content.policy import Policy
from stored_completions.content.stage import treated
from stored_completions.messages.attachments import Attachment
from stored_completions.messages.rows import Prompt
from stored_completions.messages.wanted import Wanted
from stored_completions.room import MakeRoom
from stored_completions.tables import ATTACHMENTS, MESSAGES, PROMPTS, QUARANTINE, Table


@dataclass
class MessageCounts:
    """What a run did about messages, as `sync_runs` names it."""

    messages_synced: int = 0
    messages_loaded: int = 0
    messages_failed: int = 0

    def add(self, other: "MessageCounts") -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    @property
    def has_something(self) -> bool:
        """Whether there was anything to be read; what failed is worth a row of sync_runs too."""
        return bool(self.messages_synced or self.messages_failed)

    def sentences(self) -> list[str]:
        """What a person wants to know of it."""
        said = []
        if self.messages_synced:
            messages = "message" if self.messages_loaded == 1 else "messages"
            said.append(
                f"{self.messages_loaded:,} input {messages} of {self.messages_synced:,} completions read."
            )
        if self.messages_failed:
            said.append(
                f"Those of {self.messages_failed:,} could not be read: the next sync with --messages tries again."
            )
        return said


class MessageRound:
    """Gathers completions until it is written; of their content what `policy` lets be kept."""

    def __init__(self, source: str, now: datetime, policy: Policy) -> None:
        self._source = source
        self._now = now
        self._policy = policy
        self._days: dict[str, date | None] = {}
        self._prompts: list[tuple[int, Prompt]] = []
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._days)

    def add(self, place: int, wanted: Wanted, prompt: Prompt, size: int) -> None:
        """Adds what one completion was asked; rows are stored in the order of `place`."""
        self._days[wanted.completion_id] = wanted.created_date
        self._prompts.append((place, prompt))
        self.bytes += size

    @property
    def counts(self) -> MessageCounts:
        return MessageCounts(len(self._days), sum(len(prompt.messages) for _, prompt in self._prompts))

    def write(self, connection: duckdb.DuckDBPyConnection, make_room: MakeRoom) -> None:
        """Commits everything, or nothing; after an error the caller closes the connection.

        `make_room` is called with the rows of a table before they are inserted.
        """
        prompts = [prompt for _, prompt in sorted(self._prompts, key=lambda pair: pair[0])]
        known = [day for day in self._days.values() if day is not None]
        chosen = [list(self._days), min(known, default=None), max(known, default=None)]
        new = (
            (MESSAGES, [row for prompt in prompts for row in prompt.messages]),
            (PROMPTS, [prompt.prompt for prompt in prompts if prompt.prompt]),
            (ATTACHMENTS, self._attachments(prompts)),
            (QUARANTINE, self._misfits(connection, prompts)),
        )
        loaded = [(table, treated(table, _arrow(table, rows), self._policy)) for table, rows in new if rows]
        for _, rows in loaded:
            make_room(rows)
        connection.execute("begin")
        for table in (MESSAGES, PROMPTS):
            connection.execute(f"delete from chat.{table.name} where {_CHOSEN}", chosen)
        for table, rows in loaded:
            _insert(connection, table, rows)
        connection.execute(
            f"update chat.completions set messages_synced_at = ? where {_CHOSEN}", [self._now, *chosen]
        )
        connection.execute("commit")

    def _attachments(self, prompts: list[Prompt]) -> list[tuple[Any, ...]]:
        found: dict[str, Attachment] = {
            attachment.sha256: attachment for prompt in prompts for attachment in prompt.attachments
        }
        return [(each.sha256, each.media_type, each.data, self._now) for each in found.values()]

    def _misfits(self, connection: duckdb.DuckDBPyConnection, prompts: list[Prompt]) -> list[tuple[Any, ...]]:
        """Rows of quarantine; they carry the newest load package's id, for no package brings them."""
        load_id = connection.execute("select max(load_id) from chat._dlt_loads").fetchall()[0][0]
        found = {self._policy.body_hash(entry): entry.body for prompt in prompts for entry in prompt.misfits}
        return [(digest, self._source, _MISFIT, text, self._now, load_id) for digest, text in found.items()]


_SHARED = (ATTACHMENTS, QUARANTINE)
_MISFIT = "it is listed as an input message, but is no object"
_CHOSEN = "completion_id in (select unnest(?::varchar[])) and (created_date between ? and ? or created_date is null)"


def _arrow(table: Table, rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, table.schema, strict=True)]
    return pa.table(arrays, schema=table.schema)


def _insert(connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    """Adds rows; of tables that others add to as well, those whose key is not there."""
    key = table.key[0]
    new = f" where {key} not in (select {key} from chat.{table.name})" if table in _SHARED else ""
    connection.register("loaded", rows)
    connection.execute(f"insert into chat.{table.name} by name from loaded{new}")
    connection.unregister("loaded")
