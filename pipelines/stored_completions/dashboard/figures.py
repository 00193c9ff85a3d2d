"""The headline figures: what the period came to, what that rests on, and what it was before."""

from dataclasses import dataclass
from typing import Any

from stored_completions.dashboard import basis, shown
from stored_completions.reports.reconcile_notes import share

_PARTS = ",\n    ".join(
    f"sum(page_usage.cost_usd) filter ({basis.sql('page_usage')} = '{word}') as {word}"
    for word in basis.PHRASES
)
SQL = f"""
select
    page_usage.is_current,
    sum(page_usage.completions) as completions,
    sum(page_usage.cost_usd) as cost_usd,
    sum(page_usage.estimated_cost_usd) as estimated_cost_usd,
    sum(page_usage.estimated_part_usd) as estimated_part_usd,
    {_PARTS},
    sum(page_usage.completions) filter (page_usage.unpriced_reason is not null) as unpriced,
    sum(page_usage.prompt_tokens) as prompt_tokens,
    sum(page_usage.completion_tokens) as completion_tokens
from page_usage
group by page_usage.is_current
"""


@dataclass(frozen=True)
class Figure:
    """A card: `value` is exact, `change` against the previous period, `details` one line each."""

    label: str
    text: str
    value: str | None
    change: str | None
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Totals:
    """Sums of the period and of the one before, by column of SQL; `before` is None if nothing was there."""

    now: dict[str, Any]
    before: dict[str, Any] | None

    def change(self, name: str) -> str | None:
        """Against the period before; None where there is nothing to compare with."""
        if self.before is None or self.now[name] is None or not self.before[name]:
            return None
        return shown.change(float(self.now[name]) / float(self.before[name]) - 1)


def totals(rows: list[dict[str, Any]]) -> Totals | None:
    """From the rows of `SQL`; None if the period has no completions."""
    by_period = {row["is_current"]: row for row in rows}
    return Totals(by_period[True], by_period.get(False)) if True in by_period else None


def figures(totals: Totals, coverage: tuple[int, int] | None) -> list[Figure]:
    """The cards; `coverage` is completions stored and requests billed, None where no bill was read."""
    now = totals.now
    priced = now["completions"] - (now["unpriced"] or 0)
    average = now["cost_usd"] / priced if priced else None
    return [
        _figure(totals, "Spend", "cost_usd", shown.usd(now["cost_usd"]), _rests_on(now, coverage)),
        _figure(totals, "Completions", "completions", shown.short_count(now["completions"]), _unpriced(now)),
        _figure(totals, "Input tokens", "prompt_tokens", shown.short_count(now["prompt_tokens"])),
        _figure(totals, "Output tokens", "completion_tokens", shown.short_count(now["completion_tokens"])),
        Figure("Average cost", shown.usd(average), None, None, ("a completion that has a price",)),
    ]


def _figure(totals: Totals, label: str, name: str, text: str, details: tuple[str, ...] = ()) -> Figure:
    value = totals.now[name]
    return Figure(label, text, shown.exact(value), totals.change(name), details)


def _rests_on(now: dict[str, Any], coverage: tuple[int, int] | None) -> tuple[str, ...]:
    """How much of the spend is exact and how much is not, largest part first as listed."""
    known = [(said, now[name]) for name, said in basis.PHRASES.items() if now[name]]
    said = [f"{shown.share(shown.part(value, now['cost_usd']))} {said}" for said, value in known]
    if now["estimated_part_usd"]:
        estimated = shown.usd(now["estimated_cost_usd"], now["cost_usd"])
        said.append(f"an estimated {estimated} with the cached share of the bill")
    return (*said, _covered(coverage))


def _covered(coverage: tuple[int, int] | None) -> str:
    if coverage is None:
        return "coverage unknown: no bill was read"
    stored, billed = coverage
    return share(stored, billed) if billed else "coverage unknown: the bill names no requests on these days"


def _unpriced(now: dict[str, Any]) -> tuple[str, ...]:
    if not now["unpriced"]:
        return ("all of them have a price",)
    share = shown.share(shown.part(now["unpriced"], now["completions"]))
    return (f"{shown.count(now['unpriced'])} ({share}) without a price, in no sum",)
