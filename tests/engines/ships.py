"""`python ships.py [DESTINATION...]`: what a sync costs that ships, beside one that does not.

First everything, then 100 new completions. CPU seconds are user and system time of the sync's process, imports
included; a server's own are not in them. Peak is its largest resident set.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import postgres
import s3

from bench import table
from bench.accounts import BY_NAME, Account
from bench.contenders import SYNC, Job, environment, program
from bench.meter import Cost, measured
from bench.server import Server, served

NEW = 100
ACCOUNTS = ("plain", "top 5")
LOCAL = "duckdb alone"
NAMES = (
    LOCAL,
    "postgres",
    "postgres through dlt",
    "delta on s3",
)  # and ducklake, in an environment of its own
_HEADER = ("account", "destination", "first, CPU s", "peak MB", f"{NEW} new, CPU s", "peak MB")


def main(names: list[str]) -> None:
    with ExitStack() as stack:
        rows = [
            (account.name, name, *_cells(costs))
            for account in map(_with_later, ACCOUNTS)
            for name, costs in _measured(account, names or list(NAMES), stack)
        ]
    print(table.markdown(_HEADER, rows, words=2))  # noqa: T201


def _with_later(name: str) -> Account:
    """The account, and as many completions more that show once the clock is moved on."""
    account = BY_NAME[name]
    return replace(account, completions=account.completions + NEW, recipe=account.recipe | {"later": NEW})


def _measured(
    account: Account, names: list[str], stack: ExitStack
) -> Iterator[tuple[str, tuple[Cost, Cost]]]:
    for name in names:
        with TemporaryDirectory(prefix="ships-") as folder, served(account, Path(folder)) as server:
            yield name, _shipped(server, Path(folder), _settings(name, Path(folder), stack))


def _shipped(server: Server, folder: Path, settings: dict[str, str]) -> tuple[Cost, Cost]:
    """The first sync and the one after it that finds the new ones."""
    job = Job(server.base_url, server.ndjson, folder / "w.duckdb")
    command = [str(SYNC), "sync", "--warehouse", str(job.warehouse)]
    own = environment(job, folder) | settings
    first = measured(command, folder, own)
    subprocess.run(program("move_clock.py", job.base_url), check=True)
    return first, measured(command, folder, own)


def _settings(name: str, folder: Path, stack: ExitStack) -> dict[str, str]:
    """Of the destination, whose server is started."""
    kind = {"delta on s3": "filesystem"}.get(name, name.split(maxsplit=1)[0])
    chosen = {"SOURCES__STORED_COMPLETIONS__DESTINATION": kind}
    own = f"DESTINATION__{kind.upper()}"
    if kind == "postgres":
        through = {"SOURCES__STORED_COMPLETIONS__LOADER": "dlt"} if name.endswith("dlt") else {}
        return chosen | through | {f"{own}__CREDENTIALS": stack.enter_context(postgres.serving())}
    if kind == "filesystem":
        access = stack.enter_context(s3.serving())
        return chosen | {
            "SOURCES__STORED_COMPLETIONS__TABLE_FORMAT": "delta",
            f"{own}__BUCKET_URL": f"s3://{s3.BUCKET}/lake",
            f"{own}__CREDENTIALS__AWS_ACCESS_KEY_ID": access["AWS_ACCESS_KEY_ID"],
            f"{own}__CREDENTIALS__AWS_SECRET_ACCESS_KEY": access["AWS_SECRET_ACCESS_KEY"],
            f"{own}__CREDENTIALS__ENDPOINT_URL": access["AWS_ENDPOINT_URL"],
            f"{own}__CREDENTIALS__REGION_NAME": access["AWS_REGION"],
        }
    if kind == "ducklake":
        return chosen | {
            f"{own}__CREDENTIALS__CATALOG": f"sqlite:///{folder}/lake.sqlite",
            f"{own}__CREDENTIALS__STORAGE__BUCKET_URL": str(folder / "lake"),
        }
    return {}


def _cells(costs: tuple[Cost, Cost]) -> tuple[str, ...]:
    return tuple(text for cost in costs for text in (f"{cost.cpu:.1f}", f"{cost.peak:.0f}"))


if __name__ == "__main__":
    main(sys.argv[1:])
