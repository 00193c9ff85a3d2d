"""The destinations that the suite is run on, each a function that gives a fresh dataset, and the matrix at its end."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

_COUNTED: dict[str, Counter[str]] = {}
_VIEWS: list[str] = []
_MATRIX = Path("build") / "destinations.json"
_ALL = "once"


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


DESTINATIONS = {
    "postgres": "postgres",
    "postgres through dlt": "postgres",
    "delta": "filesystem",
    "delta on s3": "filesystem",
    "ducklake": "ducklake",
    "ducklake in postgres, on s3": "ducklake",
}
"""Each by what it is, and dlt's name for it."""
_HAS_DUCKLAKE = find_spec("duckdb_extension_ducklake") is not None  # then this environment is that one's own
HERE = [kind for kind, name in DESTINATIONS.items() if (name == "ducklake") == _HAS_DUCKLAKE]


@pytest.fixture(params=HERE)
def destination(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A destination that is configured, for this process and those that it starts, and still empty."""
    kind = str(request.param)
    name = DESTINATIONS[kind]
    own = f"DESTINATION__{name.upper()}"
    settings = {
        "SOURCES__STORED_COMPLETIONS__DESTINATION": name,
        "SOURCES__STORED_COMPLETIONS__DATASET": re.sub(r"\W", "_", f"chat_{tmp_path.name}").lower(),
    }
    storage = f"{own}__CREDENTIALS__STORAGE" if name == "ducklake" else own
    if name == "postgres":
        settings[f"{own}__CREDENTIALS"] = request.getfixturevalue("postgres_address")
    elif kind.endswith("on s3"):
        settings |= _on_s3(storage, request.getfixturevalue("s3_access"))
    else:
        settings[f"{storage}__BUCKET_URL"] = str(tmp_path / "lake")
    if kind == "postgres through dlt":
        settings["SOURCES__STORED_COMPLETIONS__LOADER"] = "dlt"
    if name == "filesystem":
        settings["SOURCES__STORED_COMPLETIONS__TABLE_FORMAT"] = "delta"
    if kind == "ducklake":
        settings[f"{own}__CREDENTIALS__CATALOG"] = f"sqlite:///{tmp_path / 'lake' / 'catalog.sqlite'}"
    if kind == "ducklake in postgres, on s3":
        settings[f"{own}__CREDENTIALS__CATALOG"] = request.getfixturevalue("postgres_address")
        settings[f"{own}__CREDENTIALS__METADATA_SCHEMA"] = f"lake_{tmp_path.name}".lower()
    for setting, value in settings.items():
        monkeypatch.setenv(setting, value)
    return kind


def _on_s3(storage: str, access: dict[str, str]) -> dict[str, str]:
    from s3 import BUCKET

    return {
        f"{storage}__BUCKET_URL": f"s3://{BUCKET}/lake",
        f"{storage}__CREDENTIALS__AWS_ACCESS_KEY_ID": access["AWS_ACCESS_KEY_ID"],
        f"{storage}__CREDENTIALS__AWS_SECRET_ACCESS_KEY": access["AWS_SECRET_ACCESS_KEY"],
        f"{storage}__CREDENTIALS__ENDPOINT_URL": access["AWS_ENDPOINT_URL"],
        f"{storage}__CREDENTIALS__REGION_NAME": access["AWS_REGION"],
    }


@pytest.hookimpl
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and "tests/destinations" in report.nodeid:
        name, _, rest = report.nodeid.rpartition("::")[2].partition("[")
        given = rest.rstrip("]")
        by_length = sorted(DESTINATIONS, key=len, reverse=True)
        where = next((kind for kind in by_length if given == kind or given.startswith(f"{kind}-")), _ALL)
        _COUNTED.setdefault(name, Counter())[f"{where}: {report.outcome}"] += 1
        _VIEWS.extend(str(said) for what, said in report.user_properties if what == "view")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was run where: the destination by test matrix, with what the other environment has run before."""
    if os.environ.get("PYTEST_XDIST_WORKER") or not _COUNTED:
        return
    _MATRIX.parent.mkdir(exist_ok=True)
    before = json.loads(_MATRIX.read_text()) if _MATRIX.exists() else {}
    cells: dict[str, Counter[str]] = {name: Counter(counts) for name, counts in before.items()}
    for name, counts in _COUNTED.items():
        cells.setdefault(name, Counter()).update(counts)
    _MATRIX.write_text(json.dumps(cells))
    heads = [*DESTINATIONS, _ALL]
    terminalreporter.section("tests passed, by destination")
    for head in heads:
        terminalreporter.write_line(f"{chr(ord('A') + heads.index(head))} = {head}")
    width = max(map(len, cells))
    terminalreporter.write_line(
        f"{'':{width}}" + "".join(f"{chr(ord('A') + at):>6}" for at in range(len(heads)))
    )
    for name, counts in sorted(cells.items()):
        shown = "".join(f"{_said(counts, head):>6}" for head in heads)
        terminalreporter.write_line(f"{name.removeprefix('test_').replace('_', ' '):{width}}{shown}")
    if _VIEWS:
        terminalreporter.section("views of DuckLake beside DuckDB's")
        for said in _VIEWS:
            terminalreporter.write_line(said)


def _said(counts: Counter[str], where: str) -> str:
    """As 6, or as 5/6 where one of them did not pass."""
    passed = counts[f"{where}: passed"]
    number = sum(count for cell, count in counts.items() if cell.startswith(f"{where}: "))
    return "" if not number else str(passed) if passed == number else f"{passed}/{number}"
