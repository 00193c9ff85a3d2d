"""The sandbox on a socket: HTTP on loopback, and the faults that only a socket can show."""

import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from socketserver import TCPServer
from threading import Event, Lock, Thread
from time import perf_counter
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlsplit

from .account import Account
from .answers import Answer
from .api import Api, Request
from .bill import Bill
from .clock import Clock
from .control import control
from .faults import Fault, Faults
from .rules import Rules

_LOOPBACK = "127.0.0.1"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Sandbox:
    """An account served on loopback while the `with` block runs.

    requests  every API request so far: (method, path, query); control requests are not among them
    rules     how lists behave, see Rules; may be replaced while it runs
    busiest   most requests that were under way at once
    seconds   time that all answers took, waits included
    """

    def __init__(
        self,
        account: Account | None = None,
        *,
        now: float | None = None,
        port: int = 0,
        seed: int = 0,
        verbose: bool = False,
        **rules: Any,
    ) -> None:
        """`now` stops the clock there; `port` 0 takes a free one; the rest are fields of Rules."""
        self.account = account if account is not None else Account()
        self.clock = Clock(now)
        self.faults = Faults()
        self.rules = Rules(**rules)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.verbose = verbose
        self.busiest = 0
        self.seconds = 0.0
        self._under_way = 0
        self._counting = Lock()
        self.stopping = Event()
        self.numbers = count()
        self._api = Api(self.account, self.clock, seed)
        self._port = port
        self._server: _Server | None = None

    @property
    def bill(self) -> Bill:
        """What the account's organization is billed for, and what was planted in it."""
        return self._api.bill

    @property
    def url(self) -> str:
        """The address without a path."""
        if self._server is None:
            raise RuntimeError("The sandbox is not started.")
        return f"http://{_LOOPBACK}:{self._server.server_port}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def start(self) -> None:
        self._server = _Server(self, self._port)
        self.stopping.clear()
        Thread(target=self._server.serve_forever, args=(0.02,), name="sandbox", daemon=True).start()

    def stop(self) -> None:
        """Ends every connection, also those that are kept alive."""
        if self._server is not None:
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, request: Request) -> tuple[Answer, Fault]:
        """The answer, and what is to happen to it on its way."""
        if request.path.startswith("/sandbox/"):
            return control(self, request), Fault.none()
        self.requests.append((request.method, request.path, request.query))
        fault = self.faults.take(request.path)
        with self._one_more():
            self.stopping.wait(self.rules.latency + fault.delay)
            return fault.answer or self._api.answer(request, self.rules), fault

    @contextmanager
    def _one_more(self) -> Iterator[None]:
        with self._counting:
            self._under_way += 1
            self.busiest = max(self.busiest, self._under_way)
        begin = perf_counter()
        try:
            yield
        finally:
            with self._counting:
                self._under_way -= 1
                self.seconds += perf_counter() - begin


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that stopping ends them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        self.sandbox = sandbox
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__((_LOOPBACK, port), _Handler)

    def server_bind(self) -> None:
        """Without the name lookup that the base class makes."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = _LOOPBACK, self.server_address[1]

    def hang_up(self) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def answer(self) -> None:
        """Reads the request's body, then sends the answer or what its fault leaves of it."""
        started = perf_counter()
        sandbox = self.server.sandbox
        answer, fault = sandbox.answer(self._request())
        head = self._head(answer, perf_counter() - started)
        body = b"" if self.command == "HEAD" else answer.body
        if fault.keep is None:
            self.wfile.write(head)
            self.wfile.write(body)
            return
        self.close_connection = True
        if fault.keep >= 0:
            self.wfile.write(head + body[: int(len(body) * fault.keep)])
        if fault.end == "reset":
            self._reset()

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method there is comes to the same place."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def _request(self) -> Request:
        url, length = urlsplit(self.path), self.headers.get("Content-Length", "")
        return Request(
            method=self.command,
            path=url.path,
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            repeated=parse_qs(url.query, keep_blank_values=True),
            body=self.rfile.read(int(length) if length.isdigit() else 0),
        )

    def _head(self, answer: Answer, seconds: float) -> bytes:
        """Status line and headers, each connection kept alive unless it is about to end."""
        sandbox = self.server.sandbox
        lines = [
            f"HTTP/1.1 {answer.status} {responses.get(answer.status, '')}",
            f"content-type: {answer.content_type}",
            f"content-length: {len(answer.body)}",
            f"x-request-id: req_{next(sandbox.numbers):032x}",
            f"openai-processing-ms: {round(seconds * 1000)}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        if sandbox.rules.date_header:
            lines.append(f"date: {formatdate(sandbox.clock.now(), usegmt=True)}")
        self.log_request(answer.status, len(answer.body))
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _reset(self) -> None:
        """Closing with no time to linger sends a reset in place of a farewell."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        if self.server.sandbox.verbose:
            super().log_message(format, *args)
