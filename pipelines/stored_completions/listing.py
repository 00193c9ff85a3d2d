"""What a walk asks of the list of completions, and what it sees of a row there."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Order = Literal["asc", "desc"]


@dataclass(frozen=True)
class Request:
    """One page to ask for: at most `limit` rows after the row `after`; `model`: only its rows, a probe.

    An answer of more than `most_bytes` is not worth its memory: a smaller page is.
    """

    after: str | None
    limit: int
    order: Order = "asc"
    model: str | None = None
    most_bytes: int | None = None


class Listed(NamedTuple):
    """What a chain sees of a listed row. Without a usable id it can be no cursor."""

    key: str
    created: int | None
    has_id: bool = True
    model: str | None = None
