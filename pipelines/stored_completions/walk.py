"""The walk: from behind the cursor to the end of the list, and where to stand afterwards.

Pure logic, no I/O: the caller fetches each `Request` and hands back what came. How a page leads to
the next is `chain`'s; here stands what makes the next walk begin early enough:

- rows appear behind the cursor, so a walk starts behind it, at `settled`, which moves only when a
  walk has ended;
- a long look-back need read each second only once, when it is as old as the window: what is younger
  it leaves to the next one, and goes on where the short one begins;
- a `created` in the future must not become a cursor that hides all later rows;
- the server's clock counts, and it can run backwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stored_completions.chain import Chain
from stored_completions.cursor import Cursor, Mark, Settled, Trail
from stored_completions.errors import LimitTooLarge
from stored_completions.listing import Listed, Request

__all__ = ["Listed", "Pace", "Request", "Walk"]


@dataclass(frozen=True)
class Pace:
    """How a walk goes: rows per page, and the look-back windows in seconds.

    A row is found if it appears within the long window; within the short one by the next walk, else by
    a long one, which there is at most once per `long_every`.

    Synced every `s` seconds, a busy account has each row listed `(short + s) / s` times by the short
    look-backs, once by a long one, and in `overlap / long_every` cases by two: with 300, 600, 3,600 and
    360 seconds that is 3 + 1 + 0.1.
    """

    page_size: int = 100
    short: int = 600
    long: int = 3600
    long_every: int = 3600

    @property
    def overlap(self) -> int:
        """Seconds that two long look-backs read: who is new to the second is known to be as late as the window."""
        return self.long_every // 10


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
        self._trail = Trail(cursor.trail, kept=cursor.settled.starts)
        self._settled = cursor.settled
        self._long_at = cursor.long_at
        self._long_to = cursor.long_to
        self._now = now
        self._date: int | None = None
        self._started_at = cursor.started_at
        self._is_fresh = cursor.started_at is None
        self._is_long = self._long_is_due() if self._is_fresh else cursor.is_long
        self._may_skip = self._is_long
        self._is_whole = self._is_fresh
        anchor = self._start(self._is_long) if self._is_fresh else cursor.position
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
            long_to=self._long_to,
            newest=self._chain.known,
            trail=self._trail.marks(),
            backfill=self._before.backfill,
        )

    def late_by(self, listed: Listed) -> int:
        """Seconds that a row that is new came late at least; 0: it is not late.

        That long after its `created` a walk before this one had read its second, and it was not there.
        """
        before, created = self._before, listed.created
        if before.newest is None or created is None:
            return 0
        short, long = before.settled.short, before.settled.long
        if short is None or created > short:
            return max(0, before.newest - created)
        if long is not None and created <= long:
            return self.pace.long + 1
        if before.long_at is not None and before.long_to is not None and created <= before.long_to:
            return max(self.pace.short + 1, before.long_at - created)
        return self.pace.short + 1

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
        self._skip()
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
            self._long_to = base if self._is_whole else base - self.pace.long + self.pace.overlap
        else:
            self._settled = Settled(short, self._settled.long)

    def _skip(self) -> None:
        """Goes on where the short look-back begins, once the long one has read all that is as old as its window."""
        anchor, start = self._chain.anchor, self._start(is_long=False)
        if not self._may_skip or self.request is None or self._chain.is_crossing or not anchor or not start:
            return
        end = (self._started_at or 0) - self.pace.long + self.pace.overlap
        if end <= anchor.created < start.created:
            self._chain.skip_to(start)
            self._may_skip = self._is_whole = False

    def _start(self, is_long: bool) -> Mark | None:
        """The last known row that is settled, with a known one after it: an empty page is then a sign."""
        settled, newest = (self._settled.long if is_long else self._settled.short), self._before.newest
        if settled is None or newest is None:
            return None
        if self._started_at is not None:
            settled = min(settled, self._latest_start(is_long))
        return self._trail.before(min(settled + 1, newest))

    def _latest_start(self, is_long: bool) -> int:
        """Where a look-back begins that reads no more than its window."""
        return (self._started_at or 0) - (self.pace.long if is_long else self.pace.short) - 1

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
        nexts = Settled(self._latest_start(is_long=False), self._latest_start(is_long=True)).starts
        self._trail.kept = (*self._settled.starts, *nexts)
        latest = self._latest_start(self._is_long)
        anchor = self._chain.anchor
        if anchor is None or anchor.created <= latest:
            return False
        self._chain.restart(self._trail.before(latest + 1))
        return True

    def _horizon(self) -> int:
        """The present as the server sees it: a `created` beyond it must not become a cursor to come back to."""
        return self._now if self._date is None else self._date

    def _safe_anchor(self) -> Mark | None:
        horizon, anchor = self._horizon(), self._chain.anchor
        if anchor is None or anchor.created <= horizon:
            return anchor
        return self._trail.before(horizon + 1)
