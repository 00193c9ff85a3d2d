"""Pages over HTTP as a course wants them, one fetch ahead on each of its lines.

As soon as a page's ids are known the course says which page comes next, and that one is asked for
while this one is being normalised.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import blake2b, sha256

from stored_completions.client import Answer, Client
from stored_completions.course import Course, Line
from stored_completions.cursor import Cursor
from stored_completions.errors import CursorGone, LimitTooLarge, OrderRefused, PageTooHeavy
from stored_completions.items import Hashed, Item
from stored_completions.listing import Listed, Request
from stored_completions.page_decoder import DecodedPage, PageDecoder
from stored_completions.pages import Entry
from stored_completions.probes import Probe

MOST_BYTES = 32_000_000


@dataclass(frozen=True)
class Filter:
    """Which completions the server is asked for; every pair of `metadata` must match."""

    model: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves anything out."""
        return self.model is not None or bool(self.metadata)


def cursor_key(place: str, query: Filter, source: str) -> str:
    """Names the cursor of a base URL, source and filter; a hash, since a filter can hold content."""
    parts = [place, source, query.model or "", *sorted(map(repr, query.metadata.items()))]
    return blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True)
class Taken:
    """A page of which the course has dropped the repeats, and where it stands after it.

    `nameless` are objects without a usable id; `late` maps ids that stand behind the cursor to the
    seconds that they do; `listed` counts every row of the page, `size` its bytes. One that `repeats`
    may show rows that were taken before in this run and have changed since: they belong into another
    round.
    """

    items: list[Item]
    nameless: list[Entry]
    late: Mapping[str, int]
    listed: int
    size: int
    cursor: Cursor
    repeats: bool = False


def pages(
    client: Client,
    course: Course,
    query: Filter,
    max_pages: int | None = None,
    *,
    hashed: Hashed | None,
    most_bytes: int = MOST_BYTES,
) -> Iterator[Taken]:
    """The course's pages as they come, rows hashed as the content policy wants it; ServiceError and AccessError
    end it, after the pages before.

    It is cut after `max_pages`, but not before the course has moved. Pages that are under way or wait to be taken
    have `most_bytes` together, as far as the last ones tell; one there always is.
    """
    left = max_pages
    with ThreadPoolExecutor(course.chains, "fetch") as pool:
        fetching = _Fetching(pool, client, query, most_bytes)
        while fetching.begin(course, left):
            came = fetching.come(course)
            if came is None:
                continue
            taken = _take(course, *came, hashed)
            if not isinstance(came[0], Probe):
                left = None if left is None else left - 1
                fetching.begin(course, left)
                yield taken
            del came, taken  # a page is heavy, and the next may be long in coming


class _Fetching:
    """The pages that are under way or wait to be taken, at most one for each line."""

    def __init__(self, pool: ThreadPoolExecutor, client: Client, query: Filter, most_bytes: int) -> None:
        self._pool = pool
        self._client = client
        self._query = query
        self._most_bytes = most_bytes
        self._lines: dict[Future[Answer[DecodedPage]], tuple[Line, Request]] = {}
        self._decoder = PageDecoder()
        self._row_bytes = 1

    def begin(self, course: Course, left: int | None) -> bool:
        """Asks for the pages that are wanted next, at most `left` of them; one at least until the course has moved.

        Whether any is under way.
        """
        if left is None or left > 0 or not course.has_moved:
            under_way = [line for line, _ in self._lines.values()]
            for line in course.lines:
                if line.request and line not in under_way and self._has_room(line.request, left):
                    self._lines[self._ask(line.request)] = line, line.request
        return bool(self._lines)

    def _has_room(self, request: Request, left: int | None) -> bool:
        """Whether a page more may be under way, which one always may."""
        rows = request.limit + sum(other.limit for _, other in self._lines.values())
        is_light = rows * self._row_bytes <= self._most_bytes
        return not self._lines or (is_light and (left is None or len(self._lines) < left))

    def come(self, course: Course) -> tuple[Line, Answer[DecodedPage]] | None:
        """Waits for a page and hands it out; None for one that was refused, which is asked for in another way."""
        done, _ = wait(self._lines, return_when=FIRST_COMPLETED)
        future = next(each for each in self._lines if each in done)
        line, _ = self._lines.pop(future)
        try:
            answer = future.result()
        except LimitTooLarge as refusal:
            course.limit_refused(line, refusal)
        except PageTooHeavy:
            course.page_too_heavy(line)
        except CursorGone:
            course.cursor_gone(line)
        except OrderRefused as refusal:
            course.order_refused(line, refusal)
        else:
            rows = len(answer.value.page.completions)
            self._row_bytes = max(self._row_bytes // 2, answer.size // max(rows, 1), 1)
            return line, answer
        return None

    def _ask(self, request: Request) -> "Future[Answer[DecodedPage]]":
        return self._pool.submit(
            self._client.list_completions,
            self._decoder.read,
            limit=request.limit,
            after=request.after,
            order=request.order,
            model=request.model or self._query.model,
            metadata=self._query.metadata,
            most_bytes=request.most_bytes,
        )


def _take(course: Course, line: Line, answer: Answer[DecodedPage], hashed: Hashed | None) -> Taken:
    page, listed = answer.value.page, answer.value.items(hashed)
    seen = [_seen(found, page.completions, at) for at, found in enumerate(listed)]
    fresh = course.take(line, seen, page.has_more, answer.date, answer.size)
    items = [found for at in fresh if (found := listed[at]) is not None]
    return Taken(
        items=items,
        nameless=[page.completions[at] for at in fresh if listed[at] is None],
        late=course.late(line, [seen[at] for at in fresh]),
        listed=len(listed),
        size=answer.size,
        cursor=course.cursor,
        repeats=line.repeats,
    )


def _seen(found: Item | None, entries: Sequence[Entry], at: int) -> Listed:
    if found is not None:
        return Listed(found.completion_id, found.created, model=found.model)
    return Listed("sha256:" + sha256(entries[at].text).hexdigest(), None, has_id=False)
