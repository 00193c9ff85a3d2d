"""What a policy makes of each column, and that none is forgotten."""

from typing import Any

from stored_completions.content.policy import KEPT, Policy, levels

KEY = b"0123456789abcdef0123456789abcdef"
OFF = "[dropped]"


def policy(said: Any, logprobs: str = "all", key: bytes = KEY) -> Policy:
    return Policy(KEPT.levels | levels(said), logprobs, key)
