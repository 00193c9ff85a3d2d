"""The reports: what each of them adds up, and the columns that it shows."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from math import exp

from stored_completions.reports.sql import COUNTERS, Facts
from stored_completions.reports.sums import BASES, EXACT, Sums, Values, ratio

_PLACES = Decimal("1e-12")


@dataclass(frozen=True)
class Column:
    """One column of a report; `kind` is label (a value of --by), text, count, number, money, share, change
    or day.

    The columns of a higher `rank` are the first that a narrow terminal does without; a `quiet` one is
    shown to people only where it says something: more than 0, and not what `beside` says.
    """

    name: str
    kind: str
    rank: int = 0
    quiet: bool = False
    beside: str | None = None

    @property
    def is_text(self) -> bool:
        return self.kind in ("label", "text")


@dataclass(frozen=True)
class Definition:
    """A report: what it adds up, the sum that orders and compares its groups, and its columns.

    `values` gives the columns that come from the sums; share, previous_… and change are worked out
    from `main`.
    """

    name: str
    title: str
    facts: Facts
    main: str
    columns: tuple[Column, ...]
    values: Callable[[Sums], Values]
    default_by: tuple[str, ...]
    always_by: tuple[str, ...] = ()

    @property
    def only_unpriced(self) -> bool:
        return self.main == "unpriced_completions"

    @property
    def previous(self) -> str:
        return f"previous_{self.main}"


def _picked(*names: str) -> Callable[[Sums], Values]:
    return lambda sums: {name: sums.get(name) for name in names}


def _tokens(sums: Sums) -> Values:
    shares = {"cached_share": ratio(sums.get("cached_tokens_of_known"), sums.get("prompt_tokens_of_known"))}
    return (
        _picked("completions", *COUNTERS, "completions_without_usage", "completions_without_details")(sums)
        | shares
    )


def _models(sums: Sums) -> Values:
    cost, priced = sums.get("cost_usd"), sums.get("priced_completions", 0)
    mean = None if cost is None else EXACT.divide(cost, priced).quantize(_PLACES, context=EXACT)
    own = _picked("cost_usd", "estimated_cost_usd", *BASES, "unpriced_completions", "first_day", "last_day")
    return _tokens(sums) | own(sums) | {"usd_per_completion": mean}


def _confidence(sums: Sums) -> Values:
    """Means over all tokens, not over answers, so that groups add up."""
    mean = _mean(sums, "logprobs", "known_tokens")
    return _picked("choices", "tokens", "tokens_outside_top", "tokens_with_alternatives")(sums) | {
        "mean_logprob": _rounded(mean),
        "perplexity": _rounded(None if mean is None else exp(-mean)),
        "mean_entropy": _rounded(_mean(sums, "entropies", "tokens_with_alternatives")),
        "mean_unlisted_probability": _rounded(_mean(sums, "unlisted", "tokens_with_alternatives")),
    }


def _mean(sums: Sums, total: str, count: str) -> float | None:
    return None if sums.get(total) is None or not sums.get(count) else sums[total] / sums[count]


def _rounded(value: float | None) -> float | None:
    """To 6 places, and never -0.0."""
    return None if value is None else round(value, 6) + 0.0


def _compared(main: str, kind: str) -> tuple[Column, ...]:
    return (
        Column("share", "share", 1),
        Column(f"previous_{main}", kind, 6, quiet=True),
        Column("change", "change", 2, quiet=True),
    )


_BASES = (
    Column("exact_usd", "money", 5, quiet=True),
    *(Column(name, "money", 4, quiet=True) for name in BASES[1:]),
    Column("unpriced_completions", "count", 1, quiet=True),
)
_DAYS = (Column("first_day", "day", 5), Column("last_day", "day", 5))
_CONFIDENCE_SUMS = (
    "choices tokens tokens_outside_top known_tokens logprobs tokens_with_alternatives entropies unlisted"
).split()
_COUNTED = ("completions_without_usage", "completions_without_details")
_TOKEN_SUMS = ("completions", *COUNTERS, *_COUNTED, "prompt_tokens_of_known", "cached_tokens_of_known")

_COST_SUMS = ("cost_usd", "estimated_cost_usd", "estimated_part_usd")
_ESTIMATED = Column("estimated_cost_usd", "money", 1, quiet=True, beside="cost_usd")

COSTS = Definition(
    "costs",
    "Cost",
    Facts(("completions", *_COST_SUMS)),
    "cost_usd",
    (
        Column("completions", "count", 1),
        Column("cost_usd", "money"),
        _ESTIMATED,
        *_compared("cost_usd", "money"),
        *_BASES,
    ),
    _picked("completions", "cost_usd", "estimated_cost_usd", *BASES, "unpriced_completions"),
    ("model",),
)
TOKENS = Definition(
    "tokens",
    "Tokens",
    Facts(_TOKEN_SUMS),
    "total_tokens",
    (
        Column("completions", "count", 1),
        Column("prompt_tokens", "count"),
        Column("cached_tokens", "count", 5),
        Column("cached_share", "share", 3),
        Column("completion_tokens", "count"),
        Column("reasoning_tokens", "count", 4, quiet=True),
        Column("total_tokens", "count", 1),
        *_compared("total_tokens", "count"),
        *(Column(name, "count", 6, quiet=True) for name in COUNTERS if "audio" in name or "write" in name),
        *(Column(name, "count", 6, quiet=True) for name in _COUNTED),
    ),
    _tokens,
    ("model",),
)
MODELS = Definition(
    "models",
    "Models",
    Facts((*_TOKEN_SUMS, *_COST_SUMS)),
    "cost_usd",
    (
        Column("completions", "count", 1),
        Column("prompt_tokens", "count", 2),
        Column("completion_tokens", "count", 2),
        Column("cached_share", "share", 3),
        Column("cost_usd", "money"),
        _ESTIMATED,
        Column("usd_per_completion", "money", 3),
        *_compared("cost_usd", "money"),
        *_BASES,
        *_DAYS,
    ),
    _models,
    ("model",),
    ("model",),
)
FINISH_REASONS = Definition(
    "finish-reasons",
    "How answers ended",
    Facts(("choices", "refusals", "refusal_known"), of="answers"),
    "choices",
    (
        Column("choices", "count"),
        *_compared("choices", "count"),
        Column("refusals", "count", 3),
        Column("refusal_known", "count", 4),
    ),
    _picked("choices", "refusals", "refusal_known"),
    ("finish-reason",),
    ("finish-reason",),
)
UNPRICED = Definition(
    "unpriced",
    "Completions without a cost",
    Facts(("completions", "prompt_tokens", "completion_tokens", "cost_usd")),
    "unpriced_completions",
    (
        Column("unpriced_completions", "count"),
        *_compared("unpriced_completions", "count"),
        Column("prompt_tokens", "count", 3),
        Column("completion_tokens", "count", 3),
        *_DAYS,
    ),
    _picked("unpriced_completions", "prompt_tokens", "completion_tokens", "first_day", "last_day"),
    ("model", "tier"),
    ("reason",),
)
TOOLS = Definition(
    "tools",
    "Tool calls",
    Facts(
        ("calls", "invalid_arguments", "unfit_arguments", "judged_arguments", "repeated_calls"), of="calls"
    ),
    "calls",
    (
        Column("calls", "count"),
        *_compared("calls", "count"),
        Column("invalid_arguments", "count", 1),
        Column("unfit_arguments", "count", 1),
        Column("judged_arguments", "count", 3),
        Column("repeated_calls", "count", 2),
    ),
    _picked("calls", "invalid_arguments", "unfit_arguments", "judged_arguments", "repeated_calls"),
    ("tool",),
    ("tool",),
)
CONFIDENCE = Definition(
    "confidence",
    "Confidence",
    Facts(tuple(_CONFIDENCE_SUMS), of="weighed answers"),
    "tokens",
    (
        Column("choices", "count", 1),
        Column("tokens", "count"),
        *_compared("tokens", "count"),
        Column("tokens_outside_top", "count", 2),
        Column("mean_logprob", "number", 3),
        Column("perplexity", "number"),
        Column("tokens_with_alternatives", "count", 5),
        Column("mean_entropy", "number", 1),
        Column("mean_unlisted_probability", "number", 4),
    ),
    _confidence,
    ("model",),
)
DEFINITIONS = {
    each.name: each for each in (COSTS, TOKENS, MODELS, TOOLS, FINISH_REASONS, CONFIDENCE, UNPRICED)
}
