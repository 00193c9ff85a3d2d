"""The stored rows, in the order of their seconds."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

Message = Mapping[str, Any]
Messages = Sequence[Message] | Callable[[], Sequence[Message]]


@dataclass(slots=True, eq=False)
class Row:
    """A stored completion: its bytes as they are served, and what it is found by.

    second      where it stands among the others: `created` wherever that is usable
    visible_at  clock time from which it can be seen; None: always
    messages    the input messages, or a function that makes them when they are asked for
    """

    id: str | None
    second: int
    body: bytes
    model: str | None
    metadata: Mapping[str, Any]
    visible_at: float | None = None
    messages: Messages | None = None

    def is_visible(self, now: float) -> bool:
        return self.visible_at is None or self.visible_at <= now

    def matches(self, model: str | None, metadata: Iterable[tuple[str, str]]) -> bool:
        return (model is None or self.model == model) and all(
            self.metadata.get(key) == value for key, value in metadata
        )


class Ordered:
    """Rows by second, and within a second as they were added; places are found by bisection."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows = sorted(rows, key=attrgetter("second"))
        self._seconds = [row.second for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def insert(self, row: Row) -> None:
        place = bisect_right(self._seconds, row.second)
        self.rows.insert(place, row)
        self._seconds.insert(place, row.second)

    def remove(self, row: Row) -> None:
        place = self.place(row)
        del self.rows[place], self._seconds[place]

    def place(self, row: Row) -> int:
        return self.rows.index(row, bisect_left(self._seconds, row.second))

    def upwards(self, after: int | None) -> Iterator[list[Row]]:
        """The rows of each second later than `after`, earliest second first."""
        start = 0 if after is None else bisect_right(self._seconds, after)
        while start < len(self.rows):
            end = bisect_right(self._seconds, self._seconds[start], start)
            yield self.rows[start:end]
            start = end

    def downwards(self, before: int | None) -> Iterator[list[Row]]:
        """The rows of each second earlier than `before`, latest second first."""
        end = len(self.rows) if before is None else bisect_left(self._seconds, before)
        while end > 0:
            start = bisect_left(self._seconds, self._seconds[end - 1], 0, end)
            yield self.rows[start:end]
            end = start
