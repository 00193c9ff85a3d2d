"""The dlt source: the only module that knows dlt's decorators, hints and state.

`stored_completions` is the source of a plain dlt pipeline, on any destination that dlt can merge
into. `sync` hands it rounds of its own instead, each a run with its cursor.

Every table is a root of its own and is loaded as Arrow under its natural key. For a plain pipeline
`delete-insert` is the one strategy that is exactly-once when a load dies half way; `sync` appends, at
half the cost, because `undo` makes its rounds all or nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import dlt
from dlt.common.libs.pyarrow import py_arrow_to_table_schema_columns
from dlt.common.schema import Schema
from dlt.common.schema.utils import new_table
from dlt.extract import DltResource, DltSource

from stored_completions.client import Client
from stored_completions.content.policy import policy as kept
from stored_completions.course import Course
from stored_completions.cursor import Cursor
from stored_completions.direct import Waiting
from stored_completions.endpoint import Endpoint
from stored_completions.lean import give_back
from stored_completions.reader import Filter, cursor_key, pages
from stored_completions.rounds import Round
from stored_completions.store import PIPELINE, RESOURCE
from stored_completions.tables import COMPLETIONS, TABLES
from stored_completions.walk import Pace

_MERGE: Any = {"disposition": "merge", "strategy": "delete-insert"}


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

    return _resource(key, read)


def loaded_round(key: str, round_: Round, waiting: Waiting) -> DltSource:
    """One round that was read already, to be appended to a warehouse without these rows, which has all tables.

    dlt is handed the columns of completions only, and the schema of all tables, which whoever opens the warehouse with
    dlt finds there: each further table costs it a file and a job. The rows are put into `waiting`, for its destination
    to insert (see `direct`).
    """

    @dlt.resource(name=RESOURCE, write_disposition="append")
    def completions() -> Iterator[Any]:
        load_id = dlt.current.load_package_state()["load_id"]
        waiting.clear()
        waiting.update({table.name: rows for table, rows in round_.tables(load_id) if rows.num_rows})
        yield COMPLETIONS.schema.empty_table()
        if round_.cursor is not None:
            dlt.current.resource_state()[key] = round_.cursor.as_json()
        give_back()

    source = DltSource(_schema().clone(), PIPELINE, [completions()])
    source.max_table_nesting = 0
    return source


@cache
def _schema() -> Schema:
    """The tables as dlt describes them, as if each had rows already."""
    schema = Schema(PIPELINE)
    for table in TABLES:
        columns = py_arrow_to_table_schema_columns(table.schema)
        for name in table.key:
            columns[name]["primary_key"] = True
        described = new_table(
            table.name, write_disposition="append", columns=list(columns.values()), resource=RESOURCE
        )
        described["x-normalizer"] = {"seen-data": True}
        schema.update_table(described)
    return schema


def _resource(key: str, read: Callable[[Cursor], Iterator[Round]]) -> DltResource:
    @dlt.resource(name=RESOURCE)
    def completions() -> Iterator[Any]:
        state = dlt.current.resource_state()
        load_id = dlt.current.load_package_state()["load_id"]
        for round_ in read(Cursor.from_json(state.get(key, {}))):
            for table, rows in round_.tables(load_id):
                yield dlt.mark.with_table_name(rows.unify_dictionaries(), table.name)
            if round_.cursor is not None:
                state[key] = round_.cursor.as_json()

    for table in TABLES:
        completions.apply_hints(
            table_name=table.name,
            primary_key=list(table.key),
            write_disposition=_MERGE,
            create_table_variant=True,
        )
    return completions
