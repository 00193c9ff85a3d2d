"""The SQL behind a report: one row per group and per basis of its cost, of a period and the one before it.

Nothing of what a person wrote becomes part of the SQL: metadata keys, time zones and days are parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Literal

import duckdb

from stored_completions.reports.dimensions import Dimension
from stored_completions.reports.periods import Period

UTC = "UTC"
ROLLUP = "reports.daily_costs"
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
_ESTIMATES = {
    "estimated_cost_usd": "completions.estimated_cost_usd",
    "estimated_part_usd": "case when completions.estimated_usage_basis = 'cached_share_from_bill'"
    " then completions.cost_usd when completions.cost_usd is not null then 0 end",
}
_ANSWERS = {
    "choices": "1",
    "refusals": "case when choices.refusal_sent then cast(coalesce(choices.refusal, '') <> '' as integer) end",
    "refusal_known": "cast(choices.refusal_sent as integer)",
}

_CALLS = {
    "calls": "1",
    "invalid_arguments": "cast(coalesce(not choices.arguments_valid, false) as integer)",
    "unfit_arguments": "cast(coalesce(choices.arguments_valid and not choices.arguments_fit, false) as integer)",
    "judged_arguments": "cast(choices.arguments_fit is not null as integer)",
    "repeated_calls": "cast(choices.arguments is not null and row_number() over (partition by choices.completion_id,"
    " choices.choice_index, choices.name, choices.arguments) > 1 as integer)",
}
_WEIGHED = {
    "choices": "1",
    "tokens": "confidence.tokens",
    "tokens_outside_top": "confidence.tokens_outside_top",
    "known_tokens": "confidence.tokens - confidence.tokens_outside_top",
    "logprobs": "confidence.mean_logprob * (confidence.tokens - confidence.tokens_outside_top)",
    "tokens_with_alternatives": "confidence.tokens_with_alternatives",
    "entropies": "confidence.mean_entropy * confidence.tokens_with_alternatives",
    "unlisted": "confidence.mean_unlisted_probability * confidence.tokens_with_alternatives",
}
_CHILDREN = {"answers": _ANSWERS, "calls": _CALLS, "weighed answers": _WEIGHED}


@dataclass(frozen=True)
class Facts:
    """The rows a report adds up: completions, their answers, tool calls, or answers with logprobs; `sums` are the
    columns to add."""

    sums: tuple[str, ...]
    of: Literal["completions", "answers", "calls", "weighed answers"] = "completions"

    @property
    def has_costs(self) -> bool:
        return "cost_usd" in self.sums


@dataclass(frozen=True)
class Days:
    """The days of a time zone that are asked for, and with them those of the period to compare with."""

    period: Period
    timezone: str = UTC
    previous: Period | None = None

    def local(self, relation: str) -> str:
        if self.timezone == UTC:
            return f"{relation}.created_date"
        return f"cast(timezone($zone, {relation}.created_at) as date)"

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """What there is of: first, last, days (the length), zone, and UTC days that surely enclose them."""
        slack = timedelta(days=0 if self.timezone == UTC else 2)
        values: dict[str, Any] = {}
        if self.period.first:
            earliest = (self.previous or self.period).first or self.period.first
            values["first"] = self.period.first
            values["nearby_first"] = max(earliest, date.min + slack) - slack
        if self.period.last:
            values["last"] = self.period.last
            values["nearby_last"] = min(self.period.last, date.max - slack) + slack
        if self.previous:
            values["days"] = self.period.days
        return values if self.timezone == UTC else values | {"zone": self.timezone}


@dataclass(frozen=True)
class Statement:
    sql: str
    parameters: dict[str, Any]


def grouped(
    facts: Facts,
    by: Sequence[Dimension],
    days: Days,
    *,
    use_rollup: bool,
) -> Statement:
    """One row per value of `by` and, with costs, per basis: first whether it is of the previous period, then
    the values, the columns of BASIS, first and last day, and the sums.

    `use_rollup` says that ROLLUP is there, which has the sums of whole UTC days already.
    Days of the previous period are moved up by its length, so that each stands beside its counterpart.
    """
    names = [f"{_expression(dimension, at)} as value_{at}" for at, dimension in enumerate(by)]
    basis = [f"facts.{name}" for name in BASIS] if facts.has_costs else [f"null as {name}" for name in BASIS]
    sums = [f"sum(facts.{name}) as {name}" for name in facts.sums]
    ends = ["min(facts.day) as first_day", "max(facts.day) as last_day"]
    can_roll_up = (
        days.timezone == UTC and facts.of == "completions" and all(dimension.is_daily for dimension in by)
    )
    rows = _daily(days) if use_rollup and can_roll_up else _completions(facts, by, days)
    keys = {f"key_{at}": dimension.key for at, dimension in enumerate(by) if dimension.key is not None}
    return Statement(
        f"with days as (\n{rows}\n),\nfacts as (\n{_placed(days)}\n)\n"
        f"select {', '.join(['facts.is_previous', *names, *basis, *ends, *sums])}\nfrom facts\ngroup by all",
        days.parameters | keys,
    )


def is_rolled_up(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the warehouse has costs per day as a table, and filled: then it is noted what they were made of."""
    schema, name = f"{ROLLUP}_marks".split(".")
    found = connection.execute(
        "select 1 from duckdb_tables() where database_name = current_database() and schema_name = ? and table_name = ?",
        [schema, name],
    )
    return bool(found.fetchall())


def _daily(days: Days) -> str:
    return f"select daily_costs.* rename (created_date as day) from {_near(ROLLUP, days)} as daily_costs"


def _completions(facts: Facts, by: Sequence[Dimension], days: Days) -> str:
    """A row per completion, or per child. A child carries the date of its completion, so each is pruned alike."""
    values = _CHILDREN.get(facts.of, {"completions": "1", **_TOKENS, **_ESTIMATES})
    added = [name for name in facts.sums if name in values]
    words = {dimension.word for dimension in by}
    own = ["model", "service_tier", "source", "input_user", *(_COSTS if facts.has_costs else ())]
    columns = [
        f"{days.local('completions')} as day",
        *(f"completions.{name}" for name in own),
        *(f"{values[name]} as {name}" for name in added),
    ]
    base = "marts.completion_costs" if facts.has_costs else "chat.completions"
    joins = [f"from {_near(base, days)} as completions"]

    def join(relation: str, alias: str, condition: str = "", kind: str = "left join") -> None:
        joins.append(
            f"{kind} {_near(relation, days)} as {alias} on {alias}.completion_id = completions.completion_id{condition}"
        )

    if any("usage." in values[name] for name in added):
        join("chat.usage", "usage")
    if facts.of == "answers":
        join("chat.choices", "choices", kind="join")
    elif facts.of == "calls":
        join("marts.tool_calls_wide", "choices", kind="join")
        columns.append("choices.name as tool_name")
    elif facts.of == "weighed answers":
        join("marts.choice_confidence", "confidence", kind="join")
    if "finish-reason" in words and facts.of == "completions":
        join("chat.choices", "choices", " and choices.choice_index = 0")
    elif "finish-reason" in words and facts.of == "weighed answers":
        join("chat.choices", "choices", " and choices.choice_index = confidence.choice_index")
    if "finish-reason" in words:
        columns.append("choices.finish_reason")
    for at, dimension in enumerate(by):
        if dimension.key is not None:
            join("chat.metadata", f"metadata_{at}", f" and metadata_{at}.key = $key_{at}")
            columns.append(f"metadata_{at}.value as metadata_{at}")
    return "\n".join([f"select {', '.join(columns)}", *joins])


def _near(relation: str, days: Days) -> str:
    """The relation without what is on no day near those that are asked for, whatever the time zone."""
    conditions = []
    if "nearby_first" in days.parameters:
        conditions.append("created_date >= $nearby_first")
    if "nearby_last" in days.parameters:
        conditions.append("created_date <= $nearby_last")
    return f"(select * from {relation} where {' and '.join(conditions)})" if conditions else relation


def _placed(days: Days) -> str:
    conditions = []
    if "first" in days.parameters:
        conditions.append(f"days.day >= $first{' - $days' if days.previous else ''}")
    if "last" in days.parameters:
        conditions.append("days.day <= $last")
    inside = f" where {' and '.join(conditions)}" if conditions else ""
    if days.previous is None:
        return f"select days.*, false as is_previous from days{inside}"
    return (
        "select days.* replace (case when days.day < $first then days.day + $days else days.day end as day),"
        f" days.day < $first as is_previous from days{inside}"
    )


def _expression(dimension: Dimension, at: int) -> str:
    return f"facts.metadata_{at}" if dimension.key is not None else dimension.expression
