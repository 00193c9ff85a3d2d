"""Pages over HTTP in the order a walk wants them, one fetch ahead.

As soon as a page's ids are known the walk says which page comes next, and that one is asked for
while this one is being normalised.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b, sha256

from stored_completions.client import Answer, Client
from stored_completions.cursor import Cursor
from stored_completions.errors import CursorGone, LimitTooLarge, PageTooHeavy
from stored_completions.items import Item, item
from stored_completions.pages import Entry, Members, Page, read_page
from stored_completions.walk import Listed, Request, Walk

Hashed = Callable[[Members], str]


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
    """A page of which the walk has dropped the repeats, and where the walk stands after it.

    `nameless` are objects without a usable id; `late` maps ids that stand behind the cursor to the
    seconds that they do; `listed` counts every row of the page, `size` its bytes.
    """

    items: list[Item]
    nameless: list[Entry]
    late: Mapping[str, int]
    listed: int
    size: int
    cursor: Cursor


def pages(
    client: Client, walk: Walk, query: Filter, max_pages: int | None = None, *, hashed: Hashed
) -> Iterator[Taken]:
    """The walk's pages, rows hashed as the content policy wants it; ServiceError and AccessError end it, after
    the pages before.

    It is cut after `max_pages`, but not before the walk has moved.
    """
    with ThreadPoolExecutor(1, "fetch") as pool:
        pending = _submit(pool, client, walk.request, query)
        pages_left = max_pages
        while pending is not None:
            try:
                answer = pending.result()
            except LimitTooLarge as refusal:
                walk.limit_refused(refusal)
                pending = _submit(pool, client, walk.request, query)
                continue
            except PageTooHeavy:
                walk.page_too_heavy()
                pending = _submit(pool, client, walk.request, query)
                continue
            except CursorGone:
                walk.cursor_gone()
                pending = _submit(pool, client, walk.request, query)
                continue
            taken = _take(walk, answer, hashed)
            pages_left = None if pages_left is None else pages_left - 1
            is_cut = pages_left is not None and pages_left <= 0 and walk.has_moved
            pending = None if is_cut else _submit(pool, client, walk.request, query)
            yield taken


def _submit(
    pool: ThreadPoolExecutor, client: Client, request: Request | None, query: Filter
) -> "Future[Answer[Page]] | None":
    if request is None:
        return None
    return pool.submit(
        client.list_completions,
        read_page,
        limit=request.limit,
        after=request.after,
        order="asc",
        model=query.model,
        metadata=query.metadata,
        most_bytes=request.most_bytes,
    )


def _take(walk: Walk, answer: Answer[Page], hashed: Hashed) -> Taken:
    listed = [(item(entry, hashed), entry) for entry in answer.value.completions]
    seen = [_seen(*pair) for pair in listed]
    fresh = walk.take(seen, answer.value.has_more, answer.date, answer.size)
    items = [found for at in fresh if (found := listed[at][0]) is not None]
    return Taken(
        items=items,
        nameless=[listed[at][1] for at in fresh if listed[at][0] is None],
        late={seen[at].key: late for at in fresh if (late := walk.late_by(seen[at]))},
        listed=len(listed),
        size=answer.size,
        cursor=walk.cursor,
    )


def _seen(found: Item | None, entry: Entry) -> Listed:
    if found is not None:
        return Listed(found.completion_id, found.created)
    return Listed("sha256:" + sha256(entry.text).hexdigest(), None, has_id=False)
