"""On what a first sync spends its CPU seconds, phase by phase; `python -m bench.run --profile` prints it."""

import json
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.accounts import Account
from bench.contenders import Job, environment, program
from bench.meter import measured
from bench.server import Server, served

HEADER = ("account", "phase", "CPU s", "% of all")


def rows(account: Account, runs: int) -> list[tuple[str, ...]]:
    """The table's rows about one account: medians, the heaviest phase first and their sum last."""
    with (
        TemporaryDirectory(prefix="stored-completions-bench-") as name,
        served(account, Path(name)) as server,
    ):
        found = [_phases(server, Path(name)) for _ in range(runs)]
    spent = {phase: median(each.get(phase, 0.0) for each in found) for phase in set().union(*found)}
    total = sum(spent.values())
    ordered = sorted(spent.items(), key=lambda pair: -pair[1])
    return [
        (account.name, phase, f"{seconds:.2f}", f"{100 * seconds / total:.0f}")
        for phase, seconds in [*ordered, ("together", total)]
    ]


def _phases(server: Server, folder: Path) -> dict[str, float]:
    with TemporaryDirectory(dir=folder) as name:
        job = Job(server.base_url, server.ndjson, Path(name, "w.duckdb"))
        said = Path(name, "phases.json")
        measured(program("phases.py", job.warehouse, said), Path(name), environment(job, Path(name)))
        phases: dict[str, float] = json.loads(said.read_text())
    return phases
