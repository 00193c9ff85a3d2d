"""The client against a loopback server that answers each request with the next bytes of a script."""

import gzip
import json
import logging
import socket
import socketserver
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from stored_completions import __version__
from stored_completions.client import Answer, Client, Patience, Traffic
from stored_completions.endpoint import Endpoint
from stored_completions.errors import (
    AccessError,
    CursorGone,
    LimitTooLarge,
    NotFound,
    PageTooHeavy,
    ServiceError,
    StoredCompletionsError,
    UsageError,
)

KEY = "sk-proj-Zm9yZXZlciBzZWNyZXQ0123456789abcdefWXYZ"
PAGE = b'{"object": "list", "data": [], "has_more": false}'
NOON = "Tue, 16 Sep 2025 12:00:00 GMT"
NOON_SECONDS = 1758024000


@dataclass(frozen=True)
class Line:
    """What the server sends for one request, and what it does with the connection then."""

    data: bytes
    then: str = "keep"


@dataclass
class Script:
    """The server's side: what it has still to say and what it has heard."""

    url: str = ""
    lines: list[Line] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def says(self, *lines: Line) -> None:
        self.lines.extend(lines)

    @property
    def targets(self) -> list[str]:
        return [head.split(" ", 2)[1] for head in self.heads]

    def header(self, name: str) -> str | None:
        return dict(httpx.Headers(_fields(self.heads[-1]))).get(name)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, script: Script) -> None:
        self.script = script
        super().__init__(("127.0.0.1", 0), Connection)

    def shutdown_request(self, request: Any) -> None:
        """Close without a farewell, so that a reset is one."""
        self.close_request(request)


class Connection(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        script = self.server.script
        script.connections += 1
        while head := self.head():
            script.heads.append(head)
            line = script.lines.pop(0)
            self.wfile.write(line.data)
            if line.then == "hang":
                script.over.wait()
            if line.then == "drip":
                self.drip()
            if line.then == "reset":
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if line.then != "keep":
                return

    def drip(self) -> None:
        """A byte now and then, for ever: never silent for long, and never done."""
        with suppress(ConnectionError):
            while not self.server.script.over.wait(0.01):
                self.wfile.write(b" ")

    def head(self) -> str:
        lines = []
        try:
            while (line := self.rfile.readline()) not in {b"\r\n", b""}:
                lines.append(line.decode("latin-1"))
        except ConnectionError:
            return ""
        return "".join(lines)


def _fields(head: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:-1])]


def answer(body: bytes = PAGE, status: int = 200, then: str = "keep", **headers: str) -> Line:
    named = {"content-length": str(len(body)), **{name.replace("_", "-"): headers[name] for name in headers}}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return Line("\r\n".join(lines).encode("latin-1") + body, then)


def refusal(status: int, message: str = "", code: str | None = None, param: str | None = None) -> Line:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return answer(json.dumps({"error": error}).encode(), status, x_request_id="req_7")


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    with Server(script) as server:
        script.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield script
        script.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(script: Script, waits: list[float]) -> Iterator[Client]:
    with Client(Endpoint(KEY, script.url), sleep=waits.append) as client:
        yield client


def listed(client: Client, **how: Any) -> Answer[Any]:
    return client.list_completions(json.loads, **{"limit": 20, **how})


def answering(handler: Callable[[httpx.Request], httpx.Response], **endpoint: Any) -> Client:
    """A client whose requests go to no socket, for hosts that a test cannot be."""
    return Client(Endpoint(KEY, **endpoint), transport=httpx.MockTransport(handler))


def asked_of(**endpoint: Any) -> httpx.Request:
    """The request that a list of one becomes at this endpoint."""
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=PAGE)

    with answering(handler, **endpoint) as client:
        listed(client, limit=1)
    return asked[0]


class TestQuestions:
    def test_a_list_names_its_order_and_every_filter(self, script: Script, client: Client) -> None:
        script.says(answer())
        how = {"limit": 7, "after": "chatcmpl-1", "order": "desc", "model": "gpt-4o-mini-2024-07-18"}
        listed(client, **how, metadata={"team": "a&b", "a b": "ü"})
        assert urlsplit(script.targets[0]).path == "/v1/chat/completions"
        assert dict(parse_qsl(urlsplit(script.targets[0]).query)) == {
            **how,
            "limit": "7",
            "metadata[team]": "a&b",
            "metadata[a b]": "ü",
        }

    def test_what_is_not_wanted_is_not_sent(self, script: Script, client: Client) -> None:
        script.says(answer(), answer(), answer(), answer())
        listed(client)
        client.completion(json.loads, "chatcmpl-1")
        client.messages(json.loads, "chatcmpl-1", limit=50)
        client.messages(json.loads, "chatcmpl-1", limit=50, after="chatcmpl-1-0")
        assert script.targets == [
            "/v1/chat/completions?limit=20&order=asc",
            "/v1/chat/completions/chatcmpl-1",
            "/v1/chat/completions/chatcmpl-1/messages?limit=50&order=asc",
            "/v1/chat/completions/chatcmpl-1/messages?limit=50&order=asc&after=chatcmpl-1-0",
        ]

    def test_an_id_of_any_characters_stays_one_part_of_the_path(self, script: Script, client: Client) -> None:
        script.says(answer(), answer())
        client.completion(json.loads, "../a?b#c d%2F")
        listed(client, after="\ud800")
        assert script.targets == [
            "/v1/chat/completions/..%2Fa%3Fb%23c%20d%252F",
            "/v1/chat/completions?limit=20&order=asc&after=%ED%A0%80",
        ]

    @pytest.mark.parametrize("nothing", ["", ".", ".."])
    def test_no_id_is_not_found_without_asking(self, script: Script, client: Client, nothing: str) -> None:
        with pytest.raises(NotFound):
            client.completion(json.loads, nothing)
        assert script.heads == []

    def test_headers(self, script: Script) -> None:
        script.says(answer())
        with Client(Endpoint(KEY, script.url + "/", organization="org-1", project="proj_1")) as client:
            listed(client)
        names = (
            "authorization",
            "openai-organization",
            "openai-project",
            "accept",
            "accept-encoding",
            "api-key",
        )
        assert [script.header(name) for name in names] == [
            f"Bearer {KEY}",
            "org-1",
            "proj_1",
            "application/json",
            "gzip",
            None,
        ]
        assert script.targets[0].startswith("/v1/chat/completions?")
        agent = (script.header("user-agent") or "").split(" ")
        assert [part.split("/")[0] for part in agent] == ["stored-completions", "python", "httpx"]
        assert agent[0] == f"stored-completions/{__version__}"

    def test_openai_is_where_it_goes_unless_told(self) -> None:
        request = asked_of()
        assert str(request.url) == "https://api.openai.com/v1/chat/completions?limit=1&order=asc"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert "openai-organization" not in request.headers

    @pytest.mark.parametrize(
        "host", ["x.openai.azure.com", "x.cognitiveservices.azure.com", "x.openai.azure.us"]
    )
    def test_azure_takes_the_key_in_its_own_header(self, host: str) -> None:
        request = asked_of(base_url=f"https://{host}/openai/v1")
        assert str(request.url) == f"https://{host}/openai/v1/chat/completions?limit=1&order=asc"
        assert (request.headers["api-key"], request.headers.get("authorization")) == (KEY, None)

    def test_an_api_version_makes_any_host_azure(self) -> None:
        request = asked_of(base_url="https://gateway.example.com/openai/v1", api_version="preview")
        assert request.url.params["api-version"] == "preview"
        assert (request.headers["api-key"], request.headers.get("authorization")) == (KEY, None)

    def test_a_host_that_only_sounds_like_azure_is_not(self) -> None:
        assert "api-key" not in asked_of(base_url="https://azure.com.example.org/v1").headers


class TestAnswers:
    def test_the_value_and_what_the_headers_said(self, script: Script, client: Client) -> None:
        script.says(answer(date=NOON, x_request_id="req_1"))
        assert listed(client) == Answer(json.loads(PAGE), NOON_SECONDS, "req_1", len(PAGE))

    @pytest.mark.parametrize("date", ["", "Sanitized", "-1", "Tue, 99 Sep 2025 12:00:00 GMT"])
    def test_an_unreadable_date_is_no_date(self, script: Script, client: Client, date: str) -> None:
        script.says(answer(date=date), answer())
        assert [listed(client), listed(client)] == [Answer(json.loads(PAGE), None, None, len(PAGE))] * 2

    @pytest.mark.parametrize("date", [NOON, "Tuesday, 16-Sep-25 12:00:00 GMT", "Tue Sep 16 12:00:00 2025"])
    def test_every_form_of_http_date(self, script: Script, client: Client, date: str) -> None:
        script.says(answer(date=date))
        assert listed(client).date == NOON_SECONDS

    def test_gzip_is_undone_and_sizes_are_told_apart(self, script: Script, client: Client) -> None:
        packed = gzip.compress(PAGE * 100)
        script.says(answer(packed, content_encoding="gzip"))
        assert client.completion(bytes, "a") == Answer(PAGE * 100, None, None, len(PAGE) * 100)
        assert client.traffic == Traffic(requests=1, bytes=len(packed))

    def test_forty_megabytes_take_no_time_to_speak_of(self, script: Script, client: Client) -> None:
        body = json.dumps({"data": "0123456789abcdef" * 2_500_000}).encode()
        script.says(answer(body))
        began = time.perf_counter()
        assert client.completion(len, "a").value == len(body)
        assert time.perf_counter() - began < 5

    def test_one_connection_serves_many_questions(self, script: Script, client: Client) -> None:
        script.says(*[answer()] * 5, refusal(404), answer())
        for _ in range(5):
            listed(client)
        with pytest.raises(NotFound):
            client.completion(json.loads, "gone")
        listed(client)
        assert (script.connections, client.traffic) == (1, Traffic(requests=7, bytes=client.traffic.bytes))

    def test_two_threads_share_a_client(self, script: Script, waits: list[float]) -> None:
        script.says(*[answer(), answer(status=500)] * 20, answer())
        client = Client(Endpoint(KEY, script.url), Patience(max_attempts=100), sleep=waits.append)
        with client, ThreadPoolExecutor(2) as pool:
            values = list(pool.map(lambda _: listed(client).value, range(21)))
        assert values == [json.loads(PAGE)] * 21
        assert (client.traffic.requests, client.traffic.retries) == (41, 20)
        assert client.traffic.waited_seconds == pytest.approx(sum(waits))


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
HTML = b"<!doctype html><html><head><title>Sign in\n &amp; go</title></head><body>SECRET TEXT</body></html>"
UNPARSABLE = {
    "half a body": (Line(answer().data[:-5], "close"), "RemoteProtocolError"),
    "half a chunked body": (Line(CHUNKED + b"31\r\n" + PAGE[:9], "close"), "RemoteProtocolError"),
    "half a body without a length": (Line(b"HTTP/1.1 200 OK\r\n\r\n" + PAGE[:9], "close"), "9 bytes"),
    "half a gzip stream": (answer(gzip.compress(PAGE)[:-20], content_encoding="gzip"), "not the JSON"),
    "no gzip at all": (answer(content_encoding="gzip"), "DecodingError"),
    "a closed connection": (Line(b"", "close"), "RemoteProtocolError"),
    "a reset connection": (Line(b"", "reset"), "ReadError"),
    "a reset within the body": (Line(answer().data[:-5], "reset"), "ReadError"),
    "no HTTP": (Line(b"hello\r\n\r\n", "close"), "RemoteProtocolError"),
    "an HTML page": (answer(HTML), 'an HTML page titled "Sign in & go"'),
    "an empty body": (answer(b""), "an empty body"),
    "text": (answer(b"upstream says hello"), "19 bytes"),
    "no UTF-8": (answer(b'"\xff"'), "not the JSON"),
    "204": (answer(b"", 204), "204"),
}
TOO_MANY = [
    refusal(429, "Slow", code) for code in ("rate_limit_exceeded", "slow_down", "never_heard_of", None)
]
BUSY = [refusal(status, "Busy") for status in (408, 409, 500, 502, 503, 504, 507, 520, 529)]
PASSING = [line for line, _ in UNPARSABLE.values()] + TOO_MANY + BUSY + [answer(HTML, 502)]


class TestPassingFaults:
    @pytest.mark.parametrize("fault", PASSING, ids=lambda line: line.data[:14].decode())
    def test_are_asked_again(self, script: Script, client: Client, waits: list[float], fault: Line) -> None:
        script.says(fault, answer())
        assert listed(client).value == json.loads(PAGE)
        assert len(waits) == 1
        assert 0.375 <= waits[0] <= 0.5
        assert (client.traffic.requests, client.traffic.retries) == (2, 1)
        assert client.traffic.waited_seconds == waits[0]
        assert script.targets[0] == script.targets[1]

    @pytest.mark.parametrize(("fault", "seen"), UNPARSABLE.values(), ids=UNPARSABLE)
    def test_that_stay_are_told_with_the_last_one(self, script: Script, fault: Line, seen: str) -> None:
        script.says(*[fault] * 3)
        error = final(script, patience=Patience(max_attempts=3), requests=3)
        assert type(error) is ServiceError
        assert_words(error, seen, "in 3 tries", "is kept", "a repeat is safe", "127.0.0.1")

    @pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
    def test_that_stay_name_status_code_and_request(self, script: Script, status: int) -> None:
        script.says(refusal(500), refusal(status, "So very busy", "busy"))
        error = final(script, patience=Patience(max_attempts=2), requests=2)
        assert_words(
            error, f"answered {status}", '"So very busy" (busy, request req_7)', "in 2 tries", "is kept"
        )

    def test_a_body_that_broke_off_names_its_request(self, script: Script) -> None:
        script.says(Line(answer(x_request_id="req_9").data[:-5], "close"))
        error = final(script, patience=Patience(max_attempts=1))
        assert_words(error, "answered 200 and broke off (request req_9)", "RemoteProtocolError", "in 1 try;")

    def test_silence_is_a_time_out(self, script: Script, waits: list[float]) -> None:
        script.says(Line(b"", "hang"), Line(answer().data[:-5], "hang"), answer())
        patience = Patience(timeout=0.1)
        with Client(Endpoint(KEY, script.url), patience, sleep=waits.append) as client:
            assert listed(client).value == json.loads(PAGE)
        assert (client.traffic.requests, len(waits)) == (3, 2)

    def test_silence_that_stays_is_told(self, script: Script) -> None:
        script.says(Line(b"", "hang"))
        error = final(script, patience=Patience(max_attempts=1, timeout=0.05))
        assert_words(error, "no answer from 127.0.0.1 (ReadTimeout: timed out)")

    def test_an_answer_that_never_ends_is_cut_off(self, script: Script, waits: list[float]) -> None:
        script.says(Line(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{", "drip"), answer())
        patience = Patience(timeout=30, answer_timeout=0.1)
        heard: list[str] = []
        with Client(Endpoint(KEY, script.url), patience, sleep=waits.append, on_retry=heard.append) as client:
            assert listed(client).value == json.loads(PAGE)
        assert (client.traffic.requests, len(waits)) == (2, 1)
        assert "not whole after 0.1 s" in heard[0]

    def test_a_port_where_nobody_listens(self, waits: list[float]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            port = reserved.getsockname()[1]
        client = Client(Endpoint(KEY, f"http://127.0.0.1:{port}"), Patience(2), sleep=waits.append)
        with client, pytest.raises(ServiceError, match="ConnectError") as caught:
            listed(client)
        assert_words(caught.value, "in 2 tries", "Connection refused", "the base URL")
        assert (client.traffic.requests, len(waits)) == (2, 1)

    def test_listeners_hear_each_wait_before_it_begins(self, script: Script) -> None:
        script.says(refusal(503, "Busy"), answer())
        heard: list[str] = []
        with Client(
            Endpoint(KEY, script.url), sleep=lambda _: heard.append("…"), on_retry=heard.append
        ) as client:
            listed(client)
        assert heard[1:] == ["…"]
        assert heard[0].startswith('127.0.0.1 answered 503 "Busy" (request req_7); try 2 of 8 follows in 0.')


class TestWaits:
    def test_grow_to_eight_seconds_with_jitter(
        self, script: Script, client: Client, waits: list[float]
    ) -> None:
        script.says(*[refusal(500)] * 16)
        for _ in range(2):
            with pytest.raises(ServiceError):
                listed(client)
        longest = [0.5, 1, 2, 4, 8, 8, 8] * 2
        assert all(0.75 * top <= wait <= top for wait, top in zip(waits, longest, strict=True))
        assert len(set(waits)) == len(waits)
        assert (client.traffic.requests, client.traffic.retries) == (16, 14)

    @pytest.mark.parametrize(
        ("headers", "wait"),
        [
            ({"retry_after_ms": "1500"}, 1.5),
            ({"retry_after_ms": "2500.5", "retry_after": "9"}, 2.5005),
            ({"retry_after_ms": "soon", "retry_after": "9"}, 9),
            ({"retry_after": "120"}, 120),
            ({"retry_after": " 2.5 "}, 2.5),
            ({"retry_after": "Tue, 16 Sep 2025 12:00:30 GMT", "date": NOON}, 30),
        ],
    )
    def test_last_as_long_as_the_server_asks(
        self, script: Script, client: Client, waits: list[float], headers: dict[str, str], wait: float
    ) -> None:
        script.says(answer(b"{}", 429, **headers), answer())
        listed(client)
        assert waits == [pytest.approx(wait)]

    @pytest.mark.parametrize(
        "headers",
        [
            {"retry_after_ms": "100"},
            {"retry_after": "0"},
            {"retry_after": "-5"},
            {"retry_after": "nan"},
            {"retry_after": "later"},
            {"retry_after": "Tue, 16 Sep 2025 11:00:00 GMT", "date": NOON},
            {"retry_after": "Tue, 16 Sep 2025 11:00:00 GMT"},
        ],
    )
    def test_are_never_shorter_than_ours(
        self, script: Script, client: Client, waits: list[float], headers: dict[str, str]
    ) -> None:
        script.says(answer(b"{}", 503, **headers), answer())
        listed(client)
        assert 0.375 <= waits[0] <= 0.5

    def test_until_a_date_count_from_here_when_the_server_has_no_clock(
        self, script: Script, client: Client, waits: list[float]
    ) -> None:
        until = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
        script.says(answer(b"{}", 503, retry_after=until), answer())
        listed(client)
        assert 55 <= waits[0] <= 60

    @pytest.mark.parametrize(
        ("headers", "asked"),
        [
            ({"retry_after": "121"}, "121 s"),
            ({"retry_after_ms": "3600000"}, "3600 s"),
            ({"retry_after": "Wed, 17 Sep 2025 12:00:00 GMT", "date": NOON}, "86400 s"),
            ({"retry_after": "1e6"}, "1000000 s"),
            ({"retry_after": "inf"}, "inf s"),
        ],
    )
    def test_too_long_to_wait_is_final_at_once(
        self, script: Script, headers: dict[str, str], asked: str
    ) -> None:
        script.says(answer(b"{}", 429, **headers))
        error = final(script)
        assert type(error) is ServiceError
        assert_words(error, "answered 429", f"asks to wait {asked}", "120 s", "is kept")

    def test_have_a_ceiling_of_ones_own(self, script: Script) -> None:
        script.says(answer(b"{}", 503, retry_after="3"))
        assert_words(final(script, patience=Patience(max_wait=2)), "3 s", "2 s")

    def test_can_be_broken_off(self, script: Script) -> None:
        class Interrupted(Exception):
            pass

        def sleep(_: float) -> None:
            raise Interrupted

        script.says(refusal(500))
        with Client(Endpoint(KEY, script.url), sleep=sleep) as client, pytest.raises(Interrupted):
            listed(client)
        assert (client.traffic.requests, client.traffic.retries) == (1, 0)


def final(script: Script, patience: Patience = Patience(), requests: int = 1, **how: Any) -> Exception:  # noqa: B008
    """The error of a list that ends after `requests` requests; nothing of the key is in it."""
    client = Client(Endpoint(KEY, script.url), patience, sleep=lambda _: None)
    with client, pytest.raises(StoredCompletionsError) as caught:
        listed(client, **how)
    until = time.monotonic() + 30
    while len(script.heads) < requests and time.monotonic() < until:
        time.sleep(0.001)  # a client that waits for next to no time may be gone before its request is read
    assert client.traffic.requests == len(script.heads) == requests
    assert_no_key("".join(traceback.format_exception(caught.value)))
    return caught.value


def assert_words(error: BaseException, *words: str) -> None:
    assert [word for word in words if word not in str(error)] == [], str(error)
    assert "\n" not in str(error)


def assert_no_key(text: str) -> None:
    assert not any(KEY[start : start + 8] in text for start in range(len(KEY) - 7)), text


REGION = "Attempted to access resource with incorrect regional hostname. Please make your request to us.api.openai.com"
SCOPES = "You have insufficient permissions for this operation. Missing scopes: api.read."
ONLY_POST = "Only POST requests are accepted."
FINAL = [
    (refusal(401, "Incorrect API key", "invalid_api_key"), AccessError, ["not accepted", "OPENAI_API_KEY", "secrets.toml", "req_7"]),
    (refusal(401, REGION, "incorrect_hostname"), AccessError, ["region", "https://us.api.openai.com/v1", "OPENAI_BASE_URL"]),
    (refusal(401, SCOPES), AccessError, ["may not", "restricted key", "Chat completions: Read"]),
    (refusal(403, "No."), AccessError, ["may not", "restricted key", "Chat completions: Read"]),
    (answer(HTML, 403), AccessError, ['an HTML page titled "Sign in & go"']),
    (answer(b"", 401), AccessError, ["an empty body", "not accepted"]),
    (refusal(402, "Pay."), ServiceError, ["billing", "is kept"]),
    (refusal(404, "Invalid URL"), ServiceError, ["base URL", "probably wrong", "https://api.openai.com/v1"]),
    (answer(HTML, 404), ServiceError, ["base URL", "probably wrong"]),
    (refusal(405, ONLY_POST), ServiceError, [ONLY_POST, "no endpoint for stored completions", "base URL"]),
    (refusal(501, "?"), ServiceError, ["no endpoint for stored completions"]),
    (refusal(505, "?"), ServiceError, ["answered 505"]),
    (refusal(400, "Invalid model", "bad", "model"), ServiceError, ['400 "Invalid model" (bad, request req_7)', "is kept"]),
    (refusal(418, "Teapot"), ServiceError, ['answered 418 "Teapot"']),
    (answer(b'{"detail": "Not so"}', 410), ServiceError, ['"Not so"']),
    (answer(b'{"error": "Not so"}', 410), ServiceError, ['"Not so"']),
    (answer(b'{"message": "Not so", "code": 7}', 410), ServiceError, ['"Not so" (7)']),
    (answer(b"[" * 100_000, 410), ServiceError, ["100000 bytes"]),
    (answer(b"plain SECRET TEXT", 410), ServiceError, ["17 bytes"]),
    (answer(b'{"error": 7}', 410), ServiceError, ['"7"']),
    (answer(b"[7]", 410), ServiceError, ["3 bytes"]),
]  # fmt: skip
UNPAID = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "project_spend_limit_exceeded",
    "organization_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
]


class TestFinalAnswers:
    @pytest.mark.parametrize(("line", "kind", "words"), FINAL, ids=lambda value: None)
    def test_name_cause_and_remedy(
        self, script: Script, line: Line, kind: type[Exception], words: list[str]
    ) -> None:
        script.says(line)
        error = final(script)
        assert type(error) is kind
        assert_words(error, *words)
        assert "SECRET TEXT" not in str(error)

    @pytest.mark.parametrize("code", UNPAID)
    @pytest.mark.parametrize("where", ["code", "type"])
    def test_an_unpaid_bill_is_not_waited_for(self, script: Script, code: str, where: str) -> None:
        error = {"message": "You exceeded your current limit", "type": None, "code": None, where: code}
        script.says(answer(json.dumps({"error": error}).encode(), 429, retry_after="1"))
        refused = final(script)
        assert (type(refused), refused.exit_code) == (ServiceError, 1)  # type: ignore[attr-defined]
        assert_words(refused, "limit", "billing settings", "is kept", code if where == "code" else "429")

    def test_parse_has_the_last_word_on_what_is_no_list(self, script: Script, client: Client) -> None:
        no_list = ServiceError("a 200 that is no list")

        def parse(_: bytes) -> None:
            raise no_list

        script.says(answer())
        with pytest.raises(ServiceError) as caught:
            client.list_completions(parse, limit=1)
        assert (caught.value, client.traffic.requests) == (no_list, 1)

    def test_an_interruption_while_parsing_is_no_fault(self, script: Script, client: Client) -> None:
        def parse(_: bytes) -> None:
            raise KeyboardInterrupt

        script.says(answer())
        with pytest.raises(KeyboardInterrupt):
            client.list_completions(parse, limit=1)
        assert client.traffic.requests == 1

    def test_a_certificate_that_is_not_trusted(self) -> None:
        def handler(_: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")

        with answering(handler) as client, pytest.raises(ServiceError) as caught:
            listed(client)
        assert_words(caught.value, "not trusted", "SSL_CERT_FILE", "api.openai.com")
        assert client.traffic.requests == 1


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_are_named_and_not_followed(self, script: Script, status: int) -> None:
        script.says(answer(b"", status, location="https://user:pw@elsewhere.example.com:8443/v2?token=1"))
        error = final(script)
        assert type(error) is ServiceError
        assert_words(
            error, f"{status}", "https://elsewhere.example.com:8443", "not followed", "OPENAI_BASE_URL"
        )
        assert not {"token", "pw"} & set(str(error).replace("/", " ").replace("?", " ").split())

    def test_to_the_same_host_are_not_followed_either(self, script: Script) -> None:
        script.says(answer(b"", 307, location="/v2/chat/completions"))
        assert_words(final(script), f"redirect to {script.url.removesuffix('/v1')}")

    @pytest.mark.parametrize("status", [300, 304])
    def test_to_nowhere(self, script: Script, status: int) -> None:
        script.says(answer(b"", status))
        assert_words(final(script), f"{status}", "nowhere")

    def test_to_no_address_are_a_broken_answer(self, script: Script) -> None:
        script.says(answer(b"", 302, location="https://example.com:port/"))
        assert_words(final(script, Patience(max_attempts=1)), "RemoteProtocolError")

    def test_from_https_keep_the_key_at_home(self) -> None:
        asked = []

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.host)
            return httpx.Response(302, headers={"location": "https://evil.example.com/"})

        with answering(handler) as client, pytest.raises(ServiceError, match=r"https://evil\.example\.com"):
            listed(client)
        assert asked == ["api.openai.com"]


FASTAPI = [
    {
        "type": "less_than_equal",
        "loc": ["query", "limit"],
        "msg": "Input should be at most 100",
        "input": "500",
    }
]
CURSOR = "chatcmpl-CGSZLBwN3ersx3QOcC4LAC3d8B2UQ"


class TestPages:
    @pytest.mark.parametrize(
        ("line", "after"),
        [
            (refusal(400, "Too large", None, "limit"), None),
            (refusal(400, "Too large", None, "limit"), CURSOR),
            (refusal(400, "Invalid 'limit': integer above maximum value"), None),
            (refusal(400, "Limit must be at most 100"), CURSOR),
            (answer(json.dumps({"detail": FASTAPI}).encode(), 422), None),
            (answer(json.dumps({"detail": FASTAPI}).encode(), 422), CURSOR),
        ],
        ids=str,
    )
    def test_too_large(self, script: Script, line: Line, after: str | None) -> None:
        script.says(line)
        error = final(script, limit=500, after=after)
        assert type(error) is LimitTooLarge
        assert_words(error, "500")

    @pytest.mark.parametrize(
        "line", [answer(), answer(gzip.compress(PAGE * 9), content_encoding="gzip")], ids=["plain", "gzip"]
    )
    def test_too_heavy(self, script: Script, line: Line) -> None:
        script.says(line)
        assert type(final(script, most_bytes=len(PAGE) - 1)) is PageTooHeavy

    def test_not_too_heavy(self, script: Script, client: Client) -> None:
        page = PAGE + b" " * 1000
        script.says(answer(page), answer(gzip.compress(page), content_encoding="gzip"))
        assert listed(client, most_bytes=len(page)).value == json.loads(page)
        assert listed(client, most_bytes=len(page)).value == json.loads(page)

    @pytest.mark.parametrize(
        "line",
        [
            refusal(404, "Completion not found", "not_found", "after"),
            refusal(404),
            answer(HTML, 404),
            refusal(400, "Bad", None, "after"),
            refusal(400, "Unknown cursor"),
            refusal(400, "Record was not found"),
            refusal(400, f"No such id: {CURSOR}"),
            refusal(400, "Invalid value for after: no limit helps"),
            refusal(400, "Something is off"),
            answer(b"", 400),
        ],
        ids=str,
    )
    def test_after_a_cursor_that_is_gone(self, script: Script, line: Line) -> None:
        script.says(line)
        assert type(final(script, after=CURSOR)) is CursorGone

    @pytest.mark.parametrize(
        "line",
        [
            refusal(400, "Bad", None, "model"),
            refusal(400, "Bad", None, "metadata"),
            refusal(413, "limit after"),
        ],
    )
    def test_refused_for_another_reason(self, script: Script, line: Line) -> None:
        script.says(line)
        assert type(final(script, after=CURSOR)) is ServiceError

    @pytest.mark.parametrize("status", [400, 404])
    def test_without_a_cursor_no_cursor_is_gone(self, script: Script, status: int) -> None:
        script.says(refusal(status, "cursor after not found"))
        assert type(final(script)) is ServiceError


MISSING = refusal(404, f"Completion {CURSOR} not found", "not_found", "completion_id")


class TestOneCompletion:
    @pytest.mark.parametrize(
        ("ask", "line", "kind"),
        [
            (lambda client: client.completion(json.loads, CURSOR), MISSING, NotFound),
            (lambda client: client.messages(json.loads, CURSOR, limit=3), MISSING, NotFound),
            (
                lambda client: client.messages(json.loads, CURSOR, limit=3, after=f"{CURSOR}-0"),
                MISSING,
                NotFound,
            ),
            (lambda client: client.messages(json.loads, CURSOR, limit=3), answer(b"", 404), NotFound),
            (
                lambda client: client.messages(json.loads, CURSOR, limit=3, after=f"{CURSOR}-0"),
                refusal(404, f"Message {CURSOR}-0 not found"),
                CursorGone,
            ),
            (
                lambda client: client.messages(json.loads, CURSOR, limit=3, after=f"{CURSOR}-0"),
                refusal(400, "Bad", None, "after"),
                CursorGone,
            ),
            (
                lambda client: client.messages(json.loads, CURSOR, limit=3),
                refusal(400, "Bad", None, "limit"),
                LimitTooLarge,
            ),
            (lambda client: client.completion(json.loads, CURSOR), refusal(400, "limit"), ServiceError),
            (lambda client: client.completion(json.loads, CURSOR), refusal(405, ONLY_POST), ServiceError),
            (lambda client: client.completion(json.loads, CURSOR), refusal(401), AccessError),
        ],
    )
    def test_that_is_refused(
        self, script: Script, client: Client, ask: Callable[[Client], Any], line: Line, kind: type[Exception]
    ) -> None:
        script.says(line)
        with pytest.raises(StoredCompletionsError) as caught:
            ask(client)
        assert (type(caught.value), client.traffic.requests) == (kind, 1)


class TestSecrecy:
    @pytest.mark.parametrize(
        "message",
        [
            f"Incorrect API key provided: {KEY}.",
            f"Incorrect API key provided: {KEY[:16]}.",
            f"Incorrect API key provided: '{KEY[10:30]}'",
            "Incorrect API key provided: sk-proj-********************WXYZ. See https://platform.openai.com.",
            "Incorrect API key provided: Zm9y*************************WXYZ",
            "Incorrect API key provided: sk-other-key",
            f"{KEY[:20]}\n{KEY[20:]}",
            f"{'x' * 9990} {KEY}",
        ],
    )
    @pytest.mark.parametrize("status", [401, 500])
    def test_no_error_says_the_key(self, script: Script, message: str, status: int) -> None:
        script.says(refusal(status, message))
        error = final(script, patience=Patience(max_attempts=1))
        assert "[key]" in str(error) or "x" * 250 in str(error)
        assert not any(part in str(error) for part in ("WXYZ", "sk-proj", "sk-other"))

    def test_not_by_way_of_a_code_an_id_a_title_or_a_target_either(self, script: Script) -> None:
        title = f"<html><title>{KEY}</title>".encode()
        script.says(
            refusal(410, "?", KEY, KEY),
            answer(b"", 410, x_request_id=KEY),
            answer(title, 410),
            answer(title),
            answer(b"", 302, location=f"https://{KEY}.example.com/"),
            answer(b'{"message": "of a completion"}'),
        )
        with Client(Endpoint(KEY, script.url), Patience(max_attempts=1)) as client:
            for _ in range(5):
                with pytest.raises(StoredCompletionsError) as caught:
                    listed(client)
                assert_no_key(str(caught.value))

    def test_what_a_server_says_is_cut_and_kept_in_one_line(self, script: Script) -> None:
        script.says(refusal(410, "a\x1b[31m\r\n\tb\u202e" + "c" * 1000))
        error = final(script)
        assert_words(error, '"a [31m b ccc', "…")
        assert len(str(error)) < 450

    def test_no_log_says_the_key(self, script: Script, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        script.says(refusal(500, KEY), answer(x_request_id="req_1"), refusal(401, KEY))
        with Client(Endpoint(KEY, script.url), sleep=lambda _: None, on_retry=logging.warning) as client:
            listed(client)
            with pytest.raises(AccessError):
                listed(client)
        assert "GET /chat/completions: 200, request req_1" in caplog.messages
        assert any("try 2 of 8" in message for message in caplog.messages)
        assert_no_key(
            "\n".join(record.getMessage() for record in caplog.records if record.name != "httpcore")
        )

    def test_no_picture_of_an_object_shows_the_key(self) -> None:
        with Client(Endpoint(KEY)) as client:
            assert_no_key(f"{Endpoint(KEY)!r} {client!r} {vars(client)!r}")

    def test_netrc_puts_no_other_credentials_in(
        self, script: Script, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        script.says(answer())
        listed(client)
        assert script.header("authorization") == f"Bearer {KEY}"

    def test_what_is_for_this_machine_passes_no_proxy(
        self, script: Script, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        script.says(answer())
        with Client(Endpoint(KEY, script.url), Patience(max_attempts=1)) as client:
            listed(client)
        assert len(script.heads) == 1


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"api_key": ""}, ["OPENAI_API_KEY", ".dlt/secrets.toml", "--api-key is not a flag"]),
            ({"api_key": f"{KEY}\n"}, ["line break", "OPENAI_API_KEY"]),
            ({"api_key": f" {KEY}"}, ["space", "OPENAI_API_KEY"]),
            ({"api_key": f"{KEY}é"}, ["ASCII", "OPENAI_API_KEY"]),
            ({"base_url": ""}, ["https://api.openai.com/v1", "OPENAI_BASE_URL"]),
            ({"base_url": "api.openai.com/v1"}, ["https://api.openai.com/v1"]),
            ({"base_url": "ftp://api.openai.com/v1"}, ["https://api.openai.com/v1"]),
            ({"base_url": "https:///v1"}, ["https://api.openai.com/v1"]),
            ({"base_url": "https://api.openai.com/v1 "}, ["https://api.openai.com/v1"]),
            ({"base_url": f"https://api.openai.com:{KEY}/v1"}, ["OPENAI_BASE_URL", "port"]),
            ({"base_url": f"https://me:{KEY}@api.openai.com/v1"}, ["user or password", "OPENAI_API_KEY"]),
            ({"base_url": f"me:{KEY}@api.openai.com/v1"}, ["user or password"]),
            ({"base_url": "https://x.openai.azure.com/openai/v1?api-version=preview"}, ["api_version"]),
            (
                {"base_url": "http://api.example.com/v1"},
                ["http://api.example.com", "--insecure-http", "https"],
            ),
            ({"organization": "org 1"}, ["organization"]),
            ({"project": "proj\n"}, ["project"]),
            ({"api_version": "ü"}, ["api_version"]),
        ],
    )
    def test_that_cannot_work_are_told_before_anything_is_sent(
        self, settings: dict[str, Any], words: list[str]
    ) -> None:
        with pytest.raises(UsageError) as caught:
            Endpoint(**{"api_key": KEY, **settings})
        assert_words(caught.value, *words)
        assert_no_key("".join(traceback.format_exception(caught.value)))

    @pytest.mark.parametrize(
        "host", ["localhost:1", "api.localhost", "127.0.0.1", "127.8.0.1:80", "[::1]:8080"]
    )
    def test_plain_http_may_go_to_this_machine(self, host: str) -> None:
        assert asked_of(base_url=f"http://{host}/v1").url.scheme == "http"

    def test_plain_http_may_go_further_when_that_is_said(self) -> None:
        request = asked_of(base_url="http://api.example.com/v1", insecure_http=True)
        assert str(request.url) == "http://api.example.com/v1/chat/completions?limit=1&order=asc"

    @pytest.mark.parametrize(
        "policy",
        [
            {"max_attempts": 0},
            {"max_wait": -1},
            {"timeout": 0},
            {"connect_timeout": -1},
            {"answer_timeout": 0},
        ],
    )
    def test_patience_must_be_possible(self, policy: dict[str, Any]) -> None:
        with pytest.raises(UsageError):
            Patience(**policy)
