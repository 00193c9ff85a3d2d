"""The table of turns: of the completions that changed since, the threads they are in are told anew, and no others.

Threads are told by hashes, so what a completion can be linked with is found by them: completions that were asked
the same as it or as a part of it, and those that send again an answer to what it was asked. These, and all others of
their threads, are what the SQL is asked about; for all that it says of a turn is in the turn's thread.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import duckdb

from stored_completions import models
from stored_completions.reports import threads
from stored_completions.reports.marks import Marks, inside
from stored_completions.tables import LOAD_ID

NAME = "turns"
MARKS = Marks(
    models.TURN_MARKS,
    "select created_date, count(*) as completions,"
    f" cast(sum(hash({LOAD_ID}, messages_synced_at, deleted_at)) as varchar) as state"
    " from chat.completions where messages_synced_at is not null group by created_date",
    ("completions", "state"),
)

_FEW = 0.25  # of all turns, that are no reason to tell all threads anew
_NARROWED = ("chat.prompts", "chat.completions", "chat.choices", "chat.messages", "marts.completion_costs")
_CHANGED = f"""
create or replace temp table changed_turns as
with found as (
    select prompts.completion_id, prompts.prompt_hash, completions.created_date,
        completions.messages_synced_at, completions.deleted_at, completions.{LOAD_ID} as load_id
    from (select * from chat.prompts where $days) as prompts
    join (select * from chat.completions where $days) as completions using (completion_id)
),
kept as (
    select completion_id, created_date, messages_synced_at, deleted_at, load_id from reports.turns where $days
)
select
    coalesce(found.completion_id, kept.completion_id) as completion_id,
    found.prompt_hash,
    coalesce(found.created_date, kept.created_date) as created_date,
    kept.completion_id is not null as was_there
from found
full join kept using (completion_id)
where found.load_id is distinct from kept.load_id
    or found.messages_synced_at is distinct from kept.messages_synced_at
    or found.deleted_at is distinct from kept.deleted_at
"""
_ASKED_ALIKE = """
insert into near_turns
with hashes as (
    select prompt_hash from changed_turns
    union
    select history_hash from (select * from chat.messages where $days)
    where role = 'assistant' and completion_id in (select completion_id from near_turns)
)
select completion_id, created_date from chat.prompts where prompt_hash in (from hashes)
"""
_SENDING_AGAIN = """
insert into near_turns
select completion_id, created_date
from (
    select completion_id, created_date, unnest(unknown_histories) as history
    from reports.turns where unknown_answers > 0
)
where history in (select md5_number_upper(prompt_hash) from changed_turns)
"""
_THEIR_THREADS = """
insert into near_turns
select completion_id, created_date from reports.turns where thread_id in (
    select thread_id from reports.turns where $days and completion_id in (select completion_id from near_turns)
)
"""


def refresh(connection: duckdb.DuckDBPyConnection, basis: str, at_once: int) -> None:
    """Brings the table up to what is in the warehouse, so many turns `at_once`; the caller commits."""
    stale = MARKS.stale(connection, basis)
    if not stale:
        return
    is_rebuilt = _has_other_basis(connection, basis) or _are_many_changed(connection, stale)
    if is_rebuilt:
        _tell(connection, at_once)
    elif _number(connection, "select count(*) from changed_turns"):
        _gather(connection)
        _tell(
            connection,
            at_once,
            f"{_days(connection)} and completion_id in (select completion_id from near_turns)",
        )
    for table in ("changed_turns", "near_turns"):
        connection.execute(f"drop table if exists {table}")
    MARKS.note(connection, basis, "true" if is_rebuilt else inside(stale))


def _has_other_basis(connection: duckdb.DuckDBPyConnection, basis: str) -> bool:
    return _number(connection, f"select count(*) from {MARKS.relation} where basis <> '{basis}'") > 0


def _are_many_changed(connection: duckdb.DuckDBPyConnection, stale: Sequence[date | None]) -> bool:
    """Whether all threads may as well be told anew; else table `changed_turns` has what to begin with."""
    connection.execute(_CHANGED.replace("$days", inside(stale)))
    changed = _number(connection, "select count(*) from changed_turns")
    return changed > _number(connection, "select count(*) from reports.turns") * _FEW


def _tell(connection: duckdb.DuckDBPyConnection, at_once: int, which: str = "true") -> None:
    """Tells turns anew, all or those of a condition on whole threads; it holds for those that are no more, too."""
    model = next(model for model in models.models("reports") if model.name == NAME)
    connection.execute(f"delete from {model.relation} where {which}")
    for part in threads.parts(connection, at_once, which):
        sql = model.sql
        for relation in _NARROWED:
            sql = sql.replace(f"select * from {relation}\n", f"select * from {relation} where {part.where}\n")
        with threads.room_for(connection, part.turns - at_once):
            connection.execute(
                f"insert into {model.relation} select * from (\n{sql}\n) order by created_date"
            )


def _gather(connection: duckdb.DuckDBPyConnection) -> None:
    """Table `near_turns`: the completions that changed, and all whose turns may be others by it.

    What was linked with the former words of a completion can be linked with another now: it is looked for among
    the threads found, once more.
    """
    connection.execute(
        "create or replace temp table near_turns as select completion_id, created_date from changed_turns"
    )
    steps = [_ASKED_ALIKE, _SENDING_AGAIN, _THEIR_THREADS]
    if _number(connection, "select count(*) from changed_turns where was_there"):
        steps += [_ASKED_ALIKE, _THEIR_THREADS]
    for step in steps:
        connection.execute(step.replace("$days", _days(connection)))


def _days(connection: duckdb.DuckDBPyConnection) -> str:
    rows: Iterable[Any] = connection.execute("select distinct created_date from near_turns").fetchall()
    return inside([row[0] for row in rows])


def _number(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(connection.execute(sql).fetchall()[0][0])
