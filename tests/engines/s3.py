"""A real S3 server (SeaweedFS) on loopback, with one bucket and keys that it checks."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import ports
from pyarrow import fs

BUCKET = "completions"
_KEY, _SECRET, _REGION = "loopback", "loopback-secret", "us-east-1"
_PORTS = ("s3.port", "master.port", "volume.port", "filer.port")


@contextmanager
def serving() -> Iterator[dict[str, str]]:
    """Where it is and how one gets in: the environment variables that AWS's clients and `deltalake` read."""
    with TemporaryDirectory(prefix="s3-") as folder:
        config = Path(folder) / "keys.json"
        config.write_text(json.dumps({"identities": [_identity()]}))
        names = [name + suffix for name in _PORTS for suffix in ("", ".grpc")]
        numbers = dict(zip(names, ports.free(len(names)), strict=True))
        command = [
            str(Path(sys.executable).parent / "weed"),
            "server",
            *(f"-{name}={number}" for name, number in numbers.items()),
            *("-s3", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-dir={folder}"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=20", "-master.volumeSizeLimitMB=64"),
        ]
        with open(Path(folder) / "log", "wb") as log:
            server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            access = _access(numbers["s3.port"])
            ports.wait(lambda: _has_bucket(access), "The S3 server")
            yield access
        finally:
            server.terminate()
            server.wait(timeout=60)


def _identity() -> dict[str, object]:
    actions = ["Admin", "Read", "List", "Write"]
    return {"name": _KEY, "credentials": [{"accessKey": _KEY, "secretKey": _SECRET}], "actions": actions}


def _access(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": _SECRET,
        "AWS_REGION": _REGION,
    }


def _has_bucket(access: dict[str, str]) -> bool:
    """Made where the server is ready for it."""
    endpoint = urlsplit(access["AWS_ENDPOINT_URL"])
    server = fs.S3FileSystem(
        access_key=_KEY,
        secret_key=_SECRET,
        region=_REGION,
        scheme=endpoint.scheme,
        endpoint_override=endpoint.netloc,
        allow_bucket_creation=True,
    )
    try:
        server.create_dir(BUCKET)
    except OSError:
        return False
    return True
