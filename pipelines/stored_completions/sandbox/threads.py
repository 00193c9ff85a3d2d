"""Conversations: who talks to which feature, and what was said at each turn.

What is said follows from the thread's key alone, so that input messages need not be kept:
they are made again when somebody asks for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .rows import Message
from .words import Feature

_MASK = (1 << 64) - 1
_PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def mix(key: int, salt: int) -> int:
    """A 64-bit number that follows from both and looks like chance."""
    mixed = (key + salt * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)


@dataclass(slots=True)
class Thread:
    """One conversation; `turns` counts the completions it has had."""

    key: int
    feature: Feature
    model: str
    user: str
    metadata: Mapping[str, str]
    reasons: bool
    turns: int = 0

    def question(self, turn: int) -> str:
        asked = self.feature.asked
        return asked[mix(self.key, 2 * turn) % len(asked)]

    def sentences(self, turn: int, choice: int = 0) -> list[str]:
        """One to four sentences of the feature, mostly about the same article."""
        pool = self.feature.sentences
        chance = mix(self.key, 2 * turn + 1 + (choice << 32))
        first, count = chance % len(pool), 1 + (chance >> 32) % 4
        return [pool[(first + place) % len(pool)] for place in range(count)]

    def answer(self, turn: int, choice: int = 0) -> str:
        return " ".join(self.sentences(turn, choice))

    def messages(self, turn: int) -> list[Message]:
        """What was sent to get the answer of this turn: the instructions and all that was said before."""
        opening = {"role": "developer" if self.reasons else "system", "content": self.feature.system}
        before = [message for past in range(turn) for message in self._exchange(past)]
        return [opening, *before, self._asked(turn)]

    def _exchange(self, turn: int) -> list[Message]:
        return [self._asked(turn), {"role": "assistant", "content": self.answer(turn)}]

    def _asked(self, turn: int) -> Message:
        question = self.question(turn)
        if self.feature.shows_images:
            parts = [
                {"type": "text", "text": question},
                {"type": "image_url", "image_url": {"url": _PIXEL}},
            ]
            return {"role": "user", "content": parts}
        name = self.user if mix(self.key, -1) % 10 == 0 else None
        return {"role": "user", "content": question, "name": name}
