"""Who is measured: each contender as the commands that a person would run, one table row a command."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
RAW, OURS, REST_API = "raw DuckDB SQL", "ours", "dlt rest_api"
SYNC = Path(sys.executable).with_name("stored-completions")


@dataclass(frozen=True)
class Job:
    """Where the account is, over HTTP and as a file, and the DuckDB file to make of it."""

    base_url: str
    ndjson: Path
    warehouse: Path


@dataclass(frozen=True)
class Contender:
    """`steps` are run one after the other in a fresh folder; names by command.

    `is_ours_alike` says that its tables are ours, so that they must hold the same number of rows.
    """

    name: str
    steps: Callable[[Job], dict[str, list[str]]]
    is_ours_alike: bool = False


def _ours(job: Job) -> dict[str, list[str]]:
    sync = [str(SYNC), "sync", "--warehouse", str(job.warehouse)]
    return {OURS: sync, f"{OURS}, nothing new": sync}


def _raw_sql(job: Job) -> dict[str, list[str]]:
    return {RAW: program("raw_sql.py", job.ndjson, job.warehouse)}


def _rest_api(job: Job) -> dict[str, list[str]]:
    return {REST_API: program("rest_api.py", job.base_url, job.warehouse)}


def program(name: str, *arguments: object) -> list[str]:
    """A program of this folder in an interpreter of its own, which sees no file beside it as a module."""
    return [sys.executable, "-P", str(PROGRAMS / name), *map(str, arguments)]


CONTENDERS = (
    Contender(RAW, _raw_sql, is_ours_alike=True),
    Contender(OURS, _ours, is_ours_alike=True),
    Contender(REST_API, _rest_api),
)
