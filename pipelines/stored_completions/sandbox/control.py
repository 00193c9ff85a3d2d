"""The sandbox's own endpoints, under `/sandbox/`: another process can drive it with them."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from . import answers
from .answers import Answer
from .api import Request, kind
from .faults import Fault

if TYPE_CHECKING:
    from .server import Sandbox


def control(sandbox: "Sandbox", request: Request) -> Answer:
    """Answers a control request; a 400 says what it did not understand."""
    action = _ACTIONS.get((request.method, request.path))
    if action is None:
        return answers.unknown_url(request.method, request.path)
    try:
        return answers.ok(action(sandbox, request.body))
    except (ValueError, TypeError, KeyError, msgspec.MsgspecError) as error:
        return answers.error(400, f"{type(error).__name__}: {error}")


def _status(sandbox: "Sandbox", body: bytes) -> dict[str, Any]:
    requests = list(sandbox.requests)
    return {
        "completions": len(sandbox.account),
        "newest_created": sandbox.account.newest(),
        "now": sandbox.clock.now(),
        "requests": len(requests),
        "requests_by_kind": Counter(kind(method, path) for method, path, _ in requests),
        "faults_waiting": len(sandbox.faults),
        "seconds": round(sandbox.seconds, 3),
    }


def _clock(sandbox: "Sandbox", body: bytes) -> dict[str, Any]:
    """`{"now": unix second}` stops the clock there; `{"advance": seconds}` moves it."""
    said = _object(body, {"now", "advance"})
    if "now" in said:
        sandbox.clock.set(float(said["now"]))
    sandbox.clock.advance(float(said.get("advance", 0)))
    return {"now": sandbox.clock.now()}


def _faults(sandbox: "Sandbox", body: bytes) -> dict[str, Any]:
    """Appends a list of faults, or one."""
    said = json.loads(body)
    faults = [Fault.read(each) for each in (said if isinstance(said, list) else [said])]
    sandbox.faults.extend(faults)
    return {"faults_waiting": len(sandbox.faults)}


def _completions(sandbox: "Sandbox", body: bytes) -> dict[str, Any]:
    """Adds completions: a JSON list, or one a line."""
    is_list = body.lstrip()[:1] == b"["
    lines = map(bytes, msgspec.json.decode(body, type=list[msgspec.Raw])) if is_list else body.splitlines()
    return {"added": sandbox.account.add_lines(lines)}


def _rules(sandbox: "Sandbox", body: bytes) -> dict[str, Any]:
    """Changes some of the rules."""
    sandbox.rules = replace(sandbox.rules, **_object(body, set(sandbox.rules.__dataclass_fields__)))
    return {}


def _object(body: bytes, names: set[str]) -> dict[str, Any]:
    said = json.loads(body)
    if not isinstance(said, dict) or not said or not said.keys() <= names:
        raise ValueError(f"expected an object with some of: {', '.join(sorted(names))}")
    return said


_ACTIONS: dict[tuple[str, str], Callable[["Sandbox", bytes], dict[str, Any]]] = {
    ("GET", "/sandbox/status"): _status,
    ("POST", "/sandbox/clock"): _clock,
    ("POST", "/sandbox/faults"): _faults,
    ("POST", "/sandbox/completions"): _completions,
    ("POST", "/sandbox/rules"): _rules,
}
