"""The policy on its way to the warehouse: over the Arrow tables of a round, before anybody writes them.

Column by column, each distinct value once. NULL stays NULL. Where only a completion was purged, its
rows lose everything while those beside them follow the policy.
"""

from collections.abc import Callable, Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stored_completions.content import documents
from stored_completions.content.groups import (
    EXEMPT,
    EXTRA,
    GROUPS,
    HASHES,
    JSON_TEXT,
    MESSAGES,
    WHOLE,
    group_of,
)
from stored_completions.content.policy import DROP, DROPPED, ERASED, HASH, KEEP, NONE, TOKENS_ONLY, Policy
from stored_completions.tables import Column, Table

Change = Callable[[Any], Any]


def treated(table: Table, rows: pa.Table, policy: Policy, purged: Collection[str] = ()) -> pa.Table:
    """`rows` of a table, with its columns or some of them, as the policy leaves them."""
    rows = _wanted(table, rows, policy)
    if not purged or "completion_id" not in rows.schema.names:
        return _under(policy, table, rows)
    rows = _plain(rows)
    result = _under(policy, table, rows)
    is_purged = pc.is_in(rows["completion_id"], value_set=pa.array(list(purged), pa.string()))
    if not pc.any(is_purged, min_count=0).as_py():
        return result
    erased = _under(ERASED, table, rows)
    pairs = zip(erased.columns, result.columns, strict=True)
    return pa.table([pc.if_else(is_purged, *pair) for pair in pairs], schema=rows.schema)


def _wanted(table: Table, rows: pa.Table, policy: Policy) -> pa.Table:
    """Without the logprobs that are not asked for; and attachments are kept as they are or not at all."""
    unwanted = {NONE: ("logprobs", "top_logprobs"), TOKENS_ONLY: ("top_logprobs",)}.get(policy.logprobs, ())
    unwanted += ("attachments",) if policy.levels[MESSAGES] != KEEP else ()
    return rows.slice(0, 0) if table.name in unwanted else rows


def _plain(rows: pa.Table) -> pa.Table:
    """The same values without dictionaries, which Arrow cannot choose between."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def _under(policy: Policy, table: Table, rows: pa.Table) -> pa.Table:
    columns = {column.name: column for column in table.columns}
    for place, name in enumerate(rows.schema.names):
        change = _change(policy, table, columns[name])
        if change is not None:
            rows = rows.set_column(place, rows.schema.field(place), _each(rows[name], change))
    return rows


def _each(column: pa.ChunkedArray, change: Change) -> pa.Array:
    """Each distinct value changed once; an empty one says no more than NULL does, and stays."""
    encoded = column.combine_chunks().dictionary_encode()
    values = pa.array(
        [change(value) if value else value for value in encoded.dictionary.to_pylist()], column.type
    )
    return values.take(encoded.indices)


def _change(policy: Policy, table: Table, column: Column) -> Change | None:
    """What becomes of each value of a column; None if they stay as they are."""
    group = group_of(table.name, column)
    if group == EXEMPT:
        return None
    if group == EXTRA:
        return documents.extra(policy, table.name)
    level = policy.level(GROUPS if group == WHOLE else HASHES.get(column.name, (group,)))
    if level == KEEP or (column.name in HASHES and (level == HASH or policy.has_key)):
        return None
    return _in_place(policy, level, column)


def _in_place(policy: Policy, level: str, column: Column) -> Change:
    if column.type == "json" and column.name == "metadata":
        return documents.pairs(policy, level)
    if column.type == "json" or column.name in JSON_TEXT:
        return documents.whole(policy, level)
    if column.name in HASHES:
        return lambda _: None
    if level == DROP:
        marker = DROPPED.encode() if column.type == "binary" else DROPPED
        return lambda _: marker
    return policy.digest if column.type == "binary" else documents.hashed_text(policy)
