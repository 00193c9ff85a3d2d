"""The destinations that the suite is run on, each a function that gives a fresh dataset, and the matrix at its end."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers

_COUNTED: dict[str, Counter[str]] = {}


@pytest.fixture(scope="session")
def postgresql_port() -> Iterator[int]:
    with servers.postgresql() as port:
        yield port


@pytest.fixture(params=["postgres"])
def destination(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """dlt's name of a destination that is configured, for this process and those that it starts, and still empty."""
    dataset = re.sub(r"\W", "_", f"chat_{tmp_path.name}").lower()
    settings = {"SOURCES__STORED_COMPLETIONS__DATASET": dataset}
    if request.param == "postgres":
        port = request.getfixturevalue("postgresql_port")
        settings["DESTINATION__POSTGRES__CREDENTIALS"] = (
            f"postgresql://loader:{servers.PASSWORD}@127.0.0.1:{port}/warehouse"
        )
    for name, value in (settings | {"SOURCES__STORED_COMPLETIONS__DESTINATION": request.param}).items():
        monkeypatch.setenv(name, value)
    return str(request.param)


@pytest.hookimpl
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        name, _, rest = report.nodeid.rpartition("::")[2].partition("[")
        _COUNTED.setdefault(name, Counter())[f"{rest.rstrip(']') or 'all'} {report.outcome}"] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was run where: the destination by test matrix."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        return
    terminalreporter.section("destination by test")
    for name, counts in sorted(_COUNTED.items()):
        said = ", ".join(f"{what} {number}" for what, number in sorted(counts.items()))
        terminalreporter.write_line(f"{name.removeprefix('test_').replace('_', ' ')}: {said}")
