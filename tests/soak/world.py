"""The account that changes while it is synced, and the faults on the way to it."""

from random import Random
from typing import Any

from rebuild import normal
from stored_completions.sandbox import Account, Fault, Sandbox

START = 1_795_000_000
_PASSING = (
    Fault.rate_limited(retry_after_ms=1),
    Fault.status(500),
    Fault.status(503, headers={"retry-after-ms": "1"}),
    Fault.cut(),
    Fault.cut(0.01),
    Fault.reset(),
    Fault.reset(0.5),
    Fault.close(),
    Fault.html(),
    Fault.not_json(),
    Fault.slow(0.1),
)
_FINAL = (Fault.quota(), Fault.status(401), Fault.not_a_list(), Fault.redirect("http://127.0.0.1:1/"))


class World:
    """`versions` is every state that each completion ever had; `faults` how many requests met one."""

    def __init__(self, chance: Random, size: int) -> None:
        self.chance = chance
        self.account = Account.generate(
            size, seed=chance.randrange(99), until=START, per_second=2, logprob_share=0.1
        )
        self.sandbox = Sandbox(self.account, now=START + 60, seed=chance.randrange(99))
        self.versions: dict[str, list[Any]] = {}
        self.faults = 0
        self._script: list[Fault] = []
        self._made = 0
        self._note(self.account.completions())

    def change(self) -> None:
        """Time passes; rows come, at once or late, and edits; seldom one is deleted."""
        self.sandbox.clock.advance(self.chance.randrange(20, 400))
        for _ in range(self.chance.randrange(1, 6)):
            self._add()
        for id_ in self.chance.sample(self.account.ids(), self.chance.randrange(4)):
            self.account.update_metadata(id_, self._pairs())
            self._note([row for row in self.account.completions() if row["id"] == id_])
        if self.chance.random() < 0.1:
            self.account.delete(self.chance.choice(self.account.ids()))

    def order_faults(self) -> None:
        """A few for the next requests, of which one in a dozen can only fail."""
        self.end_faults()
        for _ in range(self.chance.randrange(4)):
            kinds = _FINAL if self.chance.random() < 0.08 else _PASSING
            self._script += [Fault.none()] * self.chance.randrange(6) + [self.chance.choice(kinds)]
        self.sandbox.faults.extend(self._script)

    def end_faults(self) -> None:
        """Takes away those that no request has met."""
        met = self._script[: len(self._script) - len(self.sandbox.faults)]
        self.faults += sum(fault != Fault.none() for fault in met)
        self.sandbox.faults.clear()
        self._script = []

    def _add(self) -> None:
        now = int(self.sandbox.clock.now())
        self._made += 1
        late = self.chance.random() < 0.3
        created = now - self.chance.randrange(10)
        row = {
            "id": f"soak-{self._made}",
            "object": "chat.completion",
            "created": created,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "x" * self.chance.randrange(999)}}
            ],
            "metadata": self._pairs(),
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        }
        self.account.add(row, visible_at=created + self.chance.randrange(20, 1500) if late else None)
        self._note([row])

    def _pairs(self) -> dict[str, str]:
        return {f"k{number}": str(self.chance.random()) for number in range(self.chance.randrange(4))}

    def _note(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            self.versions.setdefault(row["id"], []).append(normal(row))
