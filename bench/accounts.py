"""The accounts that are measured, each once: what is in them, and who is measured there how often."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

from bench.contenders import EVERYBODY, LATER, OURS, RAW, REST_API


@dataclass(frozen=True)
class Account:
    """Completions, as `programs/serve.py` makes them of `recipe`.

    `contenders` are measured on it, those of `once` a single time. A page takes the server `latency`
    seconds. `is_recorded`: it is the corpus, of which `recipe` will name the folder.
    """

    name: str
    completions: int
    recipe: dict[str, Any] = field(default_factory=dict)
    contenders: tuple[str, ...] = EVERYBODY
    once: tuple[str, ...] = (REST_API,)
    latency: float = 0.0
    is_recorded: bool = False

    def scaled(self, factor: float) -> Self:
        return replace(self, completions=max(1, round(self.completions * factor)))


def _logprobs(tokens: int, top_logprobs: int) -> dict[str, Any]:
    return {"shape": {"logprob_share": 1.0, "tokens": tokens, "top_logprobs": top_logprobs}}


_PLAIN = {"shape": {"logprob_share": 0.0}}

ACCOUNTS = (
    Account("plain", 50_000, _PLAIN),
    Account("top 5", 2_000, _logprobs(200, 5)),
    Account("top 20", 500, _logprobs(200, 20)),
    Account("recorded", 0, contenders=(OURS, REST_API), is_recorded=True),
    Account("a million", 1_100, _PLAIN | {"later": 100}, (LATER,)),
    Account("top 5, 10x", 20_000, _logprobs(200, 5), (OURS,), once=(OURS,)),
    Account("heavy pages", 100, _logprobs(2_000, 20), (OURS,)),
    Account("long answers", 4_000, _PLAIN | {"words": 14_000}, (RAW, OURS), once=(RAW, OURS)),
    Account("slow server", 10_000, _PLAIN, (OURS,), latency=0.3),
)
BY_NAME = {account.name: account for account in ACCOUNTS}
