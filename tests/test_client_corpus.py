"""The client against what the live service once answered: recorded GETs, replayed on loopback.

The recordings live outside the repository, in the folder that STORED_COMPLETIONS_SHARED names or in
`shared` beside it; without them these tests are skipped and say so.
"""

import gzip
import json
import os
import re
import threading
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from stored_completions.client import Answer, Client
from stored_completions.endpoint import Endpoint
from stored_completions.errors import NotFound

SHARED = Path(os.environ.get("STORED_COMPLETIONS_SHARED", Path(__file__).parents[2] / "shared"))
PATH = re.compile(r"/v1/chat/completions(?:/([^/]+)(/messages)?)?")


@cache
def rows(name: str) -> list[dict[str, Any]]:
    path = SHARED / "corpus" / name
    if not path.exists():
        pytest.skip(
            f"NOT TESTED: the recorded traffic {path} is not here (STORED_COMPLETIONS_SHARED={SHARED})"
        )
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


class Replay(ThreadingHTTPServer):
    """Answers the n-th request with the n-th recording and keeps what was asked."""

    def __init__(self, recorded: list[dict[str, Any]]) -> None:
        self.recorded = recorded
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answering)


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Replay

    def do_GET(self) -> None:
        recorded = self.server.recorded[len(self.server.asked)]
        self.server.asked.append(self.path)
        body = json.dumps(recorded["response_body"]).encode()
        self.send_response_only(recorded["status"])
        for name, value in recorded["response_headers"].items():
            if name not in {"transfer-encoding", "content-length"}:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def replay() -> Iterator[Replay]:
    with Replay([]) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(replay: Replay) -> Iterator[Client]:
    def never(_: float) -> None:
        raise AssertionError("nothing recorded asks for a retry")

    with Client(Endpoint("sk-recorded", f"http://127.0.0.1:{replay.server_port}/v1"), sleep=never) as client:
        yield client


def ask(client: Client, uri: str) -> Answer[Any]:
    """The question that was recorded as `uri`, with the limit and order that the client always names."""
    asked = dict(parse_qsl(urlsplit(uri).query))
    limit, after = int(asked.pop("limit", 20)), asked.pop("after", None)
    completion_id, messages = (PATH.fullmatch(urlsplit(uri).path) or pytest.fail(uri)).groups()
    if messages:
        return client.messages(json.loads, completion_id, limit=limit, after=after)
    if completion_id:
        return client.completion(json.loads, completion_id)
    order, model = asked.pop("order", "asc"), asked.pop("model", None)
    metadata = {name.removeprefix("metadata[").removesuffix("]"): value for name, value in asked.items()}
    return client.list_completions(
        json.loads, limit=limit, after=after, order=order, model=model, metadata=metadata
    )


def test_every_recorded_get_comes_out_as_it_was(replay: Replay, client: Client) -> None:
    replay.recorded = [row for row in rows("http_exchanges.ndjson.gz") if row["method"] == "GET"]
    found = 0
    for row in replay.recorded:
        if row["status"] == 404:
            with pytest.raises(NotFound, match=re.escape(row["response_body"]["error"]["message"])):
                ask(client, row["uri"])
            continue
        answer = ask(client, row["uri"])
        assert answer.value == row["response_body"]
        assert (answer.date is None) == (row["response_headers"]["date"] == "Sanitized")
        assert answer.request_id == row["response_headers"]["x-request-id"]
        found += 1
    assert (found, len(replay.recorded) - found) == (44, 17)
    assert (client.traffic.requests, client.traffic.retries) == (61, 0)


def test_every_recorded_get_is_asked_as_it_was(replay: Replay, client: Client) -> None:
    """The same path and every recorded parameter; messages are always asked in ascending order."""
    replay.recorded = [
        row for row in rows("http_exchanges.ndjson.gz") if row["method"] == "GET" and row["status"] == 200
    ]
    for row, recorded in zip(replay.recorded, [urlsplit(row["uri"]) for row in replay.recorded], strict=True):
        ask(client, row["uri"])
        asked = urlsplit(replay.asked[-1])
        wanted = dict(parse_qsl(recorded.query))
        if recorded.path.endswith("/messages"):
            wanted.pop("order", None)
        assert asked.path == recorded.path
        assert wanted.items() <= dict(parse_qsl(asked.query)).items()


def test_every_recorded_page_comes_out_as_it_was(replay: Replay, client: Client) -> None:
    pages = [row["body"] for row in rows("list_pages.ndjson.gz")]
    replay.recorded = [{"status": 200, "response_headers": {}, "response_body": page} for page in pages]
    answers = [client.list_completions(json.loads, limit=20) for _ in pages]
    assert answers == [Answer(page, None, None, len(json.dumps(page).encode())) for page in pages]
