"""How many rows of the list to ask for at once: as many as weigh 16 MB, and no more than the server takes."""

from collections.abc import Sequence

SMALLEST_CEILING = 20
LARGEST_LIMIT = 16_384
_PAGE_BYTES = 16_000_000
_MOST_BYTES = 20_000_000
_SMALLEST = 2
_MOST_REPEATED = 8  # an eighth of a page


class PageSize:
    """`rows` is what to ask for next, `ceiling` what the server is thought to take."""

    def __init__(self, wanted: int) -> None:
        self.rows = wanted
        self.ceiling = LARGEST_LIMIT
        self._largest = wanted
        self._largest_worked = 0

    def worked(self, limit: int) -> None:
        """The server answered to it."""
        self._largest_worked = max(self._largest_worked, limit)

    @property
    def has_worked(self) -> bool:
        return self._largest_worked > 0

    def is_untried(self, limit: int) -> bool:
        """Whether it is larger than what the server has taken, or always takes."""
        return limit > self._fallback

    def fall_back(self) -> None:
        """No larger page than the largest that worked, at least 20, is asked for any more."""
        self.ceiling = self._fallback
        self.rows = min(self.rows, self.ceiling)

    def doubled(self, limit: int) -> int:
        return min(limit * 2, self.ceiling)

    def most_bytes(self, limit: int) -> int | None:
        """What an answer may weigh; None where no smaller page would do."""
        return _MOST_BYTES if limit == self.rows > _SMALLEST else None

    def fit(self, size: int, rows: int) -> None:
        """Keeps pages near 16 MB: logprobs can make a hundred completions weigh 300 MB."""
        if size > _PAGE_BYTES:
            self.rows = max(_SMALLEST, rows * _PAGE_BYTES // size)
        elif size * 2 < _PAGE_BYTES:
            self.rows = min(self.rows * 2, self._largest, self.ceiling)

    def fit_seconds(self, places: Sequence[int]) -> None:
        """Asks for larger pages where a second fills much of one, since it is read again by the next."""
        repeated = places.count(places[-1])
        is_much = repeated > 1 and repeated * _MOST_REPEATED > len(places)
        if is_much and len(places) == self.rows == self._largest:
            self.rows = self._largest = self.doubled(self._largest)

    def shrink(self) -> None:
        """An eighth, for a page that was too heavy to be read whole."""
        self.rows = max(_SMALLEST, self.rows // 8)

    @property
    def _fallback(self) -> int:
        return max(self._largest_worked, SMALLEST_CEILING)
