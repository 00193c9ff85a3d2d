"""The console script as people run it: a process of its own, its streams, its exit code."""

import ctypes
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(sys.executable).with_name("stored-completions")
COMMAND = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "stored_completions"]
KEY = "sk-sandbox-0123456789"

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


@dataclass(frozen=True)
class Done:
    """What a finished command leaves."""

    code: int
    out: str
    err: str


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Nothing of this machine's user reaches the command; `folder` is its home."""
    kept = {
        name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ
    }
    return kept | {"HOME": str(folder), "COLUMNS": "80", "DLT_DATA_DIR": str(folder)} | more


def run(
    *arguments: str,
    at: Path,
    url: str | None = None,
    stdin: str = "",
    env: Mapping[str, str] = {},
    **options: Any,
) -> Done:
    """Runs the console script in a folder; with `url`, a key and that base URL are set."""
    account = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url} if url else {}
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=at,
        env=environment(at, **(account | dict(env))),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        **options,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def on_terminal(*arguments: str, at: Path, url: str, columns: int = 80) -> str:
    """What a person sees of it: stdout and stderr on a pseudo-terminal, escape sequences and all."""
    mine, theirs = pty.openpty()
    env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url, "COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=at, env=environment(at, **env), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(mine, 65_536):
            seen += block
    except OSError:  # how Linux says that the other side is closed
        pass
    finally:
        os.close(mine)
    assert process.wait(60) == 0, seen
    return seen.decode()


def as_anyone() -> None:
    """To be called in a new process: root, too, may then only do what permissions say."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
