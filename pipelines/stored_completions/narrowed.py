"""What a cursor with a filter is of: its key is a hash, but what could have been asked for is in the warehouse."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from stored_completions.reader import Filter, cursor_key

_MOST = 10_000

_ASKED_FOR = f"""
with models as (select distinct model from chat.completions where model is not null),
pairs as (select key, value from chat.metadata group by key, value order by count(*) desc, key, value limit {_MOST})
select model, null as key, null as value from models
union all
select null, key, value from pairs
union all
(select completions.model, pairs.key, pairs.value
from chat.completions join chat.metadata using (completion_id) join pairs using (key, value)
where completions.model is not null
group by completions.model, pairs.key, pairs.value
order by count(*) desc, completions.model, pairs.key, pairs.value
limit {_MOST})
"""


def narrowed(connection: duckdb.DuckDBPyConnection, sources: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """In words what each cursor would be of that asks for a model, a metadata pair or both, the 10,000 commonest.

    Whose values were dropped or hashed is not found, and neither is a filter of several pairs.
    """
    found = connection.execute(_ASKED_FOR).fetchall()
    return {
        cursor_key(source["base_url"], Filter(model, {key: value} if key else {}), source["source"]): (
            f"{_words(model, key, value)} of source {source['source']}"
        )
        for source in sources
        for model, key, value in found
    }


def _words(model: str | None, key: str | None, value: str | None) -> str:
    said = [f"model {model}"] if model else []
    said += [f"metadata {key}={value}"] if key else []
    return " and ".join(said)
