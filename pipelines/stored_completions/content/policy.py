"""What is kept of each group of content: as it is, as a keyed hash, or not at all.

A hash is an HMAC-SHA256 with the user's `content_key`, cut to 128 bits: equal values have equal
hashes, wherever they stand, and nobody without the key can try guesses. The key is never stored.
"""

import difflib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b, sha256
from typing import Any

from msgspec import Raw

from stored_completions.content.groups import ANSWERS, GROUPS, MEMBERS, METADATA
from stored_completions.errors import UsageError
from stored_completions.items import Hashed, row_hash
from stored_completions.pages import Entry, Members, cut
from stored_completions.values import json_object

DROP, HASH, KEEP = LEVELS = ("drop", "hash", "keep")
"""Each keeps more than those before it."""
NONE, TOKENS_ONLY, ALL = LOGPROBS = ("none", "tokens", "all")

_MARK_END = ":"
DROPPED = "[dropped]"
HASHED = "hmac:"

_SHORTEST_KEY = 32
_DIGEST = 16
_EXEMPT = frozenset(
    "id object created model service_tier system_fingerprint request_id seed temperature top_p presence_penalty"
    " frequency_penalty usage".split()
)
_FIELDS: Mapping[str, tuple[str, ...]] = {
    name: groups for name, groups in MEMBERS["completions"][1].items() if isinstance(groups, tuple)
}


@dataclass(frozen=True)
class Policy:
    """`levels` by group, `logprobs` all, tokens (none of the alternatives) or none; `key` only for hashes,
    `has_key` whether one is configured all the same: hashes of messages are then made with it."""

    levels: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(GROUPS, KEEP))
    logprobs: str = ALL
    key: bytes = field(default=b"", repr=False)
    has_key: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if (self.hashes or self.has_key) and len(self.key) < _SHORTEST_KEY:
            raise UsageError(_no_key(self.key))
        if not self.hashes:
            object.__setattr__(self, "key", b"")

    @property
    def keeps_all(self) -> bool:
        """Whether content stays as it is; which logprobs are wanted is another matter."""
        return set(self.levels.values()) == {KEEP}

    @property
    def hashes(self) -> bool:
        return HASH in self.levels.values()

    @property
    def key_check(self) -> str | None:
        """Changes with the key, and does not give it away; None where nothing is hashed."""
        return self.digest(b"stored-completions content_key").hex() if self.hashes else None

    @cached_property
    def _is_plain(self) -> bool:
        return self.keeps_all and self.logprobs == ALL

    @cached_property
    def mark(self) -> str:
        """Tells the hashes of rows that were made under another policy."""
        return blake2b(
            repr((sorted(self.said().items()), self.key_check)).encode(), digest_size=2
        ).hexdigest()

    def level(self, groups: Iterable[str] = GROUPS) -> str:
        """That of what belongs to several groups: the strictest of theirs."""
        return min((self.levels[group] for group in groups), key=LEVELS.index)

    def digest(self, value: bytes) -> bytes:
        return hmac.digest(self.key, value, "sha256")[:_DIGEST]

    def looser_than(self, other: Mapping[str, str]) -> list[str]:
        """The groups, logprobs among them, of which this one keeps more than what `said` said of another."""
        return [
            name
            for name, ours in self.said().items()
            if (scale := LOGPROBS if name == "logprobs" else LEVELS).index(ours) > scale.index(other[name])
        ]

    @property
    def hashed(self) -> Hashed | None:
        """What makes the hash of a completion where that is not of all of it; see `items.item`."""
        return None if self._is_plain else self.row_hash

    def row_hash(self, sent: Members) -> str:
        """Tells whether an object changed. It says nothing of what is dropped, and is made with the key where
        something is hashed: else guesses could be tried."""
        if self._is_plain:
            return row_hash(sent)
        kept = {name: raw for name, raw in sent.items() if self._level_of(name) != DROP}
        if self.levels[METADATA] == DROP:
            names = sorted(cut(bytes(sent.get("metadata", b"null"))) or ())
            kept["metadata"] = Raw(repr(names).encode())
        key = sha256(self.key).digest() if self.hashes else b""
        return f"{self.mark}{_MARK_END}{row_hash(kept, key=key)}"

    def body_hash(self, entry: Entry) -> str:
        """The same for an object that is set aside whole; as SHA-256 where it can be."""
        level = self.level()
        if level == KEEP:
            return sha256(entry.text).hexdigest()
        if level == HASH:
            return hmac.digest(self.key, entry.body.encode(), "sha256").hex()
        return sha256(self.row_hash(entry.members or {}).encode()).hexdigest()

    def said(self) -> dict[str, str]:
        return {**self.levels, "logprobs": self.logprobs}

    def _level_of(self, name: str) -> str:
        """That of a field of a completion."""
        return KEEP if name in _EXEMPT else self.level(_FIELDS.get(name, (ANSWERS,)))


def policy(said: Iterable[Any], logprobs: str | None, key: str | None) -> Policy:
    """The policy of a setting that several places make, the weakest first: one that names a group only leaves the
    others as they were."""
    found = dict(KEPT.levels)
    for each in said:
        found |= levels(each)
    wanted = (logprobs or KEPT.logprobs).lower()
    if wanted not in LOGPROBS:
        raise UsageError(f"logprobs is {wanted!r}, but it must be one of {', '.join(LOGPROBS)}.")
    return Policy(found, wanted, (key or "").encode(), has_key=bool(key))


def is_comparable(one: str | None, other: str) -> bool:
    """Whether two row hashes were made under the same policy, so that their difference means something."""
    return one is not None and one.rpartition(_MARK_END)[0] == other.rpartition(_MARK_END)[0]


def levels(said: Any) -> dict[str, str]:
    """The levels by group that a setting names: one for all, `group=level` texts, a table, or JSON of one."""
    if isinstance(said, str):
        said = json_object(said) or said.split(",")
    if isinstance(said, Mapping):
        said = [f"{group}={level}" for group, level in said.items()]
    found: dict[str, str] = {}
    for text in said if isinstance(said, list | tuple) else [said]:
        group, equals, level = str(text).replace("-", "_").lower().partition("=")
        groups = (_known("group", group.strip(), GROUPS),) if equals else GROUPS
        found |= dict.fromkeys(groups, _known("level", level.strip() if equals else group.strip(), LEVELS))
    return found


def _known(kind: str, name: str, known: Iterable[str]) -> str:
    if name in known:
        return name
    close = difflib.get_close_matches(name, known, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(
        f"content takes keep, hash or drop, or GROUP=LEVEL with a group of {', '.join(GROUPS)}; {name!r} is no "
        f"{kind}.{hint}"
    )


def _no_key(key: bytes) -> str:
    wrong = (
        f"content_key has {len(key)} characters, but needs at least {_SHORTEST_KEY}"
        if key
        else "there is no content_key"
    )
    return (
        f"content = hash needs a key, and {wrong}: make one with `openssl rand -hex 32`, set it as content_key in "
        f".dlt/secrets.toml or SOURCES__STORED_COMPLETIONS__CONTENT_KEY, and keep it: without it no hash can be "
        f"made again."
    )


KEPT = Policy()
ERASED = Policy(dict.fromkeys(GROUPS, DROP))
"""What remains of a completion that was purged."""
