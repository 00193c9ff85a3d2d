"""Processes that sync, forked from one that has imported everything: what is killed is work, not start-up.

Each is a process of its own with the program's own signal handling; `Zygote` is the side that asks.
"""

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from stored_completions.rounds import Bounds

ROUND = Bounds(completions=60)


class Running:
    """A sync under way."""

    def __init__(self, zygote: "Zygote", pid: int) -> None:
        self.pid = pid
        self._zygote = zygote
        self.code: int | None = None

    def send(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        if self.code is None:
            self.code = self._zygote.ask(poll=self.pid)
        return self.code

    def wait(self) -> int:
        """Its exit code; that of a killed one is negative."""
        if self.code is None:
            self.code = self._zygote.ask(wait=self.pid)
        assert self.code is not None
        return self.code


class Zygote:
    """Starts syncs of one warehouse; their stderr goes to `log`."""

    def __init__(self, warehouse: Path, base_url: str, log: Path) -> None:
        command = [sys.executable, "-m", "soak.zygote", str(warehouse), base_url, str(log)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, **options: Any) -> Running:
        """`options` of `sync`, and settings."""
        return Running(self, self.ask(run=options))

    def ask(self, **what: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def main(warehouse: Path, base_url: str, log: Path) -> None:
    for name in ("dlt.destinations.impl.duckdb.duck", "stored_completions.source", "stored_completions.sync"):
        import_module(name)

    for line in sys.stdin:
        (what, value), *_ = json.loads(line).items()
        if what == "run":
            answer: int | None = os.fork() or _child(warehouse, base_url, log, value)
        else:
            pid, status = os.waitpid(value, os.WNOHANG if what == "poll" else 0)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        print(json.dumps(answer), flush=True)  # noqa: T201


def _child(warehouse: Path, base_url: str, log: Path, options: dict[str, Any]) -> int:
    with log.open("a") as heard:
        os.dup2(heard.fileno(), 1)
        os.dup2(heard.fileno(), 2)
        code = _sync(warehouse, base_url, options)
        sys.stderr.flush()
    os._exit(code)


def _sync(warehouse: Path, base_url: str, options: dict[str, Any]) -> int:
    from stored_completions.config import settings
    from stored_completions.errors import StoredCompletionsError
    from stored_completions.sync import stopping, sync

    full = {name: options.pop(name) for name in ("full", "confirm_deletions") if name in options}
    own = settings({"api_key": "sk-soak", "base_url": base_url, **options}, {}, None)
    try:
        with stopping() as stop:
            sync(own, warehouse, stop=stop, bounds=ROUND, **full)
    except StoredCompletionsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
