"""The SQL behind a report: one row per group and per basis of its cost, of a period and the one before it.

Nothing of what a person wrote becomes part of the SQL: metadata keys, time zones and days are parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from stored_completions.periods import Period
from stored_completions.report_dimensions import Dimension

UTC = "UTC"
BASIS = ("model", "price_basis", "usage_basis", "unpriced_reason")
COUNTERS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "prompt_audio_tokens",
    "reasoning_tokens",
    "completion_audio_tokens",
)

_DETAILS = (
    "cached_tokens cache_write_tokens prompt_audio_tokens prompt_text_tokens prompt_image_tokens reasoning_tokens "
    "completion_audio_tokens completion_text_tokens accepted_prediction_tokens rejected_prediction_tokens"
).split()
_HAS_TOTALS = "coalesce(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) is not null"
_HAS_DETAILS = f"coalesce({', '.join(f'usage.{name}' for name in _DETAILS)}) is not null"
_SAYS_CACHED = "usage.cached_tokens <= usage.prompt_tokens"
_TOKENS = {
    **{name: f"usage.{name}" for name in COUNTERS},
    "completions_without_usage": f"cast(not {_HAS_TOTALS} and not {_HAS_DETAILS} as integer)",
    "completions_without_details": f"cast({_HAS_TOTALS} and not {_HAS_DETAILS} as integer)",
    "prompt_tokens_of_known": f"case when {_SAYS_CACHED} then usage.prompt_tokens end",
    "cached_tokens_of_known": f"case when {_SAYS_CACHED} then usage.cached_tokens end",
}
_COSTS = ("cost_usd", "price_basis", "usage_basis", "unpriced_reason")
_ANSWERS = {
    "choices": "1",
    "refusals": "case when choices.refusal_sent then cast(coalesce(choices.refusal, '') <> '' as integer) end",
    "refusal_known": "cast(choices.refusal_sent as integer)",
}


@dataclass(frozen=True)
class Facts:
    """The rows a report adds up: of completions or of their answers; `sums` are the columns to add."""

    sums: tuple[str, ...]
    of_answers: bool = False

    @property
    def has_costs(self) -> bool:
        return "cost_usd" in self.sums


@dataclass(frozen=True)
class Statement:
    sql: str
    parameters: dict[str, Any]


def grouped(
    facts: Facts, by: Sequence[Dimension], period: Period, timezone: str, *, is_rolled_up: bool
) -> Statement:
    """One row per value of `by` and, with costs, per basis: first whether it is of the previous period, then
    the values, the columns of BASIS, first and last day, and the sums.

    `is_rolled_up` says that reports.daily_costs is there, which has the sums of whole UTC days already.
    Days of the previous period are moved up by its length, so that each stands beside its counterpart.
    """
    names = [f"{_expression(dimension, at)} as value_{at}" for at, dimension in enumerate(by)]
    basis = [f"facts.{name}" for name in BASIS] if facts.has_costs else [f"null as {name}" for name in BASIS]
    sums = [f"sum(facts.{name}) as {name}" for name in facts.sums]
    ends = ["min(facts.day) as first_day", "max(facts.day) as last_day"]
    can_roll_up = timezone == UTC and not facts.of_answers and all(dimension.is_daily for dimension in by)
    days = _daily() if is_rolled_up and can_roll_up else _completions(facts, by, timezone)
    return Statement(
        f"with days as (\n{days}\n),\nfacts as (\n{_placed(period)}\n)\n"
        f"select {', '.join(['facts.is_previous', *names, *basis, *ends, *sums])}\nfrom facts\ngroup by all",
        _parameters(by, period, timezone),
    )


def _daily() -> str:
    return (
        f"select daily_costs.* rename (created_date as day) from reports.daily_costs{_nearby('daily_costs')}"
    )


def _completions(facts: Facts, by: Sequence[Dimension], timezone: str) -> str:
    values = _ANSWERS if facts.of_answers else {"completions": "1", **_TOKENS}
    columns = [f"{values[name]} as {name}" for name in facts.sums if name in values]
    columns += [f"completion_costs.{name}" for name in _COSTS if facts.has_costs]
    words = {dimension.word for dimension in by}
    joins = []
    if facts.of_answers:
        joins.append("join chat.choices on choices.completion_id = completions.completion_id")
    elif words & {"finish-reason"}:
        joins.append(_left("choices", "chat.choices", " and choices.choice_index = 0"))
    if facts.of_answers or words & {"finish-reason"}:
        columns.append("choices.finish_reason")
    if any("usage." in values[name] for name in facts.sums if name in values):
        joins.append(_left("usage", "chat.usage"))
    if facts.has_costs:
        joins.append(_left("completion_costs", "marts.completion_costs"))
    for at, dimension in enumerate(by):
        if dimension.key is not None:
            columns.append(f"metadata_{at}.value as metadata_{at}")
            joins.append(_left(f"metadata_{at}", "chat.metadata", f" and metadata_{at}.key = $key_{at}"))
    day = (
        "completions.created_date"
        if timezone == UTC
        else "cast(timezone($zone, completions.created_at) as date)"
    )
    own = [f"completions.{name}" for name in ("model", "service_tier", "source", "input_user")]
    return "\n".join(
        [f"select {', '.join([f'{day} as day', *own, *columns])}", "from chat.completions", *joins]
    ) + _nearby("completions")


def _left(alias: str, relation: str, condition: str = "") -> str:
    return f"left join {relation} as {alias} on {alias}.completion_id = completions.completion_id{condition}"


def _nearby(relation: str) -> str:
    """Leaves out what is on no day near the period, whatever the time zone."""
    return (
        f"\nwhere ($nearby_first is null or {relation}.created_date >= $nearby_first)"
        f" and ($nearby_last is null or {relation}.created_date <= $nearby_last)"
    )


def _placed(period: Period) -> str:
    if period.previous is None:
        return (
            "select days.*, false as is_previous from days"
            " where ($first is null or days.day >= $first) and ($last is null or days.day <= $last)"
        )
    return (
        "select days.* replace (case when days.day < $first then days.day + $days else days.day end as day),"
        " days.day < $first as is_previous from days where days.day between $first - $days and $last"
    )


def _expression(dimension: Dimension, at: int) -> str:
    return f"facts.metadata_{at}" if dimension.key is not None else dimension.expression


def _parameters(by: Sequence[Dimension], period: Period, timezone: str) -> dict[str, Any]:
    asked = period.previous or period
    nearby = timedelta(days=0 if timezone == UTC else 2)
    values: dict[str, Any] = {
        "nearby_first": max(asked.first, date.min + nearby) - nearby if asked.first else None,
        "nearby_last": min(period.last, date.max - nearby) + nearby if period.last else None,
        "first": period.first,
        "last": period.last,
    }
    if period.previous:
        values["days"] = period.days
    if timezone != UTC:
        values["zone"] = timezone
    keys = {f"key_{at}": dimension.key for at, dimension in enumerate(by) if dimension.key is not None}
    return values | keys
