"""The accounts that are measured, each once: what is in them, and what is too slow to repeat there."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

from bench.contenders import REST_API


@dataclass(frozen=True)
class Account:
    """Generated completions; `shape` is what `sandbox.Account.generate` is told of them.

    `once` names contenders that run once only, whatever number of runs is asked for.
    """

    name: str
    completions: int
    shape: dict[str, Any] = field(default_factory=dict)
    once: tuple[str, ...] = ()

    def scaled(self, factor: float) -> Self:
        return replace(self, completions=max(1, round(self.completions * factor)))


ACCOUNTS = (
    Account("plain", 20_000, {"logprob_share": 0.0}),
    Account("logprobs", 1_000, {"logprob_share": 1.0, "tokens": 200, "top_logprobs": 5}, once=(REST_API,)),
)
BY_NAME = {account.name: account for account in ACCOUNTS}
