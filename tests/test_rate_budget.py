"""The rate budget: what one request is told, all obey; and the rate settles near what the server bears."""

from dataclasses import dataclass, field

import pytest

from stored_completions.errors import UsageError
from stored_completions.rate_budget import RateBudget


@dataclass
class Clock:
    """Time that passes only when somebody waits."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@dataclass
class Server:
    """Bears `rate` requests a second, and refuses what is above with a wait of `asks` seconds."""

    rate: float
    asks: float
    tokens: float = 1.0
    at: float = 1000.0
    refused: int = 0
    served: int = 0

    def bears(self, now: float) -> bool:
        self.tokens = min(self.tokens + (now - self.at) * self.rate, 2.0)
        self.at = now
        is_served = self.tokens >= 1
        self.tokens -= is_served
        self.served += is_served
        self.refused += not is_served
        return is_served


def test_nobody_waits_until_somebody_is_refused() -> None:
    clock = Clock()
    budget = RateBudget(clock=clock)
    assert [budget.take(clock.sleep) for _ in range(100)] == [1000.0] * 100
    assert (budget.rate, clock.waits) == (None, [])


def test_what_one_is_told_holds_back_all() -> None:
    clock = Clock()
    budget = RateBudget(clock=clock)
    sent = [budget.take(clock.sleep) for _ in range(8)]
    budget.refused(2.5, sent[0])
    assert budget.take(clock.sleep) == 1002.5
    assert clock.waits == [2.5]


def test_a_longer_wish_that_comes_meanwhile_counts_too() -> None:
    clock = Clock()
    budget = RateBudget(clock=clock)
    sent = budget.take(clock.sleep)

    def sleep(seconds: float) -> None:
        if not clock.waits:
            budget.refused(9.0, sent)
        clock.sleep(seconds)

    budget.refused(1.0, sent)
    assert budget.take(sleep) == 1009.0


def test_refusals_of_one_burst_halve_the_rate_once() -> None:
    clock = Clock()
    budget = RateBudget(clock=clock)
    sent = []
    for _ in range(8):
        sent.append(budget.take(clock.sleep))
        clock.now += 0.125
    for at in sent:
        budget.refused(0.0, at)
    assert budget.rate == 4.0
    clock.now += 1
    budget.refused(0.0, budget.take(clock.sleep))
    assert (budget.rate or 4.0) < 4.0


@pytest.mark.parametrize(("rate", "asks"), [(5.0, 0.0), (5.0, 1.0), (80.0, 0.2)])
def test_the_rate_settles_near_what_the_server_bears(rate: float, asks: float) -> None:
    clock = Clock()
    budget = RateBudget(clock=clock)
    server = Server(rate, asks)
    while clock.now < 1300.0:
        sent_at = budget.take(clock.sleep)
        if not server.bears(clock.now):
            budget.refused(server.asks, sent_at)
        clock.now += 0.002
    assert server.served >= 0.7 * rate * 300
    assert server.refused <= 0.02 * server.served + 10


def test_a_rate_of_ones_own_is_never_exceeded() -> None:
    clock = Clock()
    budget = RateBudget(4.0, clock)
    sent = [budget.take(clock.sleep) for _ in range(9)]
    assert sent[-1] == pytest.approx(1002.0)
    budget.refused(0.0, sent[-1])
    for _ in range(2000):
        budget.take(clock.sleep)
    assert budget.rate == 4.0


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="above 0"):
        RateBudget(0)
