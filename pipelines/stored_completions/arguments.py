"""Whether the arguments of tool calls fit the JSON schema that the request gave for the tool.

Schemas and arguments are foreign: no reference is fetched, patterns run in linear time, and a schema
whose references could make it explode is not tried. What cannot be judged is unknown, never a misfit:
the tool was not among those offered, its schema is broken, or it is beyond these bounds.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from stored_completions.pages import is_strict

if TYPE_CHECKING:
    from jsonschema_rs import Validator

NOT_JSON = "not_json"

_MOST_STEPS = 20_000  # subschemas that one value may have to meet: about a millisecond
_MOST_NODES = 5_000
_MOST_CHAINED = 200  # references, one leading to the next
_PATTERN_BYTES = 1 << 20
_BY_NEIGHBOURS = ("unevaluatedProperties", "unevaluatedItems")  # they try all beside them once more

Verdict = tuple[bool | None, str | None]


def judged(completions: pa.Table, choices: pa.Table, tool_calls: pa.Table) -> tuple[pa.Table, pa.Table]:
    """`choices` and `tool_calls` with their columns …_fit and …_problem filled in."""
    schemas = _Schemas(completions)
    is_custom = pc.fill_null(pc.equal(tool_calls["type"], "custom"), False)
    is_called = pc.or_(_says(choices["function_call_name"]), _says(choices["function_call_arguments"]))
    return (
        _filled(choices, "function_call_", "function_call", is_called, schemas),
        _filled(tool_calls, "", "arguments", pc.invert(is_custom), schemas),
    )


def _says(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.greater(pc.binary_length(column), 0), False)


def _filled(
    table: pa.Table, named: str, prefix: str, may_be_judged: pa.ChunkedArray, schemas: "_Schemas"
) -> pa.Table:
    """`table` with the verdicts on those of its calls that may be judged, as far as they have arguments."""
    is_judged = pc.and_(may_be_judged, pc.is_valid(table[f"{named}arguments"]))
    calls = table.select(["completion_id", f"{named}name", f"{named}arguments"]).filter(is_judged)
    verdicts = [schemas.verdict(*call) for call in _rows(calls)]
    for at, (suffix, kind) in enumerate((("fit", pa.bool_()), ("problem", pa.string()))):
        place = table.schema.get_field_index(f"{prefix}_{suffix}")
        found = pa.array([verdict[at] for verdict in verdicts], kind)
        column = pc.replace_with_mask(pa.nulls(len(table), kind), is_judged.combine_chunks(), found)
        table = table.set_column(place, table.schema.field(place), column)
    return table


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


class _Schemas:
    """The tools that each completion was offered; those of equal text are read and compiled once."""

    def __init__(self, completions: pa.Table) -> None:
        offers = completions.select(["completion_id", "tools"])
        self._tools = dict(_rows(offers.filter(_says(offers["tools"]))))
        self._compiled: dict[str, dict[str, _Schema | None]] = {}

    def verdict(self, completion_id: str, name: str | None, arguments: str) -> Verdict:
        """Whether they fit, and if not the keyword of the schema that they break."""
        if not is_strict(arguments.encode()):
            return False, NOT_JSON
        schema = self._offered(completion_id).get(name or "")
        return schema.verdict(arguments) if schema else (None, None)

    def _offered(self, completion_id: str) -> "dict[str, _Schema | None]":
        text = self._tools.get(completion_id)
        if text is None:
            return {}
        if text not in self._compiled:
            self._compiled[text] = _read(text)
        return self._compiled[text]


def _read(tools: str) -> "dict[str, _Schema | None]":
    """A schema for each function by name; None where it is broken or given twice."""
    found: dict[str, _Schema | None] = {}
    for tool in _loaded(tools, list):
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(name := function.get("name"), str):
            found[name] = None if name in found else _compiled(function.get("parameters"))
    return found


def _loaded(text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return kind()
    return value if isinstance(value, kind) else kind()


def _compiled(schema: Any) -> "_Schema | None":
    if not isinstance(schema, dict):
        return None
    import jsonschema_rs

    patterns = jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES)
    try:
        effort = _Effort(schema)
        validator = jsonschema_rs.validator_for(schema, retriever=_fetch_nothing, pattern_options=patterns)
    except (ValueError, RecursionError):
        return None
    return _Schema(validator, effort)


def _fetch_nothing(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")


class _Schema:
    """One schema, ready to judge."""

    def __init__(self, validator: "Validator", effort: "_Effort") -> None:
        self._validator = validator
        self._effort = effort

    def verdict(self, arguments: str) -> Verdict:
        try:
            value = json.loads(arguments)
            if not self._effort.is_bounded_for(value):
                return None, None
            problem = next((error.kind.name for error in self._validator.iter_errors(value)), None)
        except (ValueError, RecursionError):
            return None, None
        return problem is None, problem


class _Effort:
    """How many subschemas a value can come to meet. References into the schema itself multiply: each
    level of the value, and each reference on the way, can lead through all of them again."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """ValueError for a schema too large to say, or with references other than to a place in itself."""
        self._schema = schema
        self._nodes = list(_nodes(schema))
        targets = {node["$ref"] for node in self._nodes if isinstance(node.get("$ref"), str)}
        self._targets = {reference: _place(schema, reference) for reference in targets}
        self._steps: list[dict[int, int]] = []
        chain = len(self._targets)
        self._is_recursive = self._at(chain) != self._at(chain + 1)

    def is_bounded_for(self, value: Any) -> bool:
        chain = len(self._targets) * (_depth(value) + 1 if self._is_recursive else 1)
        return chain <= _MOST_CHAINED and self._at(chain) <= _MOST_STEPS

    def _at(self, chain: int) -> int:
        """Subschemas met when at most so many references are followed one from the other."""
        while len(self._steps) <= chain:
            before = self._steps[-1] if self._steps else {}
            now: dict[int, int] = {}
            self._count(self._schema, before, now)
            for target in self._targets.values():
                self._count(target, before, now)
            self._steps.append(now)
        return self._steps[chain][id(self._schema)]

    def _count(self, node: Any, before: dict[int, int], now: dict[int, int]) -> int:
        if not isinstance(node, dict | list):
            return 0
        if id(node) not in now:
            inner = node.values() if isinstance(node, dict) else node
            steps = 1 + sum(self._count(each, before, now) for each in inner)
            if isinstance(node, dict):
                if isinstance(reference := node.get("$ref"), str):
                    steps += before.get(id(self._targets[reference]), 0)
                steps *= 3 ** sum(name in node for name in _BY_NEIGHBOURS)
            now[id(node)] = min(steps, _MOST_STEPS + 1)
        return now[id(node)]


def _nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    left: list[Any] = [schema]
    for _ in range(_MOST_NODES):
        if not left:
            return
        node = left.pop()
        if isinstance(node, dict):
            if any(word in node for word in ("$dynamicRef", "$recursiveRef")):
                raise ValueError("references that depend on where they are met")
            yield node
            left += [each for each in node.values() if isinstance(each, dict | list)]
        else:
            left += [each for each in node if isinstance(each, dict | list)]
    raise ValueError("a schema of very many parts")


def _place(schema: dict[str, Any], reference: str) -> Any:
    """What a reference such as #/$defs/address points to."""
    if reference != "#" and not reference.startswith("#/"):
        raise ValueError("a reference to elsewhere")
    node: Any = schema
    for part in reference.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or name not in node:
            raise ValueError("a reference to nothing")
        node = node[name]
    return node


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)
