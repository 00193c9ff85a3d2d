"""An account served by the sandbox in a process of its own, and saved as a file beside it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from bench.accounts import Account
from bench.contenders import program

_direct = build_opener(ProxyHandler({}))


@dataclass(frozen=True)
class Status:
    """API requests answered, and the seconds that it took to make the answers."""

    requests: int
    seconds: float
    now: float


@dataclass(frozen=True)
class Server:
    base_url: str
    ndjson: Path

    def status(self) -> Status:
        """What it has done so far."""
        with _direct.open(self.base_url.removesuffix("/v1") + "/sandbox/status") as answer:
            said = json.load(answer)
        return Status(said["requests"], said["seconds"], said["now"])

    def put_clock(self, now: float) -> None:
        """Stops its clock at this Unix second."""
        told = json.dumps({"now": now}).encode()
        _direct.open(self.base_url.removesuffix("/v1") + "/sandbox/clock", told).close()


@contextmanager
def served(account: Account, folder: Path) -> Iterator[Server]:
    ndjson = folder / "completions.ndjson"
    recipe = account.recipe | {"latency": account.latency}
    command = program("serve.py", ndjson, account.completions, json.dumps(recipe))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().strip()
            if not base_url:
                raise RuntimeError(f"The sandbox did not start: {' '.join(command)}")
            yield Server(base_url, ndjson)
        finally:
            process.terminate()
