"""The walk: from behind the cursor to the end of the list, and where to stand afterwards.

Pure logic, no I/O: the caller fetches each `Request` and hands back what came. How a page leads to
the next is `chain`'s; here stands what makes the next walk begin early enough:

- rows appear behind the cursor, so a walk starts behind it, at `settled`, which moves only when a
  walk has ended;
- a `created` in the future must not become a cursor that hides all later rows;
- the server's clock counts, and it can run backwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stored_completions.chain import Chain, Listed, Request
from stored_completions.cursor import Cursor, Mark, Settled, Trail
from stored_completions.errors import LimitTooLarge

__all__ = ["Listed", "Pace", "Request", "Walk"]


@dataclass(frozen=True)
class Pace:
    """How a walk goes: rows per page, and the look-back windows in seconds.

    The short window is read again by every walk, the long one at most once per `long_every`.
    """

    page_size: int = 100
    short: int = 600
    long: int = 3600
    long_every: int = 3600


class Walk:
    """One walk, from behind the cursor to the end of the list.

    `request` is the page to ask for next, None at the end; `cursor` is what to save once every row
    taken so far is safe; `incomplete` names the seconds of which rows may be missing because the
    server would not list them whole.
    """

    def __init__(self, cursor: Cursor, pace: Pace, now: int, *, repeats: bool = False) -> None:
        """`now` is the local clock in unix seconds: it only stands in for a server without `Date`.

        `repeats` says that rows which it will read may have been read just before.
        """
        self.pace = pace
        self._before = cursor
        self._trail = Trail(cursor.trail)
        self._settled = cursor.settled
        self._long_at = cursor.long_at
        self._now = now
        self._date: int | None = None
        self._started_at = cursor.started_at
        self._is_fresh = cursor.started_at is None
        self._is_long = self._long_is_due() if self._is_fresh else cursor.is_long
        anchor = self._start() if self._is_fresh else cursor.position
        self._chain = Chain(
            "asc", pace.page_size, trail=self._trail, anchor=anchor, known=cursor.newest, repeats=repeats
        )
        self._place = self.cursor.position

    @property
    def request(self) -> Request | None:
        return self._chain.request

    @property
    def incomplete(self) -> list[int]:
        return self._chain.incomplete

    @property
    def repeats(self) -> bool:
        """Whether the page taken last may show rows that were taken before."""
        return self._chain.repeats

    @property
    def has_moved(self) -> bool:
        """Whether it may be cut: the next walk begins elsewhere than this one, and nothing is left to be told."""
        return not self._chain.is_crossing and self.cursor.position != self._place

    @property
    def from_id(self) -> str | None:
        """The row after which the next page is asked for."""
        return self._chain.anchor.id if self._chain.anchor else None

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
            newest=self._chain.known,
            trail=self._trail.marks(),
            backfill=self._before.backfill,
        )

    def late_by(self, listed: Listed) -> int:
        """Seconds that a row that is new was stored behind the newest one known when the walk began; 0: it is not late."""
        known = self._before.newest
        return 0 if known is None or listed.created is None else max(0, known - listed.created)

    def take(
        self, page: Sequence[Listed], has_more: bool | None, date: int | None, size: int = 0
    ) -> list[int]:
        """Takes a page and says which of its rows, by position, are not repeats; moves `request` on.

        `has_more` is None where the server sent none, `date` its clock, `size` the page's bytes.
        Raises NoProgress if the server repeats itself or does not list oldest first.
        """
        if self._tick(date):
            return []
        fresh = self._chain.take(page, has_more, size, horizon=self._horizon())
        if self.request is None:
            self._settle()
        return fresh

    def cursor_gone(self) -> None:
        """The server does not know the cursor any more: steps back, further each time, at last to the start."""
        self._chain.cursor_gone()

    def limit_refused(self, refusal: LimitTooLarge) -> None:
        """The page size was too large: falls back to the largest that worked, at least 20."""
        self._chain.limit_refused(refusal)

    def page_too_heavy(self) -> None:
        """The page had more bytes than the request allowed: asks for fewer rows."""
        self._chain.page_too_heavy()

    def _settle(self) -> None:
        base = self._started_at or 0
        if self._date is None and self._chain.known is not None:
            base = min(base, self._chain.known)
        short = base - self.pace.short - 1
        if self._is_long:
            self._settled = Settled(short, base - self.pace.long - 1)
            self._long_at = base
        else:
            self._settled = Settled(short, self._settled.long)

    def _start(self) -> Mark | None:
        """The last known row before `settled`, with a known one after it: an empty page is then a sign."""
        settled, newest = (self._settled.long if self._is_long else self._settled.short), self._before.newest
        if settled is None or newest is None:
            return None
        return self._trail.before(min(settled, newest))

    def _long_is_due(self) -> bool:
        return self._long_at is None or abs(self._now - self._long_at) >= self.pace.long_every

    def _tick(self, date: int | None) -> bool:
        """Notes the server's time; whether its clock ran backwards, so that the walk must begin earlier."""
        is_first, self._is_fresh = self._is_fresh, False
        if date is not None:
            self._date = date if self._date is None else max(self._date, date)
        if not is_first:
            return False
        self._started_at = self._horizon()
        latest = self._started_at - self._window() - 1
        anchor = self._chain.anchor
        if anchor is None or anchor.created <= latest:
            return False
        self._chain.restart(self._trail.before(latest))
        return True

    def _window(self) -> int:
        return self.pace.long if self._is_long else self.pace.short

    def _horizon(self) -> int:
        """The present as the server sees it: a `created` beyond it must not become a cursor to come back to."""
        return self._now if self._date is None else self._date

    def _safe_anchor(self) -> Mark | None:
        horizon, anchor = self._horizon(), self._chain.anchor
        if anchor is None or anchor.created <= horizon:
            return anchor
        return self._trail.before(horizon + 1)
