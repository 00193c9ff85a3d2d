"""On what a first sync spends its CPU seconds, phase by phase; `python -m bench.run --profile` prints it."""

import json
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.accounts import Account
from bench.contenders import Job, environment, program
from bench.meter import Cost, measured
from bench.server import Server, served

HEADER = ("account", "phase", "CPU s", "% of all")


def rows(account: Account, runs: int) -> list[tuple[str, ...]]:
    """The table's rows about one account: medians, the heaviest phase first, then their sum and what it stands beside."""
    with (
        TemporaryDirectory(prefix="stored-completions-bench-") as name,
        served(account, Path(name)) as server,
    ):
        found = [_phases(server, Path(name)) for _ in range(runs)]
        one = median(_one_row(server, Path(name)) for _ in range(runs))
    spent = {phase: median(each.get(phase, 0.0) for each in found) for phase in set().union(*found)}
    total = sum(spent.values())
    ordered = sorted(spent.items(), key=lambda pair: -pair[1])
    return [
        (account.name, phase, f"{seconds:.2f}", f"{100 * seconds / total:.0f}")
        for phase, seconds in [*ordered, ("together", total), ("for comparison: dlt alone, one row", one)]
    ]


def _phases(server: Server, folder: Path) -> dict[str, float]:
    with TemporaryDirectory(dir=folder) as name:
        said = Path(name, "phases.json")
        _run("phases.py", server, Path(name), said)
        phases: dict[str, float] = json.loads(said.read_text())
    return phases


def _one_row(server: Server, folder: Path) -> float:
    with TemporaryDirectory(dir=folder) as name:
        return _run("one_row.py", server, Path(name)).cpu


def _run(name: str, server: Server, folder: Path, *more: Path) -> Cost:
    job = Job(server.base_url, server.ndjson, folder / "w.duckdb")
    return measured(program(name, job.warehouse, *more), folder, environment(job, folder))
