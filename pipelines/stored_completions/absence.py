"""What a whole list does not show although the warehouse has it: how much that is, and what it may mean.

That a completion is not listed does not say that it was deleted. It can be older than what the API
keeps; the list can be of another project, empty for want of permission, or not whole. So a list is
doubted first, and then each completion is asked for by its own id: only a 404 there counts.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from stored_completions.client import Client
from stored_completions.errors import NotFound
from stored_completions.pages import fields, utf8
from stored_completions.reader import Filter

_AT_ONCE = 200
_THREADS = 8
_CONTROLS = 3
_HELD = """
with listed as (
    select distinct completion_id from {seen} where key = $key
),
oldest as (
    select min(completions.created_at) as created_at
    from chat.completions
    where completions.completion_id in (select completion_id from listed)
),
held as (
    select
        completions.completion_id,
        completions.created_at,
        completions.completion_id in (select completion_id from listed) as is_listed,
        coalesce(completions.created_at < (select created_at from oldest), false) as is_older,
        completions.created_at is null
            or list_contains($unsure, epoch_us(completions.created_at) // 1000000) as is_unsure
    from chat.completions
    where completions.source = $source
        and completions.deleted_at is null
        and completions.first_seen_at <= $began_at
        and ($until is null or completions.created_at <= $until)
        and ($since is null or completions.created_at >= $since)
        and ($model is null or completions.model = $model)
{pairs})
"""
_PAIR = (
    "        and completions.completion_id in"
    " (select completion_id from chat.metadata where key = $key{at} and value = $value{at})\n"
)


@dataclass(frozen=True)
class Scope:
    """The completions of the warehouse that a list should have shown: of one source and filter, first seen
    before the list began, created from `since` to `until`. `seen` is the table of the ids that were listed;
    the seconds `unsure` may not have been listed whole.
    """

    seen: str
    key: str
    source: str
    query: Filter
    began_at: datetime
    since: datetime | None = None
    until: datetime | None = None
    unsure: Sequence[int] = ()


@dataclass(frozen=True)
class Absence:
    """Of `listed` completions `known` were in the warehouse before; of those that the list should have shown,
    `absent` were not, for the `unsure` nobody can say, and `expired` are older than all that were listed, the
    oldest of which was created at `listed_from`.
    """

    listed: int
    known: int
    absent: int
    unsure: int
    expired: int
    listed_from: datetime | None

    @property
    def share(self) -> float:
        """The share of the completions that the list should have shown, and did not."""
        return self.absent / (self.known + self.absent) if self.absent else 0.0


def measure(connection: duckdb.DuckDBPyConnection, scope: Scope) -> Absence:
    """How a list compares with the warehouse; one that shows nothing has no oldest, so nothing is expired."""
    row = _rows(
        connection,
        scope,
        "select (select count(*) from listed), count(*) filter (where is_listed),"
        " count(*) filter (where not is_listed and not is_older and not is_unsure),"
        " count(*) filter (where not is_listed and not is_older and is_unsure),"
        " count(*) filter (where not is_listed and is_older), (select created_at from oldest) from held",
    )[0]
    return Absence(*row)


def absent(connection: duckdb.DuckDBPyConnection, scope: Scope) -> list[str]:
    """The ids that the list should have shown and did not, oldest first."""
    rows = _rows(
        connection,
        scope,
        "select completion_id from held where not is_listed and not is_older and not is_unsure"
        " order by created_at, completion_id",
    )
    return [row[0] for row in rows]


def controls(connection: duckdb.DuckDBPyConnection, scope: Scope) -> list[str]:
    """A few ids that were listed: a server that answers 404 for all of them cannot be believed in that."""
    chosen = f"select completion_id from listed order by hash(completion_id) limit {_CONTROLS}"
    return [row[0] for row in _rows(connection, scope, chosen)]


def is_believed(client: Client, listed: Sequence[str]) -> bool:
    """Whether the server knows by its id what it has just listed; without a list nobody can say."""
    return not listed or not all(is_gone(client, id_) for id_ in listed)


def asked(client: Client, ids: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Asks for each completion by its id: those that are gone and those that are still there, some at a time."""
    with ThreadPoolExecutor(_THREADS, "ask") as pool:
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            gone = dict(zip(some, pool.map(lambda id_: is_gone(client, id_), some), strict=True))
            yield [id_ for id_ in some if gone[id_]], [id_ for id_ in some if not gone[id_]]


def is_gone(client: Client, completion_id: str) -> bool:
    """Whether the server answers 404 for the completion itself."""
    try:
        client.completion(_object, completion_id)
    except NotFound:
        return True
    return False


def _object(body: bytes) -> None:
    if fields(utf8(body)) is None:
        raise ValueError("no object")


def _rows(connection: duckdb.DuckDBPyConnection, scope: Scope, select: str) -> list[tuple[Any, ...]]:
    pairs = enumerate(scope.query.metadata.items())
    metadata = {
        f"{part}{at}": each for at, pair in pairs for part, each in zip(("key", "value"), pair, strict=True)
    }
    sql = _HELD.format(
        seen=scope.seen, pairs="".join(_PAIR.format(at=at) for at in range(len(scope.query.metadata)))
    )
    values = {
        "key": scope.key,
        "source": scope.source,
        "began_at": scope.began_at.astimezone(UTC),
        "since": scope.since,
        "until": scope.until,
        "model": scope.query.model,
        "unsure": list(scope.unsure),
    }
    return connection.execute(sql + select, values | metadata).fetchall()
