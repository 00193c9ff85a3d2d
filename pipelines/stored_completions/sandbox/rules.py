"""How this sandbox answers where servers of the same API differ."""

from dataclasses import dataclass
from typing import Literal, get_args

OverLimit = Literal["error", "clamp"]
Cursor = Literal["seconds", "positional"]
Vanished = Literal["400", "404", "restart", "empty"]
HasMore = Literal["exact", "full_pages", "omitted"]
Grouping = Literal["all", "last"]

_CHOICES = {
    "over_limit": OverLimit,
    "cursor": Cursor,
    "vanished": Vanished,
    "has_more": HasMore,
    "grouping": Grouping,
}


@dataclass(frozen=True)
class Rules:
    """The defaults are OpenAI's recorded behaviour.

    api_key       the only key that is accepted; None: any that is not empty
    latency       seconds that every answer waits
    max_limit     largest page; None: no maximum
    over_limit    a larger limit gives a 400 ("error") or a smaller page ("clamp")
    cursor        after compares whole seconds, and rows of one second change places ("seconds"),
                  or marks a place in one stable order ("positional")
    vanished      after an id that is not there: a 400, a 404, page one again, or an empty page
    has_more      "exact"; "full_pages": true whenever the page is full; "omitted": not sent
    ignore_after  every page is the first
    admin_key     the only key that may read the organization's usage and costs; None: any sk-admin...
    grouping      by "all" that a repeated group_by names, or as servers that know no repeats by the "last"
    list_answers  a completion's answers are listed after its input messages, as OGX does
    date_header   whether answers carry the sandbox clock as Date
    """

    api_key: str | None = None
    latency: float = 0.0
    max_limit: int | None = None
    over_limit: OverLimit = "error"
    cursor: Cursor = "seconds"
    vanished: Vanished = "400"
    has_more: HasMore = "exact"
    ignore_after: bool = False
    admin_key: str | None = None
    grouping: Grouping = "all"
    list_answers: bool = False
    date_header: bool = True

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in get_args(choices):
                raise ValueError(f"{name} is one of {', '.join(get_args(choices))}, not {value!r}")
