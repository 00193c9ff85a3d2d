"""One chain of pages through the list: which to ask for next, what on it is new, where it stands.

Pure logic, no I/O. It knows what the live service does that a bare `after=last_id` loses rows to:

- `after` compares whole seconds, so a chain goes on from the last row of the *previous* second and
  reads the boundary second again, whole;
- the order within a second is unstable, so repeats are dropped by id;
- a cursor row can vanish, so it steps back along a trail, and at last to where the list begins;
- a server can repeat itself for ever, so every step must make progress.

A chain goes up the list, oldest first, or down. Inside it a row's *place* is its second on the way
up and the negative of that on the way down, so that every chain goes to higher places, and one that
descends is the mirror image of one that ascends.
"""

from collections.abc import Sequence

from stored_completions.errors import LimitTooLarge, NoProgress
from stored_completions.listing import Listed, Order, Request
from stored_completions.order import highest_so_far, is_falling, is_in_order, is_past, may_be_a_straggler
from stored_completions.page_size import PageSize
from stored_completions.trail import Mark, Trail

_MOST_SETBACKS = 12
_FIRST = {"asc": "oldest", "desc": "newest"}


class Chain:
    """A chain from one row of the list to its end, or to a bound.

    `request` is the page to ask for next, None at the end; `incomplete` names the seconds of which
    rows may be missing because the server would not list them whole; `reached_bound` says whether it
    ended there; `repeats` whether the page taken last may show rows that were taken before.
    """

    def __init__(
        self,
        order: Order,
        page_size: int,
        *,
        trail: Trail,
        anchor: Mark | None = None,
        known: int | None = None,
        repeats: bool = False,
    ) -> None:
        """It begins after `anchor`; there are rows up to the second `known`. `trail` is of places."""
        self.incomplete: list[int] = []
        self.reached_bound = False
        self.repeats = False
        self.order = order
        self.trail = trail
        self._sign = 1 if order == "asc" else -1
        self._anchor = anchor and self._mirrored(anchor)
        self._known = None if known is None else known * self._sign
        self._page_size = PageSize(page_size)
        self._crossed: int | None = None
        self._seen: dict[str, int] = {}
        self._will_repeat = repeats
        self._done: int | None = None
        self._best: int | None = None
        self._setbacks = 0
        self.request: Request | None = self._ask()

    @property
    def anchor(self) -> Mark | None:
        """The row after which the next page is asked for: it and all before it have been taken."""
        return self._anchor and self._mirrored(self._anchor)

    @property
    def known(self) -> int | None:
        """The furthest second that a row is known of."""
        return None if self._known is None else self._known * self._sign

    @property
    def done(self) -> int | None:
        """The last second that it has taken whole; None: it has not gone on yet."""
        return None if self._done is None else self._done * self._sign

    def unseen(self, page: Sequence[Listed], fresh: list[int]) -> list[int]:
        """Without those that it has taken itself, of a second that it has not taken whole."""
        seen = self._seen
        return [at for at in fresh if page[at].key not in seen] if seen else fresh

    @property
    def is_crossing(self) -> bool:
        """Whether the next page will tell if a second came whole."""
        return self._crossed is not None

    def take(
        self,
        page: Sequence[Listed],
        has_more: bool | None,
        size: int = 0,
        *,
        horizon: int | None = None,
        bound: int | None = None,
    ) -> list[int]:
        """Takes a page and says which of its rows, by position, are not repeats; moves `request` on.

        `has_more` is None where the server sent none, `size` the page's bytes. Rows beyond the place
        `horizon` are no marks to come back to; at the second `bound` the chain ends.
        Raises NoProgress if the server repeats itself or does not list in the order it was asked for.
        """
        assert self.request is not None
        self.repeats, self._will_repeat = self._will_repeat, False
        self._page_size.worked(self.request.limit)
        own = [self._place(row.created) for row in page]
        places = self._places(own)
        if self._lost_its_place(page, places):
            self.cursor_gone()
            return []
        seen = self._seen
        fresh = [at for at, row in enumerate(page) if row.key not in seen]
        self._check_crossing(places, bool(fresh))
        self._remember(page, own, highest_so_far(places), horizon)
        self._page_size.fit(size, len(page))
        is_full = len(page) >= self.request.limit
        if bound is not None and is_past(places, bound * self._sign):
            self.reached_bound = True
            self.request = None
            fresh = self._before_bound(fresh, places, bound * self._sign)
        elif not page or has_more is False or (has_more is None and not is_full):
            self.request = None
        else:
            if has_more:
                self._page_size.fit_seconds(places)
            self._go_on(page, places, is_full)
        return fresh

    def cursor_gone(self) -> None:
        """The server does not know the cursor any more: steps back, further each time, at last to the start.

        Where it was asked for a larger page than ever before, that may be what it refuses: it is asked
        for a smaller one first.
        """
        if self.request and self._page_size.has_worked and self._page_size.is_untried(self.request.limit):
            self._fall_back()
            return
        self._setbacks += 1
        if self._anchor is None or self._setbacks > _MOST_SETBACKS:
            raise NoProgress(
                "The server keeps listing the same completions whatever cursor it is given, so a walk over "
                "its pages would never end. It may be a mock, or a proxy that drops query parameters."
            )
        self.trail.drop(self._anchor.id)
        self.restart(self.trail.before(self._anchor.created, 2 ** (self._setbacks - 1)))

    def restart(self, place: Mark | None) -> None:
        """Goes on after another mark, by its place; None: where the list begins."""
        self._anchor = place
        self._crossed = None
        self._seen.clear()
        self._will_repeat = True
        self.request = self._ask()

    def skip_to(self, place: Mark) -> None:
        """Goes on after a mark further on: nobody asks for what is between."""
        self._anchor = self._mirrored(place)
        self.request = self._ask()

    def limit_refused(self, refusal: LimitTooLarge) -> None:
        """The page size was too large: falls back to the largest that worked, at least 20."""
        assert self.request is not None
        if not self._page_size.is_untried(self.request.limit):
            raise refusal
        self._fall_back()

    def page_too_heavy(self) -> None:
        """The page was not read whole: asks for an eighth of it. A second that needs a larger page gets one."""
        self._page_size.shrink()
        self.request = self._ask()

    def _fall_back(self) -> None:
        self._page_size.fall_back()
        self.request = self._ask(self._page_size.ceiling)

    def _before_bound(self, fresh: list[int], places: Sequence[int], bound: int) -> list[int]:
        """Leaves out what another chain has taken; of a page out of order nobody knows, so that it repeats."""
        if not is_in_order(places):
            self.repeats = True
            return fresh
        return [at for at in fresh if places[at] < bound]

    def _go_on(self, page: Sequence[Listed], places: Sequence[int], is_full: bool) -> None:
        """Chooses the next page when there is more: past this second, or more of it."""
        may_double = is_full and self.request is not None and self.request.limit < self._page_size.ceiling
        if is_falling(places) and not (may_double and may_be_a_straggler(places)):
            raise NoProgress(
                f"The server does not list {_FIRST[self.order]} first although it was asked to "
                f"(order={self.order}), so nobody can say when a walk has seen everything. A proxy may be dropping "
                f"query parameters."
            )
        places = highest_so_far(places)
        over = self._last_over(page, places)
        if over and (self._anchor is None or over.created > self._anchor.created):
            self._advance(over)
            self.request = self._ask()
        elif may_double and self.request:
            self.request = self._ask(self._page_size.doubled(self.request.limit), may_shrink=False)
        else:
            self._cross(page, places)

    def _last_over(self, page: Sequence[Listed], places: Sequence[int]) -> Mark | None:
        """The last row whose second is surely over: the last one before the page's last second."""
        for row, place in zip(reversed(page), reversed(places), strict=True):
            if place < places[-1] and row.has_id and self._place(row.created) == place:
                return Mark(place, row.key)
        return None

    def _advance(self, mark: Mark) -> None:
        self._anchor = mark
        self._done = mark.created
        self._seen = {key: place for key, place in self._seen.items() if place > mark.created}
        if self._best is None or mark.created > self._best:
            self._best = mark.created
            self._setbacks = 0

    def _cross(self, page: Sequence[Listed], places: Sequence[int]) -> None:
        """No page can hold this second whole: goes on after its last row, once."""
        last = next((row for row in reversed(page) if row.has_id), None)
        if last is None:
            raise NoProgress(
                "The server listed a whole page of objects without an id, so there is no cursor to go on from."
            )
        self._crossed = places[-1]
        self._anchor = Mark(places[-1], last.key)
        self.request = self._ask()

    def _check_crossing(self, places: Sequence[int], has_fresh: bool) -> None:
        """After a crossing: rows of the same second mean a server that counts rows, not seconds."""
        if self._crossed is None:
            return
        if not places or places[0] > self._crossed:
            self.incomplete.append(self._crossed * self._sign)
            self._done = self._crossed
        elif not has_fresh:
            raise NoProgress(
                "The server lists the same page again and again although it says that there are more rows. "
                "It may be a mock, or a proxy that drops query parameters."
            )
        self._crossed = None

    def _lost_its_place(self, page: Sequence[Listed], places: Sequence[int]) -> bool:
        """Whether the server silently started over, or sees nothing where rows are known to be.

        A page that begins too early but goes beyond the cursor's row without it has all there is to go on.
        """
        if self._anchor is None:
            return False
        if places:
            anchor = self._anchor
            return places[0] < anchor.created and (
                max(places) < anchor.created or any(row.key == anchor.id for row in page)
            )
        return self._known is not None and self._anchor.created < self._known

    def _places(self, own: Sequence[int | None]) -> Sequence[int]:
        """Each row's place; one without is taken to share its predecessor's."""
        place = self._anchor.created if self._anchor else next((at for at in own if at is not None), 0)
        return [place := place if at is None else at for at in own]

    def _place(self, created: int | None) -> int | None:
        """That of a row's own `created`; None if it is not usable, or 0."""
        return None if created is None or created <= 0 else created * self._sign

    def _remember(
        self,
        page: Sequence[Listed],
        own: Sequence[int | None],
        highest: Sequence[int],
        horizon: int | None,
    ) -> None:
        """Keeps ids against repeats, and marks to come back to: a row that stands out of order is none."""
        self._seen.update(zip([row.key for row in page], highest, strict=True))
        marks = [
            (place, row.key)
            for row, at, place in zip(page, own, highest, strict=True)
            if at == place and row.has_id and (horizon is None or place <= horizon)
        ]
        if marks:
            furthest = marks[-1][0]
            self._known = furthest if self._known is None else max(self._known, furthest)
            self.trail.add(marks, self._known if horizon is None else horizon)

    def _ask(self, limit: int | None = None, *, may_shrink: bool = True) -> Request:
        limit = limit or self._page_size.rows
        most_bytes = self._page_size.most_bytes(limit) if may_shrink else None
        return Request(self._anchor.id if self._anchor else None, limit, self.order, most_bytes=most_bytes)

    def _mirrored(self, mark: Mark) -> Mark:
        return Mark(mark.created * self._sign, mark.id)
