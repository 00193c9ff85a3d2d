"""What one process costs: CPU seconds with its children's, its largest resident set, and how long it took.

Linux adds the size of whoever starts a process to that process's peak. So the one who measures
stays small: nothing in the package `bench` imports DuckDB, Arrow or `stored_completions`; what
needs them is a program of its own.
"""

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """User and system seconds; peak in MB (10^6 bytes); seconds from start to end."""

    cpu: float
    peak: float
    wall: float


class Failed(Exception):
    """A measured process ended with an error; `why` is the last line in which it names one."""

    def __init__(self, command: str, code: int, said: str) -> None:
        super().__init__(f"{command} ended with {code}:\n{said[-2000:]}")
        named = [line for line in said.splitlines() if re.search(r"error|failed", line, re.I)]
        self.why = named[-1].strip() if named else f"it ended with {code}"


def measured(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Cost:
    """Runs the command in `folder`, its output going to a file there; Failed, with its end, if it fails."""
    said = folder / "output.txt"
    begin = time.monotonic()
    with said.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(" ".join(command), process.returncode, said.read_text())
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, time.monotonic() - begin)
