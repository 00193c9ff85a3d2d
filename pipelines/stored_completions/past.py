"""What of the past is not read yet, while it is being read: gaps that chains make smaller until none is left.

Pure logic, no I/O. Each gap has a chain that comes down from its top; the oldest may have one that
comes up from the beginning of the list. A gap ends where the next one's top is, so no row is two
chains' business; it is closed when its chains have met, or one has come to the other's end. A row in
its middle cuts it in two: that row's own second stays with the upper part, for `after` leaves it out.
"""

from collections.abc import Sequence

from stored_completions.backfill import Backfill, End, Gap
from stored_completions.chain import Chain
from stored_completions.errors import LimitTooLarge, NoProgress
from stored_completions.listing import Listed, Order, Request
from stored_completions.trail import Mark, Trail

_SPARSE = 1.0


class Past:
    """The gaps of one source, oldest first, each a `Stretch`."""

    def __init__(self, backfill: Backfill | None, page_size: int) -> None:
        self._page_size = page_size
        self._incomplete: list[int] = []
        self._since = backfill.since if backfill else None
        self._floor = backfill.floor if backfill else None
        self._stretches = [self._stretch(gap) for gap in backfill.gaps] if backfill else []

    @property
    def is_read(self) -> bool:
        return not self._stretches

    @property
    def last(self) -> int | None:
        """The newest second that is not read; None: none has been yet, or all are."""
        return self._stretches[-1].last if self._stretches else None

    @property
    def is_crossing(self) -> bool:
        return any(way.chain.is_crossing for stretch in self._stretches for way in stretch.ways())

    @property
    def incomplete(self) -> list[int]:
        open_ = [way.chain.incomplete for stretch in self._stretches for way in stretch.ways()]
        return [*self._incomplete, *(second for seconds in open_ for second in seconds)]

    @property
    def state(self) -> Backfill | None:
        """What to save; None: everything there is has been read."""
        if not self._stretches and self._since is None:
            return None
        return Backfill(self._since, tuple(stretch.gap() for stretch in self._stretches), self._floor)

    @property
    def place(self) -> object:
        """Where its chains stand: the next run begins elsewhere if this has changed."""
        return [
            (each.first, each.last, [way.chain.anchor for way in each.ways()]) for each in self._stretches
        ]

    def wanted(self, page: Sequence[Listed], fresh: list[int]) -> list[int]:
        """Without the rows from before what is wanted."""
        since = self._since
        if since is None:
            return fresh
        return [at for at in fresh if (created := page[at].created) is None or created >= since]

    def ways(self) -> "list[Way]":
        """The chains at work, the most wanted first: from the newest down, from the oldest up, then the others."""
        if not self._stretches:
            return []
        top, bottom = self._stretches[-1], self._stretches[0]
        others = [stretch.down for stretch in self._stretches[-2::-1]]
        return [top.down, *([bottom.up] if bottom.up else []), *others]

    def middles(self) -> list[tuple[int, int]]:
        """First and last second of each gap that has both."""
        return [
            (stretch.first, stretch.last)
            for stretch in self._stretches
            if stretch.first is not None and stretch.last is not None
        ]

    def take(self, way: "Way", page: Sequence[Listed], has_more: bool | None, size: int) -> list[int]:
        """Takes a page of an open gap, and says which of its rows are no repeats; NoProgress as of a chain."""
        stretch, is_beginning = way.stretch, way.chain.anchor is None
        try:
            fresh = way.chain.take(page, has_more, size, bound=way.bound)
        except NoProgress:
            if way is not stretch.up:
                raise
            self._give_up(way)
            return []
        if way is stretch.up and is_beginning and way.chain.reached_bound:
            # nothing is older than what was read from the top, or the server lists newest first whatever is asked
            self._give_up(way)
        stretch.shrink()
        if stretch.is_closed:
            self._close(way)
        for other in stretch.ways():
            if other is not way:
                fresh = other.chain.unseen(page, fresh)
        return fresh

    def cursor_gone(self, way: "Way") -> None:
        """A chain's row has vanished: it steps back; one that cannot leaves its gap to the chain above."""
        if way.stretch.is_closed:
            return
        try:
            way.chain.cursor_gone()
        except NoProgress:
            if way is not way.stretch.up:
                raise
            self._give_up(way)
        at = self._stretches.index(way.stretch)
        if way is way.stretch.down and way.chain.anchor is None and way.stretch is not self._stretches[-1]:
            self._incomplete += way.chain.incomplete
            self._stretches.pop(at).yield_to(self._stretches[at])

    def split(self, pivot: Mark) -> None:
        """Cuts the gap around a row in two, with a chain that goes down from there."""
        upper = next(each for each in self._stretches if each.holds(pivot.created))
        # a row below the pivot is taken for granted: a page that ends with it is then a sign that it is gone
        chain = self._chain("desc", End(pivot, known=pivot.created - 1))
        lower = Stretch(upper.first, pivot.created - 1, Way(chain), upper.up)
        upper.first, upper.up = pivot.created, None
        self._stretches.insert(self._stretches.index(upper), lower)

    def extend(self, since: int) -> None:
        """Goes further back than was wanted before, if it is further."""
        if self._since is None or since >= self._since:
            return
        if self._floor is not None:
            self._stretches.insert(0, self._stretch(Gap(since, self._since - 1, self._floor)))
            self._floor = None
        else:
            self._stretches[0].first = since
        self._since = since

    def abandon(self) -> None:
        """Forgets all gaps: the list is read another way."""
        for stretch in self._stretches:
            stretch.is_closed = True
        self._stretches, self._incomplete = [], []
        self._since = self._floor = None

    def _give_up(self, way: "Way") -> None:
        """Leaves a gap to the chain that comes down: the one that comes up is none the server can do."""
        self._incomplete += way.chain.incomplete
        way.stretch.up = None

    def _close(self, way: "Way") -> None:
        stretch = way.stretch
        is_oldest = stretch is self._stretches[0]
        self._stretches.remove(stretch)
        for each in stretch.ways():
            self._incomplete += each.chain.incomplete
        if is_oldest and (self._since is None or (way is stretch.down and way.saw_the_end)):
            self._since = self._floor = None
        elif is_oldest:
            self._floor = _end(stretch.down.chain)

    def _stretch(self, gap: Gap) -> "Stretch":
        down = Way(self._chain("desc", gap.down))
        up = None if gap.up is None else Way(self._chain("asc", gap.up))
        return Stretch(gap.first, gap.last, down, up)

    def _chain(self, order: Order, end: End) -> Chain:
        sign = 1 if order == "asc" else -1
        trail = Trail(tuple(Mark(sign * mark.created, mark.id) for mark in end.trail), _SPARSE)
        return Chain(order, self._page_size, trail=trail, anchor=end.anchor, known=end.known)


class Stretch:
    """A gap while it is read: its chains move `first` and `last`, both still to be read, towards each other."""

    def __init__(self, first: int | None, last: int | None, down: "Way", up: "Way | None") -> None:
        self.first = first
        self.last = last
        self.down = down
        self.up = up
        self.is_closed = False
        for way in self.ways():
            way.stretch = self

    def ways(self) -> "list[Way]":
        return [self.down, *([self.up] if self.up else [])]

    def holds(self, second: int) -> bool:
        return self.first is not None and self.last is not None and self.first <= second <= self.last

    def shrink(self) -> None:
        """Takes out what its chains have taken; closed is what is read."""
        below = self.down.chain.done
        above = self.up.chain.done if self.up else None
        if below is not None:
            self.last = below - 1 if self.last is None else min(self.last, below - 1)
        if above is not None:
            self.first = above + 1 if self.first is None else max(self.first, above + 1)
        is_met = self.first is not None and self.last is not None and self.first > self.last
        self.is_closed = is_met or any(way.chain.request is None for way in self.ways())

    def yield_to(self, upper: "Stretch") -> None:
        """Becomes a part of the gap above, whose chain goes on through it."""
        self.is_closed = True
        upper.first, upper.up = self.first, self.up
        if upper.up:
            upper.up.stretch = upper

    def gap(self) -> Gap:
        up = None if self.up is None else _end(self.up.chain)
        return Gap(self.first, self.last, _end(self.down.chain), up)


class Way:
    """A chain at work on a stretch."""

    stretch: Stretch

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    @property
    def request(self) -> Request | None:
        return None if self.stretch.is_closed else self.chain.request

    @property
    def repeats(self) -> bool:
        """Whether the page taken last may show rows that were taken before."""
        return self.chain.repeats

    @property
    def bound(self) -> int | None:
        """The second, seen from this chain, at which what is not its business begins."""
        if self is self.stretch.down:
            return None if self.stretch.first is None else self.stretch.first - 1
        return None if self.stretch.last is None else self.stretch.last + 1

    @property
    def saw_the_end(self) -> bool:
        """Whether it ended where the list does, and no row came that is not its business."""
        return self.chain.request is None and not self.chain.reached_bound

    def limit_refused(self, refusal: LimitTooLarge) -> None:
        if not self.stretch.is_closed:
            self.chain.limit_refused(refusal)

    def page_too_heavy(self) -> None:
        if not self.stretch.is_closed:
            self.chain.page_too_heavy()


def _end(chain: Chain) -> End:
    sign = 1 if chain.order == "asc" else -1
    trail = tuple(Mark(sign * mark.created, mark.id) for mark in chain.trail.marks())
    return End(chain.anchor, chain.known, trail)
