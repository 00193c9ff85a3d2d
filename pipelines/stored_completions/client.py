"""One GET and its answer: the only module that knows HTTP.

Here alone stand the headers, the retries and what each refusal means to a person. What a completion
looks like is not known here: bytes go to the caller's `parse`. Nothing that a server says is
repeated before `_quotable` has taken the key out of it.
"""

import json
import logging
import platform
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cached_property
from html import unescape
from ipaddress import ip_address
from threading import Lock
from typing import Any, Generic, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from stored_completions import __version__
from stored_completions.errors import (
    AccessError,
    CursorGone,
    LimitTooLarge,
    NotFound,
    ServiceError,
    UsageError,
)

T = TypeVar("T")

_LIST = "/chat/completions"
_AZURE = re.compile(r"\.azure\.(com|us|cn)$")
_PASSING = {408, 409, 429, *range(500, 600)} - {501, 505}
_UNPAID = re.compile(
    r"insufficient_quota|credit_balance_exhausted|.*_spend_limit_exceeded"
    r"|organization_usage_limit_exceeded|billing_hard_limit_reached"
)
_KEPT = "What was synced is kept, and a repeat is safe."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """Where and as whom. A setting that cannot work is a UsageError here, before anything is sent."""

    api_key: str = field(repr=False)
    base_url: str = "https://api.openai.com/v1"
    organization: str | None = None
    project: str | None = None
    api_version: str | None = None
    insecure_http: bool = False

    def __post_init__(self) -> None:
        _check_key(self.api_key)
        _check_url(self.base_url, self.insecure_http)
        for name in ("organization", "project", "api_version"):
            if not re.fullmatch(r"[!-~]+", getattr(self, name) or "-"):
                raise UsageError(f"The {name} must be plain ASCII without spaces: set it again.")

    @property
    def place(self) -> str:
        """The base URL in the one form that names it."""
        return self.base_url.rstrip("/")

    @cached_property
    def url(self) -> httpx.URL:
        return httpx.URL(self.place)

    @property
    def is_azure(self) -> bool:
        return bool(self.api_version) or _AZURE.search(self.url.host) is not None

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries, the key among it."""
        key = {"api-key": self.api_key} if self.is_azure else {"Authorization": f"Bearer {self.api_key}"}
        account = {"OpenAI-Organization": self.organization, "OpenAI-Project": self.project}
        return {
            **key,
            **{name: value for name, value in account.items() if value},
            "User-Agent": _user_agent(),
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }


@dataclass(frozen=True)
class Patience:
    """How often and how long to try: seconds; `timeout` bounds each silence of the server, not the
    whole answer; `max_wait` is the longest single wait that a server may ask for."""

    max_attempts: int = 8
    max_wait: float = 120.0
    timeout: float = 60.0
    connect_timeout: float = 10.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.max_wait < 0 or min(self.timeout, self.connect_timeout) <= 0:
            raise UsageError("Tries must be at least 1, time-outs above 0 and waits not below 0 seconds.")


@dataclass
class Traffic:
    """What a client has done so far; `bytes` are body bytes as they came, compressed or not."""

    requests: int = 0
    retries: int = 0
    waited_seconds: float = 0.0
    bytes: int = 0


@dataclass(frozen=True)
class Answer(Generic[T]):
    """A parsed body and what its headers said: the server's clock in unix seconds (None when absent
    or unreadable), its name for the request, and the body's decoded size in bytes."""

    value: T
    date: int | None
    request_id: str | None
    size: int


class Client:
    """GETs against one endpoint, over kept connections; several threads may share it.

    `parse` makes a value of the body's bytes. Its ValueError means a broken body, which is asked for
    again; its ServiceError is final. `sleep` waits between tries and may raise to stop them;
    `on_retry` hears one sentence before each wait. A failure after every try is a ServiceError.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        patience: Patience = Patience(),
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        on_retry: Callable[[str], None] | None = None,
    ) -> None:
        self.traffic = Traffic()
        self._endpoint = endpoint
        self._patience = patience
        self._sleep = sleep
        self._on_retry = on_retry
        self._counting = Lock()
        self._http = _http(endpoint, patience, transport)
        self._tries = Retrying(
            stop=stop_after_attempt(patience.max_attempts),
            wait=_wait,
            retry=retry_if_exception_type(_PassingError),
            sleep=self._pause,
            before_sleep=self._announce,
            retry_error_callback=self._give_up,
        )

    def list_completions(
        self,
        parse: Callable[[bytes], T],
        *,
        limit: int,
        after: str | None = None,
        order: str = "asc",
        model: str | None = None,
        metadata: Mapping[str, str] = {},
    ) -> Answer[T]:
        """One page of the list. CursorGone when `after` is not known any more, LimitTooLarge when
        `limit` is refused."""
        wanted = {"limit": str(limit), "order": order, "after": after, "model": model}
        wanted |= {f"metadata[{key}]": value for key, value in metadata.items()}
        return self._get(_Ask(_LIST, _sent(wanted)), parse)

    def completion(self, parse: Callable[[bytes], T], completion_id: str) -> Answer[T]:
        """One completion; NotFound when it is not there."""
        return self._get(_Ask(_path(completion_id), {}), parse)

    def messages(
        self, parse: Callable[[bytes], T], completion_id: str, *, limit: int, after: str | None = None
    ) -> Answer[T]:
        """One page of a completion's input messages, in order; NotFound when the completion is not there."""
        wanted = _sent({"limit": str(limit), "order": "asc", "after": after})
        return self._get(_Ask(f"{_path(completion_id)}/messages", wanted), parse)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get(self, ask: "_Ask", parse: Callable[[bytes], T]) -> Answer[T]:
        return self._tries(self._try, ask, parse)

    def _try(self, ask: "_Ask", parse: Callable[[bytes], T]) -> Answer[T]:
        reply = self._reply(ask)
        _log.debug("GET %s: %d, request %s", ask.path, reply.status, reply.request_id)
        if not reply.response.is_success:
            raise self._failure(reply)
        try:
            value = parse(reply.body)
        except ValueError:
            raise _PassingError(f"{reply.said_with(reply.kind)}, not the JSON that was asked for") from None
        return Answer(value, reply.date, reply.request_id, len(reply.body))

    def _reply(self, ask: "_Ask") -> "_Reply":
        """The whole answer to one request, whatever its status."""
        self._count(requests=1)
        try:
            with self._http.stream("GET", _url(self._endpoint, ask)) as response:
                return _Reply(ask, self._endpoint, response, self._body(ask, response))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._broken(f"no answer from {self._endpoint.url.host}", error) from error

    def _body(self, ask: "_Ask", response: httpx.Response) -> bytes:
        try:
            return response.read()
        except httpx.HTTPError as error:
            begun = _Reply(ask, self._endpoint, response, b"").said_with("and broke off")
            raise self._broken(begun, error) from error
        finally:
            self._count(bytes=response.num_bytes_downloaded)

    def _broken(self, seen: str, error: Exception) -> Exception:
        cause = f"{type(error).__name__}: {_quotable(str(error), self._endpoint.api_key)}"
        if "CERTIFICATE_VERIFY_FAILED" not in cause:
            return _PassingError(f"{seen} ({cause})")
        return ServiceError(
            f"{seen} ({cause}): its certificate is not trusted here. Behind a company proxy, let "
            f"SSL_CERT_FILE name a file that holds the proxy's certificate."
        )

    def _failure(self, reply: "_Reply") -> Exception:
        failure = next(filter(None, (judge(reply) for judge in _JUDGES)), None)
        if isinstance(failure, _PassingError) and failure.asked > self._patience.max_wait:
            return ServiceError(
                f"{reply.said} and asks to wait {failure.asked:.0f} s, where {self._patience.max_wait:g} s is the "
                f"most this run waits: repeat it later. {_KEPT}"
            )
        return failure or ServiceError(f"{reply.said}. {_KEPT}")

    def _announce(self, state: RetryCallState) -> None:
        if self._on_retry:
            following = f"try {state.attempt_number + 1} of {self._patience.max_attempts}"
            self._on_retry(f"{_last(state)}; {following} follows in {state.upcoming_sleep:.1f} s")

    def _pause(self, seconds: float) -> None:
        self._sleep(float(seconds))
        self._count(retries=1, waited_seconds=seconds)

    def _count(self, **more: float) -> None:
        with self._counting:
            for name, amount in more.items():
                setattr(self.traffic, name, getattr(self.traffic, name) + amount)

    def _give_up(self, state: RetryCallState) -> None:
        error = _last(state)
        raise ServiceError(
            f"{self._endpoint.url} gave no usable answer in {state.attempt_number} tries; the last: {error}. "
            f"{_KEPT} If it stays so, look at the network, a proxy in between and the base URL."
        ) from error


class _PassingError(Exception):
    """A try that failed and may work when repeated, not before `asked` seconds."""

    def __init__(self, seen: str, asked: float = 0.0) -> None:
        super().__init__(seen)
        self.asked = asked


@dataclass(frozen=True)
class _Ask:
    """A question: a path below the base URL, and its query."""

    path: str
    query: Mapping[str, str]

    @property
    def after(self) -> str | None:
        return self.query.get("after")


@dataclass(frozen=True)
class _Reply:
    """An answer as it came; `said`, `kind` and `request_id` may be shown to anyone, the rest may not."""

    ask: _Ask
    endpoint: Endpoint
    response: httpx.Response
    body: bytes

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def date(self) -> int | None:
        return _unix_seconds(self.response.headers.get("date"))

    @property
    def request_id(self) -> str | None:
        name = self.response.headers.get("x-request-id") or self.response.headers.get("apim-request-id")
        return self.quotable(name) if name else None

    @cached_property
    def error(self) -> dict[str, str]:
        """message, code, type and param, each "" when it is not given."""
        return _error_fields(self.body)

    @property
    def said(self) -> str:
        message = self.error["message"]
        return self.said_with(f'"{self.quotable(message)}"' if message else self.kind, self.error["code"])

    def said_with(self, what: str, code: str = "") -> str:
        marks = [self.quotable(code), f"request {self.request_id}" if self.request_id else ""]
        known = ", ".join(filter(None, marks))
        return f"{self.endpoint.url.host} answered {self.status} {what}" + (f" ({known})" if known else "")

    @property
    def kind(self) -> str:
        """What a body without an error message is; of a page its title, of anything else no word."""
        start = self.body[:20_000].decode(errors="replace").lstrip("\ufeff \t\r\n")
        if not start:
            return "with an empty body"
        if not start.startswith("<"):
            return f"with {len(self.body)} bytes"
        title = re.search(r"<title[^>]*>(.*?)</title", start, re.I | re.S)
        return "with an HTML page" + (f' titled "{self.quotable(unescape(title[1]))}"' if title else "")

    def names(self, *words: str) -> bool:
        """Whether the error is about one of `words`: by its `param`, and without one by its message."""
        if self.error["param"]:
            return self.error["param"].split(".")[-1] in words
        pattern = "|".join(re.escape(word) for word in words if word)
        return re.search(rf"(?<!\w)({pattern})(?!\w)", self.error["message"], re.I) is not None

    def quotable(self, text: str) -> str:
        return _quotable(text, self.endpoint.api_key)


def _redirected(reply: _Reply) -> Exception | None:
    if not 300 <= reply.status < 400:
        return None
    target = reply.response.next_request
    where = reply.quotable(f"{target.url.scheme}://{target.url.netloc.decode()}") if target else "nowhere"
    return ServiceError(
        f"{reply.endpoint.url.host} answered {reply.status}, a redirect to {where}. It is not followed, so "
        f"that the key goes to no other place: set the base URL (OPENAI_BASE_URL) to where the API is."
    )


def _unpaid(reply: _Reply) -> Exception | None:
    if reply.status != 402 and not any(_UNPAID.fullmatch(reply.error[name]) for name in ("code", "type")):
        return None
    return ServiceError(
        f"{reply.said}: a quota or spend limit of the account is used up. Add credit or raise the limit in "
        f"its billing settings, then repeat. {_KEPT}"
    )


def _passing(reply: _Reply) -> Exception | None:
    if reply.status not in _PASSING:
        return None
    return _PassingError(reply.said, _asked_wait(reply.response.headers))


def _denied(reply: _Reply) -> Exception | None:
    if reply.error["code"] == "incorrect_hostname":
        remedy = (
            "the key belongs to another region. Set the base URL (OPENAI_BASE_URL) to the regional host that "
            "the answer names, such as https://eu.api.openai.com/v1 or https://us.api.openai.com/v1"
        )
    elif reply.status == 403 or (reply.status == 401 and "scopes" in reply.error["message"]):
        remedy = (
            "the key may not do this. A restricted key needs the permission to read chat completions "
            "(Chat completions: Read), and its owner a role in the project"
        )
    elif reply.status == 401:
        remedy = (
            "the key is not accepted. Check OPENAI_API_KEY (or api_key in .dlt/secrets.toml), and that the "
            f"key was made for {reply.endpoint.url.host}"
        )
    else:
        return None
    return AccessError(f"{reply.said}: {remedy}.")


def _not_served(reply: _Reply) -> Exception | None:
    if reply.status not in {405, 501}:
        return None
    return ServiceError(
        f"{reply.said}: this server, or a proxy in between, has no endpoint for stored completions. Set the "
        f"base URL (now {reply.endpoint.url}) to a service that stores them."
    )


def _missing(reply: _Reply) -> Exception | None:
    if reply.status != 404:
        return None
    after, of_list = reply.ask.after, reply.ask.path == _LIST
    if after is not None and (of_list or reply.names("after", "cursor", after)):
        return CursorGone(f"{reply.said}: the cursor is not known any more.")
    if of_list:
        return ServiceError(
            f"{reply.said}: there is no list of stored completions at {reply.endpoint.url}{_LIST}. The base "
            f"URL (OPENAI_BASE_URL) is probably wrong; OpenAI's is https://api.openai.com/v1."
        )
    return NotFound(f"{reply.said}: it was deleted, has expired, or belongs to another project.")


def _malformed(reply: _Reply) -> Exception | None:
    """A cursor is suspected before a limit: the walk's last step back asks without one, so a wrong
    guess comes out there, while a walk that shrinks its pages for nothing is stuck."""
    if reply.status not in {400, 422}:
        return None
    after = reply.ask.after
    if after is not None and reply.names("after", "cursor", "not found", after):
        return CursorGone(f"{reply.said}: the cursor is not known any more.")
    if "limit" in reply.ask.query and reply.names("limit"):
        return LimitTooLarge(f"{reply.said}: a page of {reply.ask.query['limit']} is refused.")
    if after is not None and reply.error["param"] in {"", "id"}:
        return CursorGone(f"{reply.said}: perhaps the cursor is not known any more.")
    return None


_JUDGES: Sequence[Callable[[_Reply], Exception | None]] = (
    _redirected,
    _unpaid,
    _passing,
    _denied,
    _not_served,
    _missing,
    _malformed,
)


def _check_key(key: str) -> None:
    if not key:
        raise UsageError(
            "There is no API key: set OPENAI_API_KEY, or api_key in .dlt/secrets.toml. "
            "(--api-key is not a flag: others could read it in the list of processes.)"
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise UsageError(
            "The API key contains a space, a line break or a character that is not ASCII, as a copy can leave "
            "behind: set OPENAI_API_KEY, or api_key in .dlt/secrets.toml, to the key alone."
        )


def _check_url(text: str, insecure_http: bool) -> None:
    if "@" in text:
        raise UsageError("The base URL must not contain a user or password: give the key as OPENAI_API_KEY.")
    if not re.match(r"https?://[^/?#\s]", text) or re.search(r"\s", text):
        raise UsageError("The base URL (OPENAI_BASE_URL) must look like https://api.openai.com/v1.")
    if "?" in text or "#" in text:
        raise UsageError(
            "The base URL must end with its path: Azure's api-version is the setting api_version."
        )
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise UsageError("The base URL (OPENAI_BASE_URL) has a host or port that is none.") from None
    if url.scheme == "http" and not insecure_http and not _is_loopback(url.host):
        raise UsageError(
            f"http://{url.host} would carry the key unencrypted: use https, or --insecure-http on a network "
            f"that you trust."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _user_agent() -> str:
    python = ".".join(platform.python_version_tuple()[:2])
    return f"stored-completions/{__version__} python/{python} httpx/{httpx.__version__}"


def _http(endpoint: Endpoint, patience: Patience, transport: httpx.BaseTransport | None) -> httpx.Client:
    """Proxies and certificates come from the environment as is usual, except that what is for this
    machine never goes through a proxy. httpx reads no netrc unless told to."""
    url = endpoint.url
    direct = {f"all://{url.netloc.decode()}": None} if _is_loopback(url.host) else None
    return httpx.Client(
        headers=endpoint.headers,
        timeout=httpx.Timeout(patience.timeout, connect=patience.connect_timeout),
        limits=httpx.Limits(keepalive_expiry=30.0),
        follow_redirects=False,
        transport=transport,
        mounts=direct,
    )


def _url(endpoint: Endpoint, ask: _Ask) -> str:
    query = {**ask.query, **({"api-version": endpoint.api_version} if endpoint.api_version else {})}
    encoded = urlencode(query, quote_via=quote, errors="surrogatepass")
    return f"{endpoint.url}{ask.path}" + (f"?{encoded}" if encoded else "")


def _sent(parameters: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value is not None}


def _path(completion_id: str) -> str:
    if not completion_id.strip("."):
        raise NotFound("A completion without an id cannot be asked for.")
    return f"{_LIST}/{quote(completion_id, safe='', errors='surrogatepass')}"


def _wait(state: RetryCallState) -> float:
    return max(_backoff(state.attempt_number - 1), _last(state).asked)


def _backoff(retries: int) -> float:
    """Seconds before the next try, as the official SDK counts them."""
    return 0.5 * 2.0 ** min(retries, 4) * (1 - 0.25 * random.random())


def _last(state: RetryCallState) -> _PassingError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, _PassingError)
    return error


def _asked_wait(headers: httpx.Headers) -> float:
    """The seconds a server asks to wait, 0 when it does not say; a date counts from the server's own clock."""
    milliseconds, wish = _number(headers.get("retry-after-ms")), headers.get("retry-after")
    if milliseconds is not None:
        return milliseconds / 1000
    seconds, until = _number(wish), _unix_seconds(wish)
    if seconds is None and until is not None:
        seconds = until - (_unix_seconds(headers.get("date")) or time.time())
    return max(seconds or 0.0, 0.0)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if number >= 0 else None


def _unix_seconds(date: str | None) -> int | None:
    try:
        moment = parsedate_to_datetime(date or "")
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _error_fields(body: bytes) -> dict[str, str]:
    """message, code, type and param of an error body, in any of the shapes that servers send."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    error: Any = found.get("error", found) if isinstance(found, dict) else None
    if not isinstance(error, dict):
        error = {"message": error}
    error = {**error, "message": error.get("message") or error.get("detail")}
    return {name: _text(error.get(name)) for name in ("message", "code", "type", "param")}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _quotable(text: str, key: str) -> str:
    """At most 300 printable characters of `text` in one line, without the key, a part of it, or
    anything that looks like one."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:10_000]).split())
    parts = {key[start : start + 8] for start in range(max(len(key) - 7, 1))}
    words = (
        "[key]" if any(part in word for part in parts) or re.search(r"\bsk-\w|\*{3}", word) else word
        for word in line.split(" ")
    )
    shown = " ".join(words)
    return shown if len(shown) <= 300 else f"{shown[:299]}…"
