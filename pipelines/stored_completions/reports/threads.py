"""Turns in parts that memory has room for, each of whole threads: all that the SQL says of a turn is in its thread.

Which thread a turn is in is known only when it was told, but all turns of a thread begin with the same messages. So
what is kept together has the same first history, of those before an answer, that is also a whole prompt, whoever's;
and with them whoever sent just that prompt. Hashes that are the same by chance keep together what need not be.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import duckdb

from stored_completions.reports.marks import in_parts, inside

_MEMORY_OF_A_SYNC = 200_000_000
_BYTES_EACH = 700  # of memory, for a turn more than are to be told at once
_FIRST_HISTORIES = """
create or replace temp table first_histories as
select completion_id, arg_min(hash(history_hash), message_index) as history
from chat.messages
where role = 'assistant' and history_hash is not null and $which
    and hash(history_hash) in (select hash(prompt_hash) from chat.prompts where $which)
group by completion_id
"""
_KEPT_TOGETHER = """
create or replace temp table kept_together as
with gone_on_from as (
    select distinct history from first_histories
),
asked as (
    select
        prompts.completion_id,
        prompts.created_date,
        coalesce(first_histories.history, gone_on_from.history, hash(prompts.completion_id)) as thread
    from (select * from chat.prompts where $which) as prompts
    left join first_histories using (completion_id)
    left join gone_on_from on gone_on_from.history = hash(prompts.prompt_hash)
),
began as (
    select thread, min(created_date) as first_date from asked group by thread
)
select asked.*, began.first_date from asked join began using (thread)
"""


@dataclass(frozen=True)
class Part:
    """So many `turns`, and where they are: a condition on completion_id and created_date, good until the next part."""

    turns: int
    where: str


def parts(connection: duckdb.DuckDBPyConnection, at_once: int, which: str = "true") -> Iterator[Part]:
    """The completions whose messages were read of `which`, a condition on whole threads: each in one part.

    A part has so many turns `at_once`, more only where more are to be kept together.
    """
    turns = connection.execute(f"select count(*) from chat.prompts where {which}").fetchall()[0][0]
    if turns <= at_once:
        yield Part(turns, which)
        return
    for statement in (_FIRST_HISTORIES, _KEPT_TOGETHER):
        connection.execute(statement.replace("$which", which))
    for condition in _conditions(connection, at_once):
        connection.execute(
            "create or replace temp table turns_of_part as"
            f" select completion_id, created_date from kept_together where {condition}"
        )
        sizes = _sizes(connection, "created_date", "turns_of_part")
        if sizes:
            yield Part(
                sum(sizes.values()),
                f"{inside([*sizes])} and completion_id in (select completion_id from turns_of_part)",
            )
    for table in ("first_histories", "kept_together", "turns_of_part"):
        connection.execute(f"drop table {table}")


@contextlib.contextmanager
def room_for(connection: duckdb.DuckDBPyConnection, excess: int) -> Iterator[None]:
    """Lets DuckDB have more memory than a sync gives it meanwhile, for so many turns more than are told at once."""
    if excess <= 0:
        yield
        return
    with connection.cursor() as settings:  # a transaction that failed lets nothing be set
        before = settings.execute("select current_setting('memory_limit')").fetchall()[0][0]
        settings.execute(f"set global memory_limit = '{_MEMORY_OF_A_SYNC + excess * _BYTES_EACH} B'")
        try:
            yield
        finally:
            settings.execute(f"set global memory_limit = '{before}'")


def _conditions(connection: duckdb.DuckDBPyConnection, at_once: int) -> Iterator[str]:
    """By days on which threads begin, for what a thread is made of is close together; a day that has too many in parts."""
    sizes = _sizes(connection, "first_date", "kept_together")
    for days in in_parts(sizes, at_once):
        share = -(-sum(sizes[day] for day in days) // at_once)
        for rest in range(share):
            yield f"{inside(days, 'first_date')} and thread % {share} = {rest}"


def _sizes(connection: duckdb.DuckDBPyConnection, day: str, table: str) -> dict[date | None, int]:
    return dict(connection.execute(f"select {day}, count(*) from {table} group by {day}").fetchall())
