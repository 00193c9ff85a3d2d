"""The servers that the destinations' tests talk to: started on loopback, stopped by their process id.

PostgreSQL refuses to run as root: then it runs as `nobody`, in a folder of nobody's.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any

PASSWORD = "correct-horse"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _program(name: str) -> str:
    """Debian keeps the server's programs out of PATH."""
    found = shutil.which(name) or next(iter(sorted(glob(f"/usr/lib/postgresql/*/bin/{name}"))), None)
    assert found, f"{name} is not installed (Debian: apt-get install postgresql)"
    return found


def _as_nobody() -> dict[str, Any]:
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def postgresql() -> Iterator[int]:
    """A new PostgreSQL; its port. User `loader`, database `warehouse`, no one gets in without the password."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    who = _as_nobody()
    if who:
        shutil.chown(folder, "nobody", "nogroup")
    port, data = free_port(), folder / "data"
    quiet: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, **who}
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    initdb = [_program("initdb"), "-D", str(data), "-U", "loader", "-E", "UTF8", "--locale", "C.UTF-8"]
    subprocess.run([*initdb, "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync"], check=True, **quiet)
    settings = [
        "-k",
        str(folder),
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "fsync=off",
        "-c",
        "timezone=Asia/Tokyo",
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [_program("postgres"), "-D", str(data), "-p", str(port), *settings], stderr=log, **quiet
        )
    try:
        _until_it_answers(port, server)
        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1", port=port, user="loader", password=PASSWORD, dbname="postgres"
        )
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("create database warehouse")
        connection.close()
        yield port
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _until_it_answers(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        assert server.poll() is None, "the server has ended"
        assert time.monotonic() < deadline, "the server does not answer"
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
