"""What the invented company is billed for: usage and costs by day, and what was planted in them.

Beside what is stored stand requests that were not, batch jobs, a tier the stored row does not show, a
negotiated discount, prompts read from a cache, a cost dated a day before its usage, figures that come
late, and lines of other products. Each planted amount is kept by its cause: a reconciliation is right
when it finds them again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zlib import crc32

from .rates import Amounts, RateCard, Used

PROJECT = "proj_halmstroem"
LAB = "proj_laboratory"
CAUSES = (
    "not_stored",
    "cached_share",
    "tier",
    "batch",
    "unpriced",
    "discount",
    "day_shift",
)

_DAY = timedelta(days=1)
_NOTHING = Decimal(0)
_UNSTORED = {"gpt-4o-mini-2024-07-18": Decimal("0.5"), "gpt-4o-2024-08-06": Decimal("0.25")}
_DISCOUNTED = {"gpt-4o-2024-08-06": Decimal("0.9")}
_BATCHED = "gpt-4.1-2025-04-14"
_PRIORITIZED = "gpt-5-2025-08-07"
_SHARED = "gpt-5-mini-2025-08-07"
_SHIFTED = "o3-mini-2025-01-31"
_NEVER_STORED = "gpt-4.1-nano-2025-04-14"
_CACHED = {"o3-mini-2025-01-31": "0.2", "gpt-5-2025-08-07": "0.3"}
_COST_DELAY = 36 * 3600
_USAGE_DELAY = 300
_OTHER_LINES = (
    ("gpt-image-1 high 1024x1024", Decimal("0.0084"), "images"),
    ("web search tool calls", Decimal("0.005"), "calls"),
    ("text-embedding-3-small, input", Decimal("0.0021"), "tokens"),
)


@dataclass(frozen=True)
class Planted:
    """An amount that the bill differs by from what the stored rows cost by the list."""

    cause: str
    day: date
    project: str
    model: str
    amount: Decimal


@dataclass(frozen=True)
class Usage:
    """Counters of some requests of one group on one day, to be seen from `visible_at` (unix seconds) on."""

    day: date
    group: Mapping[str, Any]
    counters: Mapping[str, int]
    visible_at: float


@dataclass(frozen=True)
class Cost:
    """An amount of one line of the bill on one day."""

    day: date
    group: Mapping[str, Any]
    amount: Decimal
    quantity: int
    unit: str
    visible_at: float


@dataclass
class Bill:
    """The organization's usage and costs, and what was planted in them."""

    usage: list[Usage] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)


@dataclass(frozen=True)
class _Request:
    """One stored request, or several that were not, as they are billed.

    `tier` is the tier as usage names it, `stored_tier` as the completion does; `tells` says whether the
    completion carries its cached tokens.
    """

    day: date
    model: str
    used: Used
    stored_tier: str | None
    tier: str
    batch: bool = False
    tells: bool = False


def bill(completions: Iterable[Mapping[str, Any]]) -> Bill:
    """The bill of an account with these completions; the same for the same ones."""
    card = RateCard()
    stored = [request for each in completions if (request := _stored(each, card))]
    writer = _Writer(card, min((request.day for request in stored), default=None))
    for request in stored:
        writer.stored(request)
    for request in _unstored(stored):
        writer.unstored(request, PROJECT)
    for day in sorted({request.day for request in stored}):
        writer.unstored(
            _Request(day, _NEVER_STORED, Used(40, 52_000, 9_000, 7_000), None, "default"), PROJECT
        )
        writer.unstored(
            _Request(day, "gpt-4o-mini-2024-07-18", Used(25, 30_000, 0, 4_000), None, "default"), LAB
        )
        writer.others(day)
    return writer.bill


def _stored(completion: Mapping[str, Any], card: RateCard) -> _Request | None:
    usage, model, created = (completion.get(name) for name in ("usage", "model", "created"))
    if not isinstance(usage, dict) or not isinstance(model, str) or not isinstance(created, int):
        return None
    day = datetime.fromtimestamp(created, UTC).date()
    tier = completion.get("service_tier")
    dice = crc32(str(completion.get("id")).encode())
    details = usage.get("prompt_tokens_details")
    prompt = usage["prompt_tokens"]
    cached = details["cached_tokens"] if details else int(prompt * _cached_share(model, day, card))
    spoken = (usage.get("completion_tokens_details") or {}).get("audio_tokens", 0)
    used = Used(1, prompt, cached, usage["completion_tokens"], spoken)
    request = _Request(day, model, used, tier, _billed_tier(model, tier, day, card), tells=bool(details))
    if request.tier == "default" and model == _BATCHED and dice % 4 == 0:
        return replace(request, batch=True)
    if request.tier == "default" and model == _SHARED and dice % 3 == 0:
        return replace(request, tier="incentivized-tier")
    return request


def _cached_share(model: str, day: date, card: RateCard) -> Decimal:
    """The part of a prompt that came from the cache: of a model and day the same for every request."""
    if not card.has_cached(model, day):
        return _NOTHING
    return Decimal(_CACHED.get(model, "0.4")) + Decimal(day.toordinal() % 7) / 100


def _billed_tier(model: str, tier: str | None, day: date, card: RateCard) -> str:
    """A tier that the model is not offered in is served, and billed, as default; a tier that the stored row
    does not name can be another one."""
    if tier is None and model == _PRIORITIZED:
        return "priority"
    word = tier or "default"
    if word != "default" and not card.has(model, word, day):
        return "default"
    return f"{word}-tier" if word == "flex" else word


def _unstored(stored: Iterable[_Request]) -> Iterator[_Request]:
    """More of the same, of some models: so much of each day's usage was made without store."""
    groups: dict[tuple[Any, ...], Used] = defaultdict(Used)
    for request in stored:
        if request.model in _UNSTORED:
            groups[request.day, request.model, request.tier, request.batch] += request.used
    for (day, model, tier, batch), used in groups.items():
        yield _Request(day, model, used.scaled(_UNSTORED[model]), None, tier, batch)


class _Writer:
    """Writes requests into the bill, and notes what the difference to the list is made of."""

    def __init__(self, card: RateCard, first: date | None) -> None:
        self.bill = Bill()
        self._first = first
        self._card = card

    def stored(self, request: _Request) -> None:
        listed, as_billed = self._listed(request), self._steps(request)
        plain, tiered, batched, detailed = as_billed
        discounted = detailed * _DISCOUNTED.get(request.model, Decimal(1))
        self._plant("unpriced", request, tiered if listed is None else _NOTHING)
        self._plant("tier", request, _NOTHING if listed is None else tiered - plain)
        self._plant("batch", request, batched - tiered)
        self._plant(
            "cached_share",
            request,
            detailed - batched + (_NOTHING if listed is None else plain - listed),
        )
        self._plant("discount", request, discounted - detailed)
        self._write(request, PROJECT, self._cost_day(request, discounted))

    def unstored(self, request: _Request, project: str) -> None:
        detailed = self._steps(request)[3] * _DISCOUNTED.get(request.model, Decimal(1))
        self._plant("not_stored", request, detailed, project)
        self._write(request, project, request.day)

    def others(self, day: date) -> None:
        """Lines that are no completions, some of which nobody understands."""
        for line, amount, unit in _OTHER_LINES:
            group = {"project_id": PROJECT, "api_key_id": "key_shop", "line_item": line}
            self.bill.costs.append(Cost(day, group, amount, 1, unit, _at(day) + _COST_DELAY))

    def _listed(self, request: _Request) -> Decimal | None:
        """What the stored row costs by the list, as far as it tells; None where it has no price."""
        tier = request.stored_tier or "default"
        used = request.used if request.tells else replace(request.used, cached=0)
        amounts = self._card.amounts(request.model, tier, request.day, used)
        return None if amounts is None else sum(amounts.values(), _NOTHING)

    def _steps(self, request: _Request) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """The list's cost at the stored row's tier, at the tier billed, in a batch if it was one (all three
        without cached prompts), and with them."""
        whole = replace(request.used, cached=0)

        def cost(tier: str, used: Used) -> Decimal:
            amounts = self._card.amounts(request.model, tier, request.day, used)
            return sum((amounts or {}).values(), _NOTHING)

        tiered = cost(request.tier, whole)
        plain = cost(request.stored_tier or "default", whole) or tiered
        last = "batch" if request.batch else request.tier
        return plain, tiered, cost(last, whole), cost(last, request.used)

    def _cost_day(self, request: _Request, amount: Decimal) -> date:
        """Now and then a cost is dated the day before its usage."""
        if request.model != _SHIFTED or request.day.toordinal() % 11 or request.day == self._first:
            return request.day
        before = request.day - _DAY
        self._plant("day_shift", replace(request, day=before), amount)
        self._plant("day_shift", request, -amount)
        return before

    def _plant(self, cause: str, request: _Request, amount: Decimal, project: str = PROJECT) -> None:
        if amount:
            self.bill.planted.append(Planted(cause, request.day, project, request.model, amount))

    def _write(self, request: _Request, project: str, cost_day: date) -> None:
        key = "key_lab" if project == LAB else "key_batch" if request.batch else "key_shop"
        who = {"project_id": project, "api_key_id": key}
        group = who | {"model": request.model, "batch": request.batch, "service_tier": request.tier}
        is_late = crc32(f"{request.day} {request.used}".encode()) % 20 == 0
        seen_at = _at(request.day) + (_COST_DELAY if is_late else _USAGE_DELAY)
        self.bill.usage.append(Usage(request.day, group, request.used.counters(), seen_at))
        tier = "batch" if request.batch else request.tier
        amounts = self._card.amounts(request.model, tier, request.day, request.used)
        for (kind, quantity), amount in zip(
            request.used.kinds(), _in_order(request.used, amounts), strict=True
        ):
            if kind == "requests" and not amount:
                continue
            cost = amount * _DISCOUNTED.get(request.model, Decimal(1))
            line = _line_item(request, kind)
            self.bill.costs.append(
                Cost(
                    cost_day, who | {"line_item": line}, cost, quantity, "tokens", _at(cost_day) + _COST_DELAY
                )
            )


def _in_order(used: Used, amounts: Amounts | None) -> list[Decimal]:
    return [(amounts or {}).get(kind, _NOTHING) for kind, _ in used.kinds()]


def _line_item(request: _Request, kind: str) -> str:
    name = f"ft-{request.model.split(':')[1]}" if request.model.startswith("ft:") else request.model
    word = "batch" if request.batch else request.tier.removesuffix("-tier")
    before = "" if word in ("default", "incentivized") else f"{word} | "
    return f"{before}{name}, {kind}"


def _at(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
