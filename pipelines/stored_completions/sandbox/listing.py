"""Which rows a list request gets: filter, order, cursor and page size."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Self

from . import answers
from .account import Account
from .answers import Answer, Item, RequestError
from .rows import Ordered, Row
from .rules import Rules

_DEFAULT_LIMIT = 20
_METADATA = re.compile(r"metadata\[((?:(?!\]\[).)+)\]", re.DOTALL)
_INTEGER = re.compile(r"-?[0-9]{1,100}")


@dataclass(frozen=True)
class Paging:
    """`limit`, `after` and `order` of a request, checked; RequestError if one of them cannot be."""

    limit: int
    after: str | None
    descending: bool

    @classmethod
    def read(cls, query: dict[str, str], rules: Rules, default_order: str) -> Self:
        order = query.get("order", default_order)
        if order not in ("asc", "desc"):
            raise RequestError(answers.order_unknown(order))
        after = None if rules.ignore_after else query.get("after")
        return cls(_limit(query.get("limit"), rules), after, order == "desc")


def list_completions(
    account: Account, query: dict[str, str], rules: Rules, now: float, dice: Random
) -> Answer:
    """A page of the rows visible now, newest first unless the request says otherwise.

    `dice` shuffles the rows of each second: OpenAI's own order within one is not stable.
    """
    paging = Paging.read(query, rules, default_order="desc")
    model, metadata = query.get("model"), _metadata(query)
    with account.lock:
        cursor = account.row(paging.after, now) if paging.after is not None else None
        if paging.after is not None and cursor is None and _ends(paging.after, rules):
            return _page([], paging.limit, rules)
        if rules.cursor == "seconds":
            ordered = _by_second(account.rows(model, metadata), cursor, paging, dice)
        else:
            ordered = _by_place(account.rows(), cursor, paging)
        fitting = (row for row in ordered if row.is_visible(now) and row.matches(model, metadata))
        items = [(row.id, row.body) for row in islice(fitting, min(paging.limit, len(account)) + 1)]
    return _page(items, paging.limit, rules)


def list_messages(items: list[Item], query: dict[str, str], rules: Rules) -> Answer:
    """A page of one completion's input messages, first one first unless the request says otherwise."""
    paging = Paging.read(query, rules, default_order="asc")
    ordered = items[::-1] if paging.descending else items
    ids = [message_id for message_id, _ in ordered]
    if paging.after is not None and paging.after not in ids and _ends(paging.after, rules):
        return _page([], paging.limit, rules)
    start = ids.index(paging.after) + 1 if paging.after in ids else 0
    return _page(ordered[start : start + paging.limit + 1], paging.limit, rules)


def _by_second(rows: Ordered, cursor: Row | None, paging: Paging, dice: Random) -> Iterator[Row]:
    """Strictly past the cursor's second, so that the rest of that second is never seen."""
    second = None if cursor is None else cursor.second
    for group in rows.downwards(second) if paging.descending else rows.upwards(second):
        dice.shuffle(group)
        yield from group


def _by_place(rows: Ordered, cursor: Row | None, paging: Paging) -> Iterator[Row]:
    """Right past the cursor, in an order that is always the same."""
    if paging.descending:
        end = len(rows) if cursor is None else rows.place(cursor)
        return (rows.rows[place] for place in range(end - 1, -1, -1))
    start = 0 if cursor is None else rows.place(cursor) + 1
    return (rows.rows[place] for place in range(start, len(rows)))


def _ends(after: str, rules: Rules) -> bool:
    """Whether this cursor, which is not there, ends the list; if not, the list starts over."""
    if rules.vanished in ("400", "404"):
        raise RequestError(answers.cursor_not_found(int(rules.vanished), after))
    return rules.vanished == "empty"


def _page(items: list[Item], limit: int, rules: Rules) -> Answer:
    """The page of at most `limit` items; one more tells that there are more."""
    data = items[:limit]
    more = {"exact": len(items) > limit, "full_pages": len(data) == limit, "omitted": None}
    return answers.page(data, more[rules.has_more])


def _limit(text: str | None, rules: Rules) -> int:
    if text is None:
        return min(_DEFAULT_LIMIT, rules.max_limit or _DEFAULT_LIMIT)
    if not _INTEGER.fullmatch(text):
        raise RequestError(answers.wrong_type("limit", "an integer", text))
    limit = int(text)
    if limit < 1:
        raise RequestError(answers.limit_too_small(limit))
    if rules.max_limit is None or limit <= rules.max_limit:
        return limit
    if rules.over_limit == "error":
        raise RequestError(answers.limit_too_large(limit, rules.max_limit))
    return rules.max_limit


def _metadata(query: dict[str, str]) -> list[tuple[str, str]]:
    """The pairs of `metadata[key]=value`; refused is what reads as a list or as nested, or it would filter nothing."""
    pairs = []
    for name, value in query.items():
        if key := _METADATA.fullmatch(name):
            pairs.append((key[1], value))
        elif name == "metadata" or name.startswith("metadata["):
            raise RequestError(answers.wrong_type("metadata", "an object", value))
    return pairs
