"""A sync that says on what it spent its CPU seconds: phases.py WAREHOUSE FILE, where FILE gets them as JSON.

The functions that stand for a phase are wrapped; what they call of another phase counts there alone. What is
left over was spent by threads that run no Python, which are DuckDB's.
"""

import builtins
import importlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from threading import local
from typing import Any

from stored_completions import cli, lean

IMPORTS = "start, imports"
PHASES = {
    "HTTP": ["client:Client._reply"],
    "pages into completions": ["page_decoder:PageDecoder.read"],
    "ids, hashes": ["reader:_take"],
    "walk": ["course:Course.take"],
    "look for known ids": ["store:Store.known", "store:Store.purged"],
    "completions into rows": ["rounds:Round.add"],
    "rows into columns": ["completions:Rows._gather", "completions:stamp"],
    "logprobs into columns": ["completions:logprob_tables"],
    "hash answers, judge arguments": ["messages.hashes:_hashed", "completions:judged"],
    "dlt": ["loading:Loading._made", "dlt.pipeline.pipeline:Pipeline.run"],
    "insert": ["direct:_Job.run"],
    "prices": ["definitions:prices.load"],
    "tables, views, comments": [
        "loading:blank.fill",
        "definitions:models.create_views",
        "definitions:models.comment_tables",
    ],
    "costs by day": ["session:rollup.refresh"],
    "checkpoint": ["publishing:_stamp"],
    "copy": ["publishing:make_copy"],
    "the rest of the sync": ["cli:cli.main"],
}

_spent: defaultdict[str, float] = defaultdict(float)
_thread = local()


def counted(phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its thread's CPU time going to the phase while no other is entered from it."""

    def called(*arguments: Any, **named: Any) -> Any:
        before = getattr(_thread, "phase", None)
        _enter(phase)
        try:
            return function(*arguments, **named)
        finally:
            _enter(before)

    return called


def _enter(phase: str | None) -> None:
    now = time.thread_time()
    if getattr(_thread, "phase", None):
        _spent[_thread.phase] += now - _thread.since
    _thread.phase, _thread.since = phase, now


def wrap(phase: str, place: str) -> None:
    module, _, path = place.partition(":")
    is_ours = not module.startswith(("dlt", "pyarrow"))
    owner: Any = importlib.import_module(f"stored_completions.{module}" if is_ours else module)
    *outer, name = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    setattr(owner, name, counted(phase, getattr(owner, name)))


def main(warehouse: str, file: str) -> None:
    lean.settle()  # before Arrow is imported, as a sync does
    for phase, places in PHASES.items():
        for place in places:
            wrap(phase, place)
    _spent[IMPORTS] = time.process_time()
    builtins.__import__ = counted(IMPORTS, builtins.__import__)
    sys.argv = ["stored-completions", "sync", "--warehouse", warehouse]
    try:
        cli.cli.main()
    finally:
        _spent["threads of DuckDB"] = time.process_time() - sum(_spent.values())
        Path(file).write_text(json.dumps(_spent))


main(*sys.argv[1:])
