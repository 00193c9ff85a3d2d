"""The dlt source: the only module that knows dlt's decorators, hints and state.

`stored_completions` is the source of a plain dlt pipeline, on any destination that dlt can merge
into. `sync` hands it rounds of its own instead, each a run with its cursor.

Every table is a root of its own and is loaded as Arrow under its natural key. For a plain pipeline
`delete-insert` is the one strategy that is exactly-once when a load dies half way; `sync` appends, at
half the cost, because `undo` makes its rounds all or nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from stored_completions.client import Client, Endpoint
from stored_completions.content.policy import policy as kept
from stored_completions.course import Course
from stored_completions.cursor import Cursor
from stored_completions.direct import Waiting
from stored_completions.lean import give_back
from stored_completions.reader import Filter, cursor_key, pages
from stored_completions.rounds import Round
from stored_completions.store import PIPELINE, RESOURCE
from stored_completions.tables import TABLES, Table
from stored_completions.walk import Pace

_MERGE = {"disposition": "merge", "strategy": "delete-insert"}


@dlt.source(name=PIPELINE, section=PIPELINE, max_table_nesting=0)
def stored_completions(
    api_key: str = dlt.secrets.value,
    base_url: str = "https://api.openai.com/v1",
    organization: str | None = None,
    project: str | None = None,
    api_version: str | None = None,
    model: str | None = None,
    metadata: Mapping[str, str] | None = None,
    max_pages: int | None = None,
    content: Any = "keep",
    content_key: str | None = None,
    logprobs: str = "all",
) -> DltResource:
    """Stored chat completions since the last run, as tables of schema `chat`.

    One run is one load package: bound a large first run with `max_pages`; the next goes on there.
    `model` and `metadata` filter on the server; each filter has a cursor of its own. A metadata pair
    that was removed from a completion stays behind in table metadata, unlike with `sync`. `content`
    (keep, hash with a `content_key`, drop, or a table of these by group) and `logprobs` are as `sync` has them.
    """
    policy = kept([content], logprobs, content_key)
    endpoint = Endpoint(api_key, base_url, organization, project, api_version)
    query = Filter(model, metadata or {})
    key = cursor_key(endpoint.place, query, "default")

    def new() -> Round:
        return Round("default", time.time_ns() // 1000, set(), policy=policy)

    def read(cursor: Cursor) -> Iterator[Round]:
        round_ = new()
        with Client(endpoint) as client:
            course = Course(cursor, Pace(), int(time.time()), newest_first=False)
            for taken in pages(client, course, query, max_pages, hashed=policy.hashed):
                round_.add(taken, lambda _: {})
                if round_.is_full:
                    yield round_
                    round_ = new()
        yield round_

    return _resource(key, read, _MERGE, lambda _, rows: rows.unify_dictionaries(), makes_tables=True)


@dlt.source(name=PIPELINE, section=PIPELINE, max_table_nesting=0)
def loaded_round(key: str, round_: Round, waiting: Waiting) -> DltResource:
    """One round that was read already, to be appended to a warehouse without these rows, which has all tables.

    dlt is handed columns only: the rows are put into `waiting`, for its destination to insert (see `direct`).
    """

    def read(_: Cursor) -> Iterator[Round]:
        yield round_
        give_back()

    def wait(table: Table, rows: pa.Table) -> pa.Table:
        waiting[table.name] = rows
        return table.schema.empty_table()

    return _resource(key, read, "append", wait, makes_tables=False)


def _resource(
    key: str,
    read: Callable[[Cursor], Iterator[Round]],
    disposition: Any,
    handed: Callable[[Table, pa.Table], pa.Table],
    *,
    makes_tables: bool,
) -> DltResource:
    """Rounds as dlt's resource; `handed` is what dlt gets of a table's rows."""

    @dlt.resource(name=RESOURCE)
    def completions() -> Iterator[Any]:
        state = dlt.current.resource_state()
        load_id = dlt.current.load_package_state()["load_id"]
        for round_ in read(Cursor.from_json(state.get(key, {}))):
            for table, rows in round_.tables(load_id):
                if rows.num_rows or makes_tables:
                    yield dlt.mark.with_table_name(handed(table, rows), table.name)
            if round_.cursor is not None:
                state[key] = round_.cursor.as_json()

    for table in TABLES:
        completions.apply_hints(
            table_name=table.name,
            primary_key=list(table.key),
            write_disposition=disposition,
            create_table_variant=True,
        )
    return completions
