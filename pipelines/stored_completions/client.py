"""One GET and its answer: the only module that sends HTTP.

Here alone stand the time-outs and the retries; where it goes, and as whom, stands in `endpoint`, what a
refusal means in `refusals`. What a completion looks like is not known here: bytes go to the caller's `parse`.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Generic, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from stored_completions.endpoint import Endpoint, is_loopback
from stored_completions.errors import NotFound, PageTooHeavy, ServiceError, UsageError
from stored_completions.rate_budget import RateBudget
from stored_completions.refusals import KEPT, PassingError, failure
from stored_completions.replies import LIST, ORGANIZATION, Ask, Reply, quotable
from stored_completions.wording import counted

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How often and how long to try: seconds; `timeout` bounds each silence of the server and
    `answer_timeout` a whole body; `max_wait` is the longest single wait that a server may ask for."""

    max_attempts: int = 8
    max_wait: float = 120.0
    timeout: float = 60.0
    connect_timeout: float = 10.0
    answer_timeout: float = 600.0

    def __post_init__(self) -> None:
        times = (self.timeout, self.connect_timeout, self.answer_timeout)
        if self.max_attempts < 1 or self.max_wait < 0 or min(times) <= 0:
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
    `budget` is for several threads: one that is refused then slows down all of them.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        patience: Patience = Patience(),
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        on_retry: Callable[[str], None] | None = None,
        budget: RateBudget | None = None,
    ) -> None:
        self.traffic = Traffic()
        self._endpoint = endpoint
        self._patience = patience
        self._sleep = sleep
        self._on_retry = on_retry
        self._budget = budget
        self._counting = Lock()
        self._http = _http(endpoint, patience, transport)
        self._tries = Retrying(
            stop=stop_after_attempt(patience.max_attempts),
            wait=_wait,
            retry=retry_if_exception_type(PassingError),
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
        most_bytes: int | None = None,
    ) -> Answer[T]:
        """One page of the list. CursorGone when `after` is not known any more, LimitTooLarge when
        `limit` is refused, PageTooHeavy when the answer has more than `most_bytes`: the rest is not read."""
        wanted: dict[str, str | None] = {"limit": str(limit), "order": order, "after": after, "model": model}
        wanted |= {f"metadata[{key}]": value for key, value in metadata.items()}
        return self._get(Ask(LIST, _sent(wanted), most_bytes), parse)

    def completion(self, parse: Callable[[bytes], T], completion_id: str) -> Answer[T]:
        """One completion; NotFound when it is not there."""
        return self._get(Ask(_path(completion_id), {}), parse)

    def messages(
        self, parse: Callable[[bytes], T], completion_id: str, *, limit: int, after: str | None = None
    ) -> Answer[T]:
        """One page of a completion's input messages, in order; NotFound when the completion is not there."""
        wanted = _sent({"limit": str(limit), "order": "asc", "after": after})
        return self._get(Ask(f"{_path(completion_id)}/messages", wanted), parse)

    def organization(
        self, parse: Callable[[bytes], T], report: str, query: Mapping[str, str | Sequence[str] | None]
    ) -> Answer[T]:
        """One page of a report on the organization, e.g. `costs`; a parameter of several values is repeated."""
        return self._get(Ask(f"{ORGANIZATION}/{report}", _sent(query)), parse)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get(self, ask: Ask, parse: Callable[[bytes], T]) -> Answer[T]:
        return self._tries(self._try, ask, parse)

    def _try(self, ask: Ask, parse: Callable[[bytes], T]) -> Answer[T]:
        sent_at = self._budget.take(self._sleep) if self._budget else 0.0
        reply = self._reply(ask)
        _log.debug("GET %s: %d, request %s", ask.path, reply.status, reply.request_id)
        if not reply.response.is_success:
            error = self._failure(reply)
            if self._budget and isinstance(error, PassingError) and error.is_refusal:
                self._budget.refused(error.asked, sent_at)
            raise error
        try:
            value = parse(reply.body)
        except ValueError:
            raise PassingError(f"{reply.said_with(reply.kind)}, not the JSON that was asked for") from None
        return Answer(value, reply.date, reply.request_id, len(reply.body))

    def _reply(self, ask: Ask) -> Reply:
        """The whole answer to one request, whatever its status."""
        self._count(requests=1)
        try:
            with self._http.stream("GET", _url(self._endpoint, ask)) as response:
                return self._came(ask, response, self._body(ask, response))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._broken(f"no answer from {self._endpoint.url.host}", error) from error

    def _body(self, ask: Ask, response: httpx.Response) -> bytes:
        due = time.monotonic() + self._patience.answer_timeout
        parts, came = [], 0
        _check_weight(ask, _announced(response))
        try:
            for part in response.iter_bytes():
                parts.append(part)
                came += len(part)
                _check_weight(ask, came)
                if time.monotonic() > due:
                    raise httpx.ReadTimeout(f"not whole after {self._patience.answer_timeout:g} s")
            return b"".join(parts)
        except httpx.HTTPError as error:
            begun = self._came(ask, response, b"").said_with("and broke off")
            raise self._broken(begun, error) from error
        finally:
            self._count(bytes=response.num_bytes_downloaded)

    def _broken(self, seen: str, error: Exception) -> Exception:
        cause = f"{type(error).__name__}: {quotable(str(error), self._endpoint.api_key)}"
        if "CERTIFICATE_VERIFY_FAILED" not in cause:
            return PassingError(f"{seen} ({cause})")
        return ServiceError(
            f"{seen} ({cause}): its certificate is not trusted here. Behind a company proxy, let "
            f"SSL_CERT_FILE name a file that holds the proxy's certificate."
        )

    def _came(self, ask: Ask, response: httpx.Response, body: bytes) -> Reply:
        return Reply(ask, self._endpoint.url, self._endpoint.api_key, response, body)

    def _failure(self, reply: Reply) -> Exception:
        error = failure(reply)
        if isinstance(error, PassingError) and error.asked > self._patience.max_wait:
            return ServiceError(
                f"{reply.said} and asks to wait {error.asked:.0f} s, where {self._patience.max_wait:g} s is the "
                f"most this run waits: repeat it later. {KEPT}"
            )
        return error

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
            f"{self._endpoint.url} gave no usable answer in {counted(state.attempt_number, 'try', 'tries')}; the last: {error}. "
            f"{KEPT} If it stays so, look at the network, a proxy in between and the base URL."
        ) from error


def _announced(response: httpx.Response) -> int:
    """Bytes of the body that is about to come, as far as the server says; compressed ones grow yet."""
    length = response.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def _check_weight(ask: Ask, came: int) -> None:
    if ask.most_bytes is not None and came > ask.most_bytes:
        raise PageTooHeavy(f"A page had more than {ask.most_bytes / 1e6:.0f} MB.")


def _http(endpoint: Endpoint, patience: Patience, transport: httpx.BaseTransport | None) -> httpx.Client:
    """Proxies and certificates come from the environment as is usual, except that what is for this
    machine never goes through a proxy. httpx reads no netrc unless told to."""
    url = endpoint.url
    direct = {f"all://{url.netloc.decode()}": None} if is_loopback(url.host) else None
    return httpx.Client(
        headers=endpoint.headers,
        timeout=httpx.Timeout(patience.timeout, connect=patience.connect_timeout),
        limits=httpx.Limits(keepalive_expiry=30.0),
        follow_redirects=False,
        transport=transport,
        mounts=direct,
    )


def _url(endpoint: Endpoint, ask: Ask) -> str:
    query = {**ask.query, **({"api-version": endpoint.api_version} if endpoint.api_version else {})}
    encoded = urlencode(query, doseq=True, quote_via=quote, errors="surrogatepass")
    return f"{endpoint.url}{ask.path}" + (f"?{encoded}" if encoded else "")


def _sent(parameters: Mapping[str, str | Sequence[str] | None]) -> dict[str, str | Sequence[str]]:
    return {name: value for name, value in parameters.items() if value is not None}


def _path(completion_id: str) -> str:
    if not completion_id.strip("."):
        raise NotFound("A completion without an id cannot be asked for.")
    return f"{LIST}/{quote(completion_id, safe='', errors='surrogatepass')}"


def _wait(state: RetryCallState) -> float:
    return max(_backoff(state.attempt_number - 1), _last(state).asked)


def _backoff(retries: int) -> float:
    """Seconds before the next try, as the official SDK counts them."""
    return 0.5 * 2.0 ** min(retries, 4) * (1 - 0.25 * random.random())


def _last(state: RetryCallState) -> PassingError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, PassingError)
    return error
