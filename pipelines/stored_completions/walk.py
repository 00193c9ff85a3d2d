"""The walk over pages: which page to ask for next, what on it is new, where to stand afterwards.

Pure logic, no I/O: the caller fetches each `Request` and hands back what came. It knows what the
live service does that a bare `after=last_id` loses rows to:

- `after` compares whole seconds, so a walk goes on from the last row of the *previous* second and
  reads the boundary second again, whole;
- the order within a second is unstable, so repeats are dropped by id;
- rows appear behind the cursor, so a walk starts behind it, at `settled`;
- a cursor row can vanish, so it steps back along the trail, and at last to the beginning;
- a server can repeat itself for ever, so every step must make progress.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from stored_completions.cursor import Cursor, Mark, Settled, Trail
from stored_completions.errors import LimitTooLarge, NoProgress

SMALLEST_CEILING = 20
LARGEST_LIMIT = 16_384
_MOST_SETBACKS = 12
_PAGE_BYTES = 32_000_000


@dataclass(frozen=True)
class Pace:
    """How a walk goes: rows per page, and the look-back windows in seconds.

    The short window is read again by every walk, the long one at most once per `long_every`.
    """

    page_size: int = 100
    short: int = 600
    long: int = 3600
    long_every: int = 3600


@dataclass(frozen=True)
class Request:
    """One page to ask for, oldest first: at most `limit` rows after the row `after`."""

    after: str | None
    limit: int


@dataclass(frozen=True)
class Listed:
    """What the walk sees of a listed row. Without a usable id it can be no cursor."""

    key: str
    created: int | None
    has_id: bool = True


class Walk:
    """One walk, from behind the cursor to the end of the list.

    `request` is the page to ask for next, None at the end; `cursor` is what to save once every row
    taken so far is safe; `incomplete` names the seconds of which rows may be missing because the
    server would not list them whole.
    """

    def __init__(self, cursor: Cursor, pace: Pace, now: int) -> None:
        """`now` is the local clock in unix seconds: it only stands in for a server without `Date`."""
        self.incomplete: list[int] = []
        self._pace = pace
        self._trail = Trail(cursor.trail)
        self._settled = cursor.settled
        self._long_at = cursor.long_at
        self._known = cursor.newest
        self._newest = cursor.newest
        self._now = now
        self._date: int | None = None
        self._started_at = cursor.started_at
        self._is_fresh = cursor.started_at is None
        self._is_long = self._long_is_due() if self._is_fresh else cursor.is_long
        self._anchor = self._start() if self._is_fresh else cursor.position
        self._page_size = pace.page_size
        self._ceiling = LARGEST_LIMIT
        self._largest_worked = 0
        self._crossed: int | None = None
        self._seen: dict[str, int] = {}
        self._best: int | None = None
        self._setbacks = 0
        self.request: Request | None = self._ask(self._page_size)
        self._place = self.cursor.position

    @property
    def has_moved(self) -> bool:
        """Whether it may be cut: the next walk begins elsewhere than this one, and nothing is left to be told."""
        return self._crossed is None and self.cursor.position != self._place

    @property
    def from_id(self) -> str | None:
        """The row after which the next page is asked for."""
        return self._anchor.id if self._anchor else None

    @property
    def cursor(self) -> Cursor:
        ended = self.request is None
        position = self._trail.before(self._horizon() + 1) if ended else self._safe_anchor()
        return Cursor(
            position=position,
            settled=self._settled,
            started_at=None if ended else self._started_at,
            is_long=self._is_long,
            long_at=self._long_at,
            newest=self._newest,
            trail=self._trail.marks(),
        )

    def is_late(self, listed: Listed) -> bool:
        """Whether a row that is new was stored behind the newest one known when the walk began."""
        return self._known is not None and listed.created is not None and listed.created < self._known

    def take(
        self, page: Sequence[Listed], has_more: bool | None, date: int | None, size: int = 0
    ) -> list[int]:
        """Takes a page and says which of its rows, by position, are not repeats; moves `request` on.

        `has_more` is None where the server sent none, `date` its clock, `size` the page's bytes.
        Raises NoProgress if the server repeats itself or does not list oldest first.
        """
        assert self.request is not None
        self._largest_worked = max(self._largest_worked, self.request.limit)
        if self._tick(date):
            return []
        seconds = self._seconds(page)
        if self._lost_its_place(page, seconds):
            self.cursor_gone()
            return []
        fresh = [at for at, row in enumerate(page) if row.key not in self._seen]
        self._check_crossing(seconds, bool(fresh))
        self._remember(page, seconds)
        self._fit_page_size(size, len(page))
        is_full = len(page) >= self.request.limit
        if not page or has_more is False or (has_more is None and not is_full):
            self._finish()
        else:
            self._go_on(page, seconds, is_full)
        return fresh

    def cursor_gone(self) -> None:
        """The server does not know the cursor any more: steps back, further each time, at last to the start."""
        self._setbacks += 1
        if self._anchor is None or self._setbacks > _MOST_SETBACKS:
            raise NoProgress(
                "The server keeps listing the same completions whatever cursor it is given, so a walk over "
                "its pages would never end. It may be a mock, or a proxy that drops query parameters."
            )
        self._trail.drop(self._anchor.id)
        self._anchor = self._trail.before(self._anchor.created, 2 ** (self._setbacks - 1))
        self._crossed = None
        self._seen.clear()
        self.request = self._ask(self._page_size)

    def limit_refused(self, refusal: LimitTooLarge) -> None:
        """The page size was too large: falls back to the largest that worked, at least 20."""
        assert self.request is not None
        self._ceiling = max(self._largest_worked, SMALLEST_CEILING)
        if self.request.limit <= self._ceiling:
            raise refusal
        self._page_size = min(self._page_size, self._ceiling)
        self.request = self._ask(self._ceiling)

    def _go_on(self, page: Sequence[Listed], seconds: list[int], is_full: bool) -> None:
        """Chooses the next page when there is more: past this second, or more of it."""
        if _is_falling(seconds):
            raise NoProgress(
                "The server does not list oldest first although it was asked to (order=asc), so nobody can say "
                "when a walk has seen everything. A proxy may be dropping query parameters."
            )
        seconds = list(accumulate(seconds, max))
        over = self._last_over(page, seconds)
        if over and (self._anchor is None or over.created > self._anchor.created):
            self._advance(over)
            self.request = self._ask(self._page_size)
        elif is_full and self.request and self.request.limit < self._ceiling:
            self.request = self._ask(min(self.request.limit * 2, self._ceiling))
        else:
            self._cross(page, seconds)

    def _last_over(self, page: Sequence[Listed], seconds: list[int]) -> Mark | None:
        """The last row whose second is surely over: the last one before the page's last second."""
        for row, second in zip(reversed(page), reversed(seconds), strict=True):
            if row.created == second < seconds[-1] and row.has_id:
                return Mark(second, row.key)
        return None

    def _advance(self, mark: Mark) -> None:
        self._anchor = mark
        self._seen = {key: second for key, second in self._seen.items() if second > mark.created}
        if self._best is None or mark.created > self._best:
            self._best = mark.created
            self._setbacks = 0

    def _cross(self, page: Sequence[Listed], seconds: list[int]) -> None:
        """No page can hold this second whole: goes on after its last row, once."""
        last = next((row for row in reversed(page) if row.has_id), None)
        if last is None:
            raise NoProgress(
                "The server listed a whole page of objects without an id, so there is no cursor to go on from."
            )
        self._crossed = seconds[-1]
        self._anchor = Mark(seconds[-1], last.key)
        self.request = self._ask(self._page_size)

    def _check_crossing(self, seconds: list[int], has_fresh: bool) -> None:
        """After a crossing: rows of the same second mean a server that counts rows, not seconds."""
        if self._crossed is None:
            return
        if not seconds or seconds[0] > self._crossed:
            self.incomplete.append(self._crossed)
        elif not has_fresh:
            raise NoProgress(
                "The server lists the same page again and again although it says that there are more rows. "
                "It may be a mock, or a proxy that drops query parameters."
            )
        self._crossed = None

    def _lost_its_place(self, page: Sequence[Listed], seconds: list[int]) -> bool:
        """Whether the server silently started over, or sees nothing where rows are known to be.

        A page that begins too early but goes beyond the cursor's row without it has all there is to go on.
        """
        if self._anchor is None:
            return False
        if seconds:
            is_all_over = max(seconds) < self._anchor.created
            has_the_cursor = any(row.key == self._anchor.id for row in page)
            return seconds[0] < self._anchor.created and (is_all_over or has_the_cursor)
        return self._newest is not None and self._anchor.created < self._newest

    def _seconds(self, page: Sequence[Listed]) -> list[int]:
        """Each row's second; one without a usable `created`, or with 0, is taken to share its predecessor's."""
        second = self._anchor.created if self._anchor else 0
        seconds = []
        for row in page:
            second = second if row.created is None or row.created <= 0 else row.created
            seconds.append(second)
        return seconds

    def _remember(self, page: Sequence[Listed], seconds: list[int]) -> None:
        """Keeps ids against repeats, and marks to come back to: a row that stands out of order is none."""
        highest_so_far = list(accumulate(seconds, max))
        self._seen.update(zip((row.key for row in page), highest_so_far, strict=True))
        horizon = self._horizon()
        marks = [
            Mark(row.created, row.key)
            for row, highest in zip(page, highest_so_far, strict=True)
            if row.has_id and row.created is not None and highest == row.created <= horizon
        ]
        if marks:
            self._newest = max(self._newest or marks[0].created, *(mark.created for mark in marks))
            self._trail.add(marks, horizon)

    def _fit_page_size(self, size: int, rows: int) -> None:
        """Keeps pages near 32 MB: logprobs can make a hundred completions weigh 300 MB."""
        if size > _PAGE_BYTES:
            self._page_size = max(2, rows * _PAGE_BYTES // size)
        elif size * 4 < _PAGE_BYTES:
            self._page_size = min(self._page_size * 2, self._pace.page_size, self._ceiling)

    def _finish(self) -> None:
        self.request = None
        base = self._started_at or 0
        if self._date is None and self._newest is not None:
            base = min(base, self._newest)
        short = base - self._pace.short - 1
        if self._is_long:
            self._settled = Settled(short, base - self._pace.long - 1)
            self._long_at = base
        else:
            self._settled = Settled(short, self._settled.long)

    def _start(self) -> Mark | None:
        """The last known row before `settled`, with a known one after it: an empty page is then a sign."""
        settled = self._settled.long if self._is_long else self._settled.short
        if settled is None or self._newest is None:
            return None
        return self._trail.before(min(settled, self._newest))

    def _long_is_due(self) -> bool:
        return self._long_at is None or abs(self._now - self._long_at) >= self._pace.long_every

    def _tick(self, date: int | None) -> bool:
        """Notes the server's time; whether its clock ran backwards, so that the walk must begin earlier."""
        is_first, self._is_fresh = self._is_fresh, False
        if date is not None:
            self._date = date if self._date is None else max(self._date, date)
        if not is_first:
            return False
        self._started_at = self._horizon()
        latest = self._started_at - self._window() - 1
        if self._anchor is None or self._anchor.created <= latest:
            return False
        self._anchor = self._trail.before(latest)
        self.request = self._ask(self._page_size)
        return True

    def _window(self) -> int:
        return self._pace.long if self._is_long else self._pace.short

    def _horizon(self) -> int:
        """The present as the server sees it: a `created` beyond it must not become a cursor to come back to."""
        return self._now if self._date is None else self._date

    def _safe_anchor(self) -> Mark | None:
        horizon = self._horizon()
        if self._anchor is None or self._anchor.created <= horizon:
            return self._anchor
        return self._trail.before(horizon + 1)

    def _ask(self, limit: int) -> Request:
        return Request(self._anchor.id if self._anchor else None, limit)


def _is_falling(seconds: Sequence[int]) -> bool:
    """Whether a page is listed newest first.

    Rows here and there out of order are another matter: a server that lists in the order of storing has them.
    """
    steps = [later - earlier for earlier, later in pairwise(seconds)]
    return sum(step < 0 for step in steps) > sum(step > 0 for step in steps)
