"""The destinations that the suite is run on, each a function that gives a fresh dataset, and the matrix at its end."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

_COUNTED: dict[str, Counter[str]] = {}


@pytest.fixture(scope="session")
def postgres_address() -> Iterator[str]:
    import postgres  # of tests/engines, which only `make test-engines` has on its path

    with postgres.serving() as address:
        yield address


@pytest.fixture(scope="session")
def s3_access() -> Iterator[dict[str, str]]:
    import s3

    with s3.serving() as access:
        yield access


@pytest.fixture(params=["postgres", "delta", "delta on s3"])
def destination(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """dlt's name of a destination that is configured, for this process and those that it starts, and still empty."""
    dataset = re.sub(r"\W", "_", f"chat_{tmp_path.name}").lower()
    settings = {"SOURCES__STORED_COMPLETIONS__DATASET": dataset}
    if request.param == "postgres":
        settings["DESTINATION__POSTGRES__CREDENTIALS"] = request.getfixturevalue("postgres_address")
    else:
        settings["SOURCES__STORED_COMPLETIONS__TABLE_FORMAT"] = "delta"
        settings["DESTINATION__FILESYSTEM__BUCKET_URL"] = str(tmp_path / "lake")
    if request.param == "delta on s3":
        from s3 import BUCKET

        access = request.getfixturevalue("s3_access")
        settings |= {
            "DESTINATION__FILESYSTEM__BUCKET_URL": f"s3://{BUCKET}/lake",
            "DESTINATION__FILESYSTEM__CREDENTIALS__AWS_ACCESS_KEY_ID": access["AWS_ACCESS_KEY_ID"],
            "DESTINATION__FILESYSTEM__CREDENTIALS__AWS_SECRET_ACCESS_KEY": access["AWS_SECRET_ACCESS_KEY"],
            "DESTINATION__FILESYSTEM__CREDENTIALS__ENDPOINT_URL": access["AWS_ENDPOINT_URL"],
            "DESTINATION__FILESYSTEM__CREDENTIALS__REGION_NAME": access["AWS_REGION"],
        }
    name = "postgres" if request.param == "postgres" else "filesystem"
    for setting, value in (settings | {"SOURCES__STORED_COMPLETIONS__DESTINATION": name}).items():
        monkeypatch.setenv(setting, value)
    return str(request.param)


@pytest.hookimpl
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and "destinations_check" in report.nodeid:
        name, _, rest = report.nodeid.rpartition("::")[2].partition("[")
        _COUNTED.setdefault(name, Counter())[f"{rest.rstrip(']') or 'all'} {report.outcome}"] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was run where: the destination by test matrix."""
    if os.environ.get("PYTEST_XDIST_WORKER") or not _COUNTED:
        return
    terminalreporter.section("destination by test")
    for name, counts in sorted(_COUNTED.items()):
        said = ", ".join(f"{what} {number}" for what, number in sorted(counts.items()))
        terminalreporter.write_line(f"{name.removeprefix('test_').replace('_', ' ')}: {said}")
