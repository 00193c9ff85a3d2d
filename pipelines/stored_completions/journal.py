"""`last_run.json`: the last run, those that changed nothing, and where their walks stand.

A run that changes nothing writes nothing to the warehouse. It is noted here, per warehouse file,
enters `sync_runs` with the next change, and its cursor saves the next run the same reading again.
A cursor only counts while the warehouse still stands where that run found it.
"""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from filelock import FileLock

from stored_completions.warehouse import Files

_MOST_RUNS = 10_000
_IN_EACH_RUN = {"run_id", "source", "started_at", "finished_at", "outcome"}


@dataclass
class Notes:
    """What is noted of one warehouse: the last run, those not yet in it, cursors by `basis`."""

    last: dict[str, Any] | None = None
    runs: list[dict[str, Any]] = field(default_factory=list)
    basis: str | None = None
    cursors: dict[str, Any] = field(default_factory=dict)

    def cursors_at(self, basis: str | None) -> dict[str, Any]:
        """The cursors that are later than the warehouse's, if it stands at `basis`."""
        return self.cursors if self.basis == basis else {}


def read(files: Files) -> Notes:
    """The notes of this warehouse; empty ones if there are none or they cannot be read."""
    noted = _all(files.journal).get(files.published.name)
    if not isinstance(noted, dict):
        return Notes()
    found = Notes(**{each.name: noted[each.name] for each in fields(Notes) if each.name in noted})
    return found if _is_sound(found) else Notes()


def _is_sound(notes: Notes) -> bool:
    """Whether this program could have written them: whoever reads them may rely on it."""
    if not isinstance(notes.runs, list):
        return False
    runs = [*notes.runs, *([notes.last] if notes.last is not None else [])]
    return (
        all(isinstance(run, dict) and run.keys() >= _IN_EACH_RUN for run in runs)
        and isinstance(notes.cursors, dict)
        and all(isinstance(cursor, dict) for cursor in notes.cursors.values())
    )


def write(files: Files, notes: Notes) -> None:
    """Replaces the notes of this warehouse, in one step."""
    notes.runs = notes.runs[-_MOST_RUNS:]
    with FileLock(files.journal.with_suffix(".lock")):
        everything = _all(files.journal) | {files.published.name: vars(notes)}
        new = files.journal.with_suffix(".new")
        new.write_text(json.dumps(everything, indent=1))
        new.replace(files.journal)


def _all(path: Path) -> dict[str, Any]:
    try:
        noted = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}
