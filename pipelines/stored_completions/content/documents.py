"""What stands in place of a JSON document, so that whoever reads JSON still finds some.

A document is one JSON string in place of itself. The object of `metadata` keeps its keys, and `extra`
its fields, with numbers, true and false among them: each other value is a string of that kind.
"""

import json
from collections.abc import Callable
from typing import Any

from stored_completions import pages
from stored_completions.content.groups import MEMBERS, Rules
from stored_completions.content.policy import ALL, DROP, DROPPED, HASHED, KEEP, NONE, Policy
from stored_completions.extra import ESCAPED

Change = Callable[[str], str]

_DROPPED = f'"{DROPPED}"'.encode()
_NOTHING = (b"null", b'""')
_PLAIN_STARTS = tuple(bytes((sign,)) for sign in b"-0123456789tfn")  # of numbers, true, false and null


def hashed_text(policy: Policy) -> Change:
    return lambda text: text if text == DROPPED else HASHED + policy.digest(text.encode()).hex()


def whole(policy: Policy, level: str) -> Change:
    return lambda text: _marked(policy, level, text.encode()).decode()


def pairs(policy: Policy, level: str) -> Change:
    """Of an object, what becomes of its values. A text has the hash that it has in a column of its own."""

    def value(raw: bytes) -> bytes:
        return raw if raw in _NOTHING else _marked(policy, level, _unquoted(raw))

    def change(text: str) -> str:
        members = pages.fields(text.encode())
        if members is None:
            return _marked(policy, level, text.encode()).decode()
        return pages.joined({name: value(raw) for name, raw in members.items()}).decode()

    return change


def extra(policy: Policy, table: str) -> Change | None:
    """What becomes of the fields without a column; None if they all stay."""
    if policy.keeps_all and (policy.logprobs == ALL or table != "choices"):
        return None
    rest, rules = MEMBERS[table]
    return lambda text: _object(policy, text.encode(), rest, rules).decode()


def _object(policy: Policy, raw: bytes, rest: str, rules: Rules) -> bytes:
    """The object with each member as its rule says; what no rule names belongs to the group `rest`."""
    members = pages.fields(raw) or {}
    if policy.logprobs != ALL:
        members = _without_logprobs(members, policy.logprobs)
    return pages.joined({name: _member(policy, name, value, rest, rules) for name, value in members.items()})


def _member(policy: Policy, name: str, raw: bytes, rest: str, rules: Rules) -> bytes:
    rule = rules.get(name.removesuffix(ESCAPED))
    if isinstance(rule, tuple):
        return _marked(policy, policy.level(rule), raw)
    if rule is not None and raw.startswith(b"{"):
        return _object(policy, raw, rest, rule)
    return raw if raw.startswith(_PLAIN_STARTS) else _marked(policy, policy.level((rest,)), raw)


def _without_logprobs(members: pages.Fields, wanted: str) -> pages.Fields:
    """Without those that did not fit their tables, or without their alternatives."""
    kept = {name: raw for name, raw in members.items() if name.removesuffix(ESCAPED) != "logprobs"}
    if wanted == NONE or len(kept) == len(members):
        return kept
    raw = members.get("logprobs", b"")
    is_cut = raw.startswith(b"{")
    return kept | {"logprobs": _dumped(_without_alternatives(pages.loads(raw))) if is_cut else _DROPPED}


def _without_alternatives(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_alternatives(item) for name, item in value.items() if name != "top_logprobs"}
    return list(map(_without_alternatives, value)) if isinstance(value, list) else value


def _marked(policy: Policy, level: str, raw: bytes) -> bytes:
    """The JSON that stands in place of a value."""
    if level == KEEP or raw in _NOTHING:
        return raw
    return _DROPPED if level == DROP else f'"{HASHED}{policy.digest(raw).hex()}"'.encode()


def _unquoted(raw: bytes) -> bytes:
    """The text of a JSON string; anything else as it is."""
    return str(pages.loads(raw)).encode() if raw.startswith(b'"') else raw


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
