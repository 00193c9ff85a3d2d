"""What one sync reads, and in which order: forward from where the last one stood, then what of the past is missing.

Pure logic, no I/O: whoever reads asks for the page of each of `lines`, as many at once as there are, and
hands it what came. A first sync reads newest first, down from the newest row; once the list turns out to
be long also up from its oldest, and from rows in the middle that probes find.

The joint: rows younger than the look-back may still appear. So `settled` is set back by it from when the
newest-first reading began, and as soon as that has come so far, walks go forward from there as they always
do: one before the gaps in every run, and another whenever the last is a short look-back behind.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from stored_completions.backfill import Backfill, End, Gap
from stored_completions.cursor import Cursor, Settled
from stored_completions.errors import LimitTooLarge, NoProgress, OrderRefused
from stored_completions.listing import Listed, Request
from stored_completions.order import highest_so_far
from stored_completions.past import Past, Way
from stored_completions.probes import Probe, Probes
from stored_completions.trail import Mark, Trail
from stored_completions.walk import Pace, Walk

Line = Walk | Way | Probe

_ALONE = 2
_SHORTEST_PAUSE = 60


class Course:
    """A sync's way through the list. `cursor` is what to save once every row taken so far is safe."""

    def __init__(
        self,
        cursor: Cursor,
        pace: Pace,
        now: int,
        *,
        since: int | None = None,
        chains: int = 1,
        may_probe: bool = True,
        newest_first: bool = True,
    ) -> None:
        """`since`: how far back, in unix seconds, a first sync reads, or a later one further than it did.

        `chains` is how many pages may be asked for at once, `may_probe` whether by model too; `now` is
        the local clock, for a server without `Date`. Without `newest_first` it is one walk, from the oldest.
        """
        self.is_forward_only = False
        self._pace = pace
        self._now = now
        self.chains = chains
        self._is_first = newest_first and cursor == Cursor()
        self._date: int | None = None
        self._opened_at = cursor.long_at
        self._walked_at: int | None = None
        self._walk: Walk | None = None
        self._pages = 0
        self._cursor = replace(cursor, backfill=None)
        self._trail = Trail(cursor.trail, kept=cursor.settled.starts)
        self._past = Past(_whole(since) if self._is_first else cursor.backfill, pace.page_size)
        if since is not None:
            self._past.extend(since)
        self._began = self._past.place
        self._probes = Probes(is_allowed=may_probe and chains > 2)
        self._incomplete: list[int] = []
        self._is_joined = not self._is_first and self._has_joined()
        self._choose()
        self.from_id: str | None = self._walk.from_id if self._walk else None

    @property
    def lines(self) -> Sequence[Line]:
        """Whose pages to ask for now, the most wanted first."""
        if self._walk is not None:
            return [self._walk]
        ways = self._past.ways()
        if not self._may_spread():
            return ways[:1]
        lines: list[Line] = [*ways[:1], *self._probes.lines(), *ways[1:]]
        return lines[: self.chains]

    @property
    def request(self) -> Request | None:
        """The page most wanted; None at the end."""
        return next((line.request for line in self.lines), None)

    @property
    def cursor(self) -> Cursor:
        if self._walk is None:
            return replace(self._cursor, trail=self._trail.marks(), backfill=self._past.state)
        cursor = self._walk.cursor
        if self._past.is_read:
            return replace(cursor, backfill=self._past.state)
        trail = Trail(self._trail.marks(), kept=cursor.settled.starts)
        trail.add(list(cursor.trail), self._time())
        return replace(cursor, trail=trail.marks(), backfill=self._past.state)

    @property
    def incomplete(self) -> list[int]:
        """The seconds of which rows may be missing because the server would not list them whole."""
        walked = self._walk.incomplete if self._walk else []
        return sorted({*self._incomplete, *walked, *self._past.incomplete})

    @property
    def has_moved(self) -> bool:
        """Whether it may be cut: the next run begins elsewhere than this one, and nothing is left to be told."""
        if self._walk is not None:
            return self._walk.has_moved
        return self._past.is_read or (self._past.place != self._began and not self._past.is_crossing)

    def take(
        self, line: Line, page: Sequence[Listed], has_more: bool | None, date: int | None, size: int = 0
    ) -> list[int]:
        """Takes a line's page and says which of its rows, by position, are wanted and no repeats."""
        fresh = []
        self._tick(date)
        if isinstance(line, Walk):
            fresh = line.take(page, has_more, date, size)
        elif isinstance(line, Probe):
            line.take(page)
        elif not line.stretch.is_closed:
            fresh = self._take_past(line, page, has_more, size)
        self._choose()
        return self._past.wanted(page, fresh)

    def cursor_gone(self, line: Line) -> None:
        """The server does not know the row any more that a line went on after."""
        if isinstance(line, Walk):
            line.cursor_gone()
            return
        assert isinstance(line, Way), "a probe goes on after no row"
        try:
            self._past.cursor_gone(line)
        except NoProgress:
            self.go_forward_only()

    def order_refused(self, line: Line, refusal: OrderRefused) -> None:
        """The server does not list newest first: reads oldest first, unless it has listed so before."""
        if not self._is_first or self._past.last is not None or not isinstance(line, Way):
            raise refusal
        self.go_forward_only()

    def late(self, line: Line, rows: Iterable[Listed]) -> dict[str, int]:
        """Those of rows that are new that were stored behind the newest one known when a walk began, and by how
        many seconds."""
        if not isinstance(line, Walk):
            return {}
        return {row.key: seconds for row in rows if (seconds := line.late_by(row))}

    def limit_refused(self, line: Line, refusal: LimitTooLarge) -> None:
        """A line's page was too large."""
        line.limit_refused(refusal)

    def page_too_heavy(self, line: Line) -> None:
        """A line's page was not read whole."""
        line.page_too_heavy()

    def go_forward_only(self) -> None:
        """Starts over, oldest first: the server does not list newest first, or in no order at all."""
        self.is_forward_only = True
        self._past.abandon()
        self._cursor, self._trail = Cursor(), Trail()
        self._walk = Walk(Cursor(), self._pace, self._now, repeats=True)

    def _take_past(self, way: Way, page: Sequence[Listed], has_more: bool | None, size: int) -> list[int]:
        try:
            fresh = self._past.take(way, page, has_more, size)
        except NoProgress:
            self.go_forward_only()
            return []
        self._pages += 1
        self._probes.saw(way.chain.order, page)
        self._note(way, page)
        return fresh

    def _choose(self) -> None:
        """Ends a walk that has come to its end, begins one that is due, or spreads the chains."""
        if self._walk is not None and self._walk.request is None:
            self._end_walk(self._walk)
        if self._walk is None and self._is_joined and self._is_due():
            self._walk = Walk(self._walk_cursor(), self._pace, self._now, repeats=self._pages > 0)
        if self._walk is None and self._may_spread() and self._past.middles():
            self._spread()

    def _is_due(self) -> bool:
        pause = max(self._pace.short, _SHORTEST_PAUSE)
        return self._walked_at is None or self._time() - self._walked_at >= pause

    def _end_walk(self, walk: Walk) -> None:
        self._cursor = walk.cursor
        if self._past.is_read:
            self._trail = Trail()
        self._trail.kept = walk.cursor.settled.starts
        self._trail.add(list(walk.cursor.trail), self._time())
        self._incomplete += walk.incomplete
        self._walked_at = self._time()
        self._walk = None

    def _walk_cursor(self) -> Cursor:
        """The cursor with only those rows to come back to from which on there is no gap."""
        return replace(self._cursor, trail=self._marks_above())

    def _marks_above(self) -> tuple[Mark, ...]:
        marks, last = self._trail.marks(), self._past.last
        if self._past.is_read:
            return marks
        return () if last is None else tuple(mark for mark in marks if mark.created > last)

    def _has_joined(self) -> bool:
        """Whether a walk can go forward from behind the look-back without a gap on its way."""
        if self._past.is_read:
            return True
        settled, newest = self._cursor.settled.long, self._cursor.newest
        if settled is None or newest is None:
            return False
        return any(mark.created < min(settled, newest) for mark in self._marks_above())

    def _may_spread(self) -> bool:
        """Whether the list turned out long enough for more than one chain, and newest first indeed."""
        is_long = not self._is_first or self._pages >= _ALONE
        return self.chains > 1 and is_long and self._past.last is not None

    def _spread(self) -> None:
        self._probes.make()
        while len(self._past.ways()) < self.chains:
            pivot = self._probes.pivot(self._past.middles())
            if pivot is None:
                return
            self._past.split(pivot)

    def _tick(self, date: int | None) -> None:
        if date is not None:
            self._date = date if self._date is None else max(self._date, date)
        if self._is_first and self._opened_at is None:
            self._opened_at = self._walked_at = self._time()

    def _time(self) -> int:
        """The present as the server sees it."""
        return self._now if self._date is None else self._date

    def _note(self, way: Way, page: Sequence[Listed]) -> None:
        """Keeps rows to come back to, and until the joint is reached also what a walk needs to begin there."""
        marks = _marks(
            page, is_rising=way.chain.order == "asc", is_whole=way.saw_the_end, horizon=self._time()
        )
        self._trail.add(marks, self._time())
        if self._is_joined:
            return
        if self._cursor.newest is None:
            self._open(page)
        position = self._trail.before(self._time() + 1)
        self._cursor = replace(self._cursor, position=position)
        self._is_joined = self._has_joined()

    def _open(self, page: Sequence[Listed]) -> None:
        """Takes the past as complete up to the look-back before the reading began, as a walk does at its end."""
        times = [row.created for row in page if row.has_id and row.created and row.created <= self._time()]
        newest = max(times, default=None)
        base = self._time() if self._opened_at is None else self._opened_at
        if self._date is None and newest is not None:
            base = min(base, newest)
        settled = Settled(base - self._pace.short - 1, base - self._pace.long - 1)
        self._cursor = replace(self._cursor, settled=settled, long_at=base, long_to=base, newest=newest)


def _whole(since: int | None) -> Backfill:
    """One gap, from the newest row down to `since`, or down and up from the oldest one."""
    return Backfill(since, (Gap(since, None, End(), End() if since is None else None),))


def _marks(page: Sequence[Listed], *, is_rising: bool, is_whole: bool, horizon: int) -> list[tuple[int, str]]:
    """The rows from which one can go upwards and miss nothing: those that stand in order.

    On the way down the page's last second does not tell yet whether its rows do.
    """
    rows: Iterable[Listed] = page if is_rising else reversed(page)
    usable = [(at, row.key) for row in rows if row.has_id and (at := row.created) and at > 0]
    highest = highest_so_far([at for at, _ in usable])
    marks = [mark for mark, most in zip(usable, highest, strict=True) if mark[0] == most <= horizon]
    if is_rising or is_whole or not marks:
        return marks
    return [mark for mark in marks if mark[0] > marks[0][0]]
