"""Several requests in flight, one completion each; what came of each in the order in which it came.

A completion whose messages cannot be read is no reason to leave out the others: it is handed on as failed.
Many of them in a row are: then the service is down, or has no messages.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from stored_completions.client import Client
from stored_completions.errors import CursorGone, LimitTooLarge, NotFound, ServiceError
from stored_completions.messages.wanted import Wanted
from stored_completions.pages import Entry, loads, read_page
from stored_completions.stop import Stop

_LARGEST_PAGE = 100
_SMALLEST_PAGE = 20
_FAILURES_IN_A_ROW = 10


@dataclass(frozen=True)
class Listed:
    """The messages of one completion as listed, and their size in bytes; `is_gone`: the completion is not there
    any more; `error`: why they could not be read."""

    wanted: Wanted
    messages: tuple[Entry, ...] = ()
    size: int = 0
    is_gone: bool = False
    error: ServiceError | None = None


def read(client: Client, wanted: Iterable[Wanted], in_flight: int, stop: Stop) -> Iterator[Listed]:
    """The messages of each; AccessError, and ServiceError after many failures in a row, end it.

    When stopping is wanted nothing more is asked for, and what is under way is handed on.
    """
    failures = 0
    reader = _Reader(client)
    with ThreadPoolExecutor(in_flight, "messages") as pool:
        for listed in _as_they_come(pool, reader, iter(wanted), in_flight, stop):
            failures = failures + 1 if listed.error else 0
            if listed.error and failures >= _FAILURES_IN_A_ROW:
                raise ServiceError(
                    f"The input messages of {failures} completions in a row could not be read; the last: {listed.error}"
                )
            yield listed


def _as_they_come(
    pool: ThreadPoolExecutor, reader: "_Reader", wanted: Iterator[Wanted], in_flight: int, stop: Stop
) -> Iterator[Listed]:
    under_way: set[Future[Listed]] = set()
    try:
        while True:
            while len(under_way) < in_flight and not stop.is_wanted:
                following = next(wanted, None)
                if following is None:
                    break
                under_way.add(pool.submit(reader.listed, following))
            if not under_way:
                return
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        for future in under_way:
            future.cancel()


class _Reader:
    """Reads the messages of one completion, page by page; all threads share the page size that works."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._limit = _LARGEST_PAGE

    def listed(self, wanted: Wanted) -> Listed:
        try:
            messages, size = self._pages(wanted.completion_id)
            return Listed(wanted, tuple(messages), size)
        except NotFound:
            return self._not_found(wanted)
        except ServiceError as error:
            return Listed(wanted, error=error)

    def _not_found(self, wanted: Wanted) -> Listed:
        """Whether the completion is gone, or only its messages cannot be had."""
        try:
            self._client.completion(len, wanted.completion_id)
        except NotFound:
            return Listed(wanted, is_gone=True)
        except ServiceError as error:
            return Listed(wanted, error=error)
        return Listed(
            wanted,
            error=ServiceError(
                "The server has the completion and answers 404 for its messages: it may not store them."
            ),
        )

    def _pages(self, completion_id: str) -> tuple[list[Entry], int]:
        messages: list[Entry] = []
        size, after, seen = 0, None, {""}
        while True:
            limit = self._limit
            try:
                answer = self._client.messages(read_page, completion_id, limit=limit, after=after)
            except LimitTooLarge:
                if limit <= _SMALLEST_PAGE:
                    raise
                self._limit = max(limit // 2, _SMALLEST_PAGE)
                continue
            except CursorGone as error:
                raise ServiceError(f"{error} Its messages changed while they were read.") from error
            page = answer.value
            messages += page.completions
            size += answer.size
            has_more = len(page.completions) >= limit if page.has_more is None else page.has_more
            if not has_more or not page.completions:
                return messages, size
            after = _id(page.completions[-1])
            if after in seen:
                raise ServiceError(
                    "The server lists the same messages again and again, or gives them no ids to go on from."
                )
            seen.add(after)


def _id(message: Entry) -> str:
    value = loads(bytes((message.members or {}).get("id", b"null")))
    return value if isinstance(value, str) else ""
