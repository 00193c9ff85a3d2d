"""The loader without a network, and its inverse: API objects from the tables alone, as `warehouse.md` promises."""

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from math import isnan
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet

from given import Row, rows
from stored_completions.completions import Rows
from stored_completions.items import item
from stored_completions.pages import read_page
from stored_completions.tables import Table

NOW = 1_700_000_000_000_000

Tables = dict[str, list[Row]]

_PLAIN = (
    "model service_tier system_fingerprint request_id input_user seed temperature top_p "
    "presence_penalty frequency_penalty"
).split()
_JSON = "tools tool_choice response_format moderation metadata".split()
_USAGE = {
    "prompt_tokens_details": {
        "cached_tokens": "cached_tokens",
        "cache_write_tokens": "cache_write_tokens",
        "audio_tokens": "prompt_audio_tokens",
        "text_tokens": "prompt_text_tokens",
        "image_tokens": "prompt_image_tokens",
    },
    "completion_tokens_details": {
        "reasoning_tokens": "reasoning_tokens",
        "audio_tokens": "completion_audio_tokens",
        "text_tokens": "completion_text_tokens",
        "accepted_prediction_tokens": "accepted_prediction_tokens",
        "rejected_prediction_tokens": "rejected_prediction_tokens",
    },
}


def same(left: Any, right: Any) -> bool:
    """Whether two completions are the same but for null, absent, [] and {}, and the order of choices."""
    return normal(_by_index(left)) == normal(_by_index(right))


def normal(value: Any) -> Any:
    """`value` such that `==` merges only null, absent, [] and {}, and numbers of one value (1 and 1.0)."""
    if isinstance(value, dict):
        members = {name: normal(item) for name, item in value.items()}
        return {name: item for name, item in members.items() if item is not None} or None
    if isinstance(value, list):
        return [normal(item) for item in value] or None
    if isinstance(value, float) and isnan(value):
        return "<NaN>"
    return (type(value).__name__, value) if isinstance(value, bool | str) else value


def _by_index(completion: Any) -> Any:
    """`completion` with its choices in the order of their index, if each has one of its own."""
    choices = completion.get("choices") if isinstance(completion, dict) else None
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        return completion
    indexes = [choice.get("index") for choice in choices]
    if not all(type(index) is int for index in indexes) or len(set(indexes)) < len(indexes):
        return completion
    return completion | {"choices": sorted(choices, key=lambda choice: choice["index"])}


def unescape(extra: Any) -> Any:
    """`extra` with its `$escaped` members put back in place."""
    if isinstance(extra, list):
        return [unescape(value) for value in extra]
    if not isinstance(extra, dict):
        return extra
    plain = {name: unescape(value) for name, value in extra.items() if not name.endswith("$escaped")}
    for name, text in extra.items():
        if name == "$escaped":
            plain |= json.loads(text, strict=False)
        elif name.endswith("$escaped"):
            plain[name.removesuffix("$escaped")] = json.loads(text, strict=False)
    return plain


def load(*bodies: bytes) -> Iterator[tuple[Table, pa.Table]]:
    """The tables of the objects that one list page carries."""
    loaded = Rows("default", NOW)
    for entry in read_page(b'{"object":"list","data":[' + b",".join(bodies) + b"]}").completions:
        found = item(entry)
        if found is None:
            loaded.set_aside(sha256(entry.text).hexdigest(), entry.body, "it has no usable id")
        else:
            loaded.add(found)
    return loaded.tables("load")


def read(tables: Iterable[tuple[Table, pa.Table]]) -> Tables:
    """The rows of Arrow tables, as a loader hands them over."""
    return {table.name: loaded.to_pylist() for table, loaded in tables}


def through_duckdb(tables: Iterable[tuple[Table, pa.Table]], folder: Path) -> Tables:
    """The same rows after a parquet file and a DuckDB table have held them, every JSON column found valid."""
    found: Tables = {}
    with duckdb.connect(folder / "rebuild.duckdb") as connection:
        connection.execute("set TimeZone = 'UTC'")
        for table, loaded in tables:
            path = folder / f"{table.name}.parquet"
            pyarrow.parquet.write_table(loaded, path)
            connection.execute(f"create table {table.name} as select * from read_parquet('{path}')")
            found[table.name] = rows(connection, f"from {table.name}")
            for column in table.columns:
                if column.type == "json":
                    invalid = f"from {table.name} where not json_valid({column.name})"
                    assert connection.execute(invalid).fetchall() == []
    return found


def rebuild(tables: Tables) -> dict[str, Any]:
    """Every completion by id, from the rows of the tables of schema chat."""
    children: dict[str, dict[Any, list[Row]]] = {}
    for name in ("choices", "tool_calls", "annotations", "logprobs", "top_logprobs", "usage"):
        children[name] = defaultdict(list)
        for row in tables[name]:
            keys = "completion_id choice_index kind token_index".split()
            depth = {"choices": 1, "usage": 1, "tool_calls": 2, "annotations": 2, "logprobs": 2}.get(name, 4)
            children[name][tuple(row[key] for key in keys[:depth])].append(row)
    return {row["completion_id"]: _completion(row, children) for row in tables["completions"]}


def _completion(row: Row, children: Any) -> Any:
    extra = unescape(json.loads(row["extra"] or "{}"))
    built = {"id": row["completion_id"], "object": "chat.completion", "created": _seconds(row["created_at"])}
    built |= {name: row[name] for name in _PLAIN}
    built |= {name: row[name] and json.loads(row[name]) for name in _JSON}
    key = (row["completion_id"],)
    built["choices"] = [
        _choice(choice, children)
        for choice in sorted(children["choices"][key], key=lambda choice: choice["choice_index"])
    ]
    built["usage"] = next((_usage(usage) for usage in children["usage"][key]), None)
    return _merge(built, extra)


def _choice(row: Row, children: Any) -> Any:
    key = (row["completion_id"], row["choice_index"])
    extra = unescape(json.loads(row["extra"] or "{}"))
    audio = {
        "id": row["audio_id"],
        "expires_at": _seconds(row["audio_expires_at"]),
        "transcript": row["audio_transcript"],
        "data": None if row["audio_data"] is None else base64.b64encode(row["audio_data"]).decode(),
    }
    message = {
        "role": row["role"],
        "content": row["content"],
        "refusal": row["refusal"],
        "function_call": {"name": row["function_call_name"], "arguments": row["function_call_arguments"]},
        "audio": audio,
        "tool_calls": [_tool_call(call) for call in _ordered(children["tool_calls"][key], "tool_call_index")],
        "annotations": [
            _annotation(item) for item in _ordered(children["annotations"][key], "annotation_index")
        ],
    }
    built = {"finish_reason": row["finish_reason"], "message": message, "logprobs": _logprobs(key, children)}
    if "logprobs" in extra:
        built["logprobs"] = None
    return _merge({"index": row["choice_index"]} | built, extra)


def _logprobs(key: Any, children: Any) -> Any:
    kinds: dict[str, list[Any]] = {"content": [], "refusal": []}
    for row in _ordered(children["logprobs"][key], "token_index"):
        alternatives = children["top_logprobs"][(*key, row["kind"], row["token_index"])]
        token = _token(row) | {"top_logprobs": [_token(item) for item in _ordered(alternatives, "rank")]}
        kinds[row["kind"]].append(token)
    return kinds


def _token(row: Row) -> Any:
    data = row["bytes"]
    return {"token": row["token"], "bytes": None if data is None else list(data), "logprob": row["logprob"]}


def _tool_call(row: Row) -> Any:
    place, argument = ("custom", "input") if row["type"] == "custom" else ("function", "arguments")
    built = {
        "id": row["tool_call_id"],
        "type": row["type"],
        place: {"name": row["name"], argument: row["arguments"]},
    }
    return _merge(built, unescape(json.loads(row["extra"] or "{}")))


def _annotation(row: Row) -> Any:
    citation = {name: row[name] for name in ("start_index", "end_index", "title", "url")}
    built = {"type": row["type"], "url_citation": citation}
    return _merge(built, unescape(json.loads(row["extra"] or "{}")))


def _usage(row: Row) -> Any:
    built: Any = {name: row[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    for part, names in _USAGE.items():
        built[part] = {name: row[column] for name, column in names.items()}
    return _merge(built, unescape(json.loads(row["extra"] or "{}")))


def _ordered(rows: list[Row], by: str) -> list[Row]:
    return sorted(rows, key=lambda row: row[by])


def _merge(built: Any, extra: Any) -> Any:
    """`built` with what `extra` holds put in; nested objects are merged."""
    merged = dict(built)
    for name, value in extra.items():
        nested = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merge(merged[name], value) if nested else value
    return merged


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else round((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
