"""`python dying.py N WAREHOUSE ROUND [full|purge]`: a sync, or a purge, that kills itself at its Nth step on the disk.

A step is an audit event of Python about a file beside the warehouse: dlt and the sync raise some
hundred of them in a round, before, between and after the statements that DuckDB commits. Nothing of
the program is changed for it. `N` 0 lets the job end and prints how many steps there were.
"""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stored_completions.config import settings
from stored_completions.content.erasing import Which
from stored_completions.content.purging import purge
from stored_completions.rounds import Bounds
from stored_completions.sync import sync

STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "shutil.rmtree"}


def main(last: int, path: Path, completions: int, job: str = "sync") -> None:
    steps = 0

    def step(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal steps
        if event in STEPS and any(".stored_completions" in str(argument) for argument in arguments):
            steps += 1
            if steps == last:
                os.kill(os.getpid(), signal.SIGKILL)

    own = settings({"page_size": 20}, os.environ, path.parent)
    sys.addaudithook(step)
    if job == "purge":
        purge(path, Which(before=datetime.now(UTC)))
    else:
        sync(own, path, bounds=Bounds(completions, messages=completions), full=job == "full")
    print(steps)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
