"""Who is measured: each contender as the commands that a person would run, one table row a command."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
RAW, OURS, REST_API, LATER = "raw DuckDB SQL", "ours", "dlt rest_api", "ours, 100 new on a million"
NOTHING_NEW = f"{OURS}, nothing new"
EVERYBODY = (RAW, OURS, REST_API)
SYNC = Path(sys.executable).with_name("stored-completions")


@dataclass(frozen=True)
class Job:
    """Where the account is, over HTTP and as a file, and the DuckDB file to make of it."""

    base_url: str
    ndjson: Path
    warehouse: Path


@dataclass(frozen=True)
class Step:
    """A command, and the name that it has in the table; without one it only prepares what follows."""

    command: list[str]
    name: str | None = None


@dataclass(frozen=True)
class Contender:
    """`steps` are run one after the other in a fresh folder.

    `is_ours_alike` says that its tables are ours, so that they must hold the same number of rows.
    """

    name: str
    steps: Callable[[Job], list[Step]]
    is_ours_alike: bool = False


def _ours(job: Job) -> list[Step]:
    return [Step(_sync(job), OURS), Step(_sync(job), NOTHING_NEW)]


def _later(job: Job) -> list[Step]:
    """A sync, its rows a thousand times more, the clock moved on so that new ones show, and a sync again."""
    return [
        Step(_sync(job)),
        Step(program("million.py", job.warehouse)),
        Step(program("move_clock.py", job.base_url)),
        Step(_sync(job), LATER),
    ]


def _raw_sql(job: Job) -> list[Step]:
    return [Step(program("raw_sql.py", job.ndjson, job.warehouse), RAW)]


def _rest_api(job: Job) -> list[Step]:
    return [Step(program("rest_api.py", job.base_url, job.warehouse), REST_API)]


def _sync(job: Job) -> list[str]:
    return [str(SYNC), "sync", "--warehouse", str(job.warehouse)]


def program(name: str, *arguments: object) -> list[str]:
    """A program of this folder in an interpreter of its own, which sees no file beside it as a module."""
    return [sys.executable, "-P", str(PROGRAMS / name), *map(str, arguments)]


def environment(job: Job, home: Path) -> dict[str, str]:
    """Nothing of the user's own: no configuration of dlt, no real key, no proxy, no telemetry."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "OPENAI_API_KEY": "sk-sandbox",
        "OPENAI_BASE_URL": job.base_url,
        "API_KEY": "sk-sandbox",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DO_NOT_TRACK": "1",
    }


CONTENDERS = (
    Contender(RAW, _raw_sql, is_ours_alike=True),
    Contender(OURS, _ours, is_ours_alike=True),
    Contender(REST_API, _rest_api),
    Contender(LATER, _later),
)
