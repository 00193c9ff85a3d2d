"""Every block of sql/RECIPES.md, run as it stands there, on a synced demo account."""

import contextlib
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from reference import demo
from stored_completions.models import sql_folder

BLOCKS = re.findall(
    r"^## ([^\n]+)\n.*?^```(\w+)\n(.*?)^```", (sql_folder() / "RECIPES.md").read_text(), re.M | re.S
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipes")
    demo.make(folder).rename(folder / "stored_completions.duckdb")
    return folder


def done(folder: Path, *command: str, stdin: str = "") -> str:
    found = subprocess.run(
        command, cwd=folder, env=environment(), input=stdin, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def served(folder: Path, block: str, seconds: int = 120) -> str:
    """The page of a recipe that serves one until it is stopped."""
    url = "http://127.0.0.1:" + re.findall(r"--port (\d+)", block)[0]
    with subprocess.Popen(("sh", "-e", "-c", block), cwd=folder, env=environment()) as server:
        try:
            for _ in range(seconds):
                assert server.poll() is None, "it ended by itself"
                with contextlib.suppress(OSError), urllib.request.urlopen(url) as answer:
                    return str(answer.read().decode())
                time.sleep(1)
        finally:
            server.terminate()
    raise AssertionError(f"no page at {url} in {seconds} s")


def environment() -> dict[str, str]:
    """Ours, with the tools of `make test-recipes` on the path."""
    folders = (str(Path(sys.executable).parent), os.environ["DBT_FOLDER"], os.environ["PATH"])
    path = os.pathsep.join(folders)
    return dict(os.environ) | {"PATH": path, "DO_NOT_TRACK": "1", "RUNTIME__DLTHUB_TELEMETRY": "false"}


@pytest.mark.parametrize(("title", "language", "block"), BLOCKS, ids=[title for title, _, _ in BLOCKS])
def test_a_recipe(folder: Path, title: str, language: str, block: str) -> None:
    if "--port" in block:
        assert "<title>dlt workspace dashboard" in served(folder, block)
    elif language == "sh":
        done(folder, "sh", "-e", "-c", block)
    elif language == "python":
        assert done(folder, sys.executable, "-c", block)
    else:
        own = "import duckdb, sys; print(duckdb.connect('own.duckdb').execute(sys.stdin.read()).fetchall())"
        assert "platform" in done(folder, sys.executable, "-c", own, stdin=block)
