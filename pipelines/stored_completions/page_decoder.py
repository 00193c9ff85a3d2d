"""Pages of the list as they come: completions of the usual shape are decoded page by page, others one by one.

To decode a page at once takes half of the time that it takes to find the text of each completion first. But one
that has another shape spoils it, so that it is tried ever less often while there are such. And a page waits until it
is taken: one of long texts would stand in memory twice meanwhile. Logprobs stay raw in either case.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stored_completions import shape
from stored_completions.items import Hashed, Item, entry_at, item
from stored_completions.pages import Page, Uncut, read_page, utf8

_MOST_DOUBLINGS = 5
_HEAVY = 1_000_000  # bytes
_LOGPROBS = b'"logprobs":{'


@dataclass(frozen=True)
class DecodedPage:
    """A page, and its completions where they are of the usual shape, if they were decoded at once."""

    page: Page
    usual: Sequence[shape.Usual | None] | None = None

    def items(self, hashed: Hashed | None) -> list[Item | None]:
        """The item of each entry; see `items.item`."""
        entries = self.page.completions
        if self.usual is None:
            return [item(entry, hashed) for entry in entries]
        return [entry_at(entries, at, usual, hashed) for at, usual in enumerate(self.usual)]


class PageDecoder:
    """Reads pages; several threads may share it."""

    def __init__(self) -> None:
        self._spoilt = 0
        self._passed_over = 0

    def read(self, body: bytes) -> DecodedPage:
        """The page in `body`. Raises as `pages.read_page` does."""
        if self._passed_over > 0 or _is_of_long_texts(body):
            self._passed_over -= self._passed_over > 0
            return DecodedPage(read_page(body))
        found = _at_once(body)
        is_spoilt = found is None or None in (found.usual or ())
        self._spoilt = min(self._spoilt + 1, _MOST_DOUBLINGS) if is_spoilt else 0
        self._passed_over = 2 ** (self._spoilt - 1) - 1 if is_spoilt else 0
        return found or DecodedPage(read_page(body))


def _is_of_long_texts(body: bytes) -> bool:
    return len(body) > _HEAVY and _LOGPROBS not in body


def _at_once(body: bytes) -> DecodedPage | None:
    text = utf8(body)
    found = shape.usual_page(text)
    if found is None:
        return None
    page = Page(Uncut(text, len(found.completions)), found.has_more, len(body))
    return DecodedPage(page, found.completions)
