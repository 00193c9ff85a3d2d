"""What a sync must know of a listed object before it looks inside: its id, its time and its hash."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from stored_completions import extra as fit
from stored_completions import shape
from stored_completions.pages import Entry, Members, cut, loads

_sorted = msgspec.json.Encoder(order="deterministic")
_NULL = Raw(b"null")


Hashed = Callable[[Members], str]


class Item(msgspec.Struct, frozen=True, gc=False):
    """One listed object with an id that can be a key.

    `created` is in unix seconds, also where it was sent as text or float; `created_column` is None where
    its column cannot hold what was sent. `row_hash` is that of the object as sent, the order of its fields
    and of its metadata aside; `usual` is the same decoded, if it has that shape. It stands among `entries`.
    """

    completion_id: str
    created: int | None
    created_column: int | None
    model: str | None
    row_hash: str
    entries: Sequence[Entry]
    at: int = 0
    usual: shape.Usual | None = None

    @property
    def entry(self) -> Entry:
        """The object itself."""
        return self.entries[self.at]


def item(entry: Entry, hashed: Hashed | None = None) -> Item | None:
    """The listed object; None when it has no usable id and so belongs into quarantine.

    `hashed` makes its hash of the members as sent; without, what is decoded already is hashed.
    """
    return entry_at([entry], 0, shape.usual(entry.text), hashed)


def entry_at(
    entries: Sequence[Entry], at: int, usual: shape.Usual | None, hashed: Hashed | None
) -> Item | None:
    """The same of one of several; `usual` is what it is decoded, None if it has not that shape."""
    if usual is not None:
        sent = usual.sent
        made = shape.row_hash(usual) if hashed is None else hashed(entries[at].members or {})
        return Item(sent.id, sent.created, sent.created, sent.model, made, entries, at, usual)
    members = entries[at].members
    if members is None:
        return None
    completion_id = fit.fitting(fit.text, bytes(members.get("id", _NULL)))
    if not completion_id:
        return None
    created = bytes(members.get("created", _NULL))
    column = fit.fitting(fit.instant, created)
    return Item(
        completion_id,
        _second(loads(created)),
        None if column is None else column // 1_000_000,
        fit.fitting(fit.text, bytes(members.get("model", _NULL))),
        (hashed or row_hash)(members),
        entries,
        at,
    )


def _second(created: Any) -> int | None:
    """Whole unix seconds; None if unusable."""
    if type(created) is int:
        return created
    try:
        return None if isinstance(created, bool) or created is None else int(float(created))
    except (TypeError, ValueError, OverflowError):
        return None


def row_hash(members: Members, key: bytes = b"") -> str:
    """A hash of an object as sent, the order of its fields and of its metadata aside; with a key, a keyed one."""
    metadata = members.get("metadata", _NULL)
    pairs = cut(bytes(metadata))
    if pairs:
        members = {**members, "metadata": Raw(_encoded(pairs))}
    return shape.hashed(_encoded(members), key)


def _encoded(members: Members) -> bytes:
    """The members in the order of their names."""
    try:
        return _sorted.encode(members)
    except UnicodeEncodeError:
        return repr(sorted((name, bytes(raw)) for name, raw in members.items())).encode(
            "ascii", "backslashreplace"
        )
