"""A PostgreSQL server of its own on a free port of loopback, without any durability: for tests."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import ports

_DEBIAN = Path("/usr/lib/postgresql")
_SETTINGS = {
    "fsync": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "timezone": "Asia/Tokyo",
    "log_min_messages": "fatal",
}


PASSWORD = "correct-horse"


@contextmanager
def serving() -> Iterator[str]:
    """The address of an empty database: texts sort as people do, not by bytes, days begin in Tokyo, and nobody gets
    in without the password."""
    with TemporaryDirectory(prefix="postgres-") as folder:
        data, secret = Path(folder) / "data", Path(folder) / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
            shutil.chown(secret, "nobody")
        locale = ["--encoding=UTF8", "--locale-provider=icu", "--icu-locale=en-US"]
        access = ["-U", "loader", "-A", "scram-sha-256", f"--pwfile={secret}"]
        _run("initdb", "-D", data, *access, "--no-sync", *locale)
        port = ports.free(1)[0]
        options = " ".join(f"-c {name}='{value}'" for name, value in (_SETTINGS | {"port": port}).items())
        _run("pg_ctl", "-D", data, "-w", "-l", Path(folder) / "log", "-o", options, "start")
        try:
            yield f"postgresql://loader:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            _run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


def _run(program: str, *arguments: object) -> None:
    """Runs one of PostgreSQL's programs; as nobody where we are root, which they refuse to be."""
    user = {"user": "nobody", "group": "nogroup", "extra_groups": ()} if os.geteuid() == 0 else {}
    command = [_program(program), *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **user,
    )
    if done.returncode:
        raise RuntimeError(f"{program} failed: {done.stdout}")


def _program(name: str) -> str:
    """On the path, or where Debian keeps it."""
    found = shutil.which(name) or max(map(str, _DEBIAN.glob(f"*/bin/{name}")), default=None)
    if found is None:
        raise RuntimeError(f"No {name} here: install PostgreSQL (Debian: apt-get install postgresql)")
    return found
