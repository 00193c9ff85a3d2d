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
class Server:
    base_url: str
    ndjson: Path

    def requests(self) -> int:
        """How many API requests it has answered so far."""
        with _direct.open(self.base_url.removesuffix("/v1") + "/sandbox/status") as answer:
            return int(json.load(answer)["requests"])


@contextmanager
def served(account: Account, folder: Path) -> Iterator[Server]:
    ndjson = folder / "completions.ndjson"
    command = program("serve.py", ndjson, account.completions, json.dumps(account.shape))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().strip()
            if not base_url:
                raise RuntimeError(f"The sandbox did not start: {' '.join(command)}")
            yield Server(base_url, ndjson)
        finally:
            process.terminate()
