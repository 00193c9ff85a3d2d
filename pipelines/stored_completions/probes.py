"""Rows in the middle of a long list, where more chains can begin: found by asking for one model's first or last row.

A model that only the newest pages show has its oldest row somewhere in the middle, and one that only
the oldest pages show its newest. A server that ignores the filter lists some other model's row: then
nothing more is asked. Whatever row comes is one of the list, so that a chain from it is never wrong.
"""

from collections.abc import Sequence

from stored_completions.errors import LimitTooLarge
from stored_completions.listing import Listed, Order, Request
from stored_completions.trail import Mark

_MOST = 8
_MARGIN = 0.1


class Probe:
    """One question for the first row of a model in one order."""

    repeats = False

    def __init__(self, order: Order, model: str) -> None:
        self.model = model
        self.request: Request | None = Request(None, 1, order, model)
        self.found: Mark | None = None
        self.is_ignored = False

    def take(self, page: Sequence[Listed]) -> None:
        self.request = None
        row = next(iter(page), None)
        if row is None:
            return
        if row.model != self.model:
            self.is_ignored = True
        elif row.has_id and row.created:
            self.found = Mark(row.created, row.key)

    def limit_refused(self, _: LimitTooLarge) -> None:
        self.request = None

    def page_too_heavy(self) -> None:
        self.request = None


class Probes:
    """The probes of one run, and the rows that they found."""

    def __init__(self, *, is_allowed: bool = True) -> None:
        self._is_allowed = is_allowed
        self._seen: dict[Order, set[str]] = {"asc": set(), "desc": set()}
        self._asked: list[Probe] = []

    def lines(self) -> list[Probe]:
        """Those still to be asked."""
        return [] if self.is_ignored else [probe for probe in self._asked if probe.request is not None]

    @property
    def is_ignored(self) -> bool:
        """Whether the server does not filter."""
        return any(probe.is_ignored for probe in self._asked)

    def saw(self, order: Order, page: Sequence[Listed]) -> None:
        """Notes the models of a page, until the probes are made of them."""
        if self._is_allowed:
            self._seen[order].update(row.model for row in page if row.model)

    def make(self) -> None:
        """Makes the probes, once, of the models that only one end of the list has shown."""
        if not self._is_allowed:
            return
        self._is_allowed = False
        newest, oldest = self._seen["desc"], self._seen["asc"]
        wanted: list[tuple[Order, str]] = [("asc", model) for model in sorted(newest - oldest)]
        wanted += [("desc", model) for model in sorted(oldest - newest)]
        self._asked = [Probe(order, model) for order, model in wanted[:_MOST]]

    def pivot(self, gaps: Sequence[tuple[int, int]]) -> Mark | None:
        """The row that cuts one of the gaps best: the longest gap, and nearest to its middle."""
        found = [probe.found for probe in self._asked if probe.found is not None]
        for first, last in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
            margin = max(1, int((last - first) * _MARGIN))
            inside = [mark for mark in found if first + margin <= mark.created <= last - margin]
            if inside:
                return min(inside, key=lambda mark: (abs(2 * mark.created - first - last), mark))
        return None
