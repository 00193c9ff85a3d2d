"""`sync --billing`: the organization's usage and costs as they were sent, exactly once, beside the completions."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from console import run
from stored_completions.billing.line_items import LineItem, parsed
from stored_completions.billing.pages import read_page
from stored_completions.billing.reports import COSTS, USAGE, dollars
from stored_completions.errors import AccessError, ServiceError, UsageError
from stored_completions.sandbox import Account, Fault, Sandbox
from stored_completions.stop import Stop
from synced import NAME, NOW, assert_exact, assert_sound, environment, files, one, rows, serving, synced

ADMIN = {"billing": True, "admin_key": "sk-admin-0123456789"}
SETTLED = NOW + 5 * 86_400
SIZE = 100
USAGE_PATH, COSTS_PATH = "/v1/organization/usage/completions", "/v1/organization/costs"


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Path]]:
    """One account whose bill was read, with two faults on the way that pass."""
    folder = tmp_path_factory.mktemp("billed")
    with serving(Account.generate(SIZE), now=SETTLED) as sandbox:
        passing = [Fault.rate_limited(retry_after_ms=1).on(USAGE_PATH), Fault.cut().on(COSTS_PATH)]
        sandbox.faults.extend(passing)
        report = synced(sandbox, folder, **ADMIN)
        assert (report.retries, report.requests) == (2, len(sandbox.requests))
        yield sandbox, folder


def asked(sandbox: Sandbox) -> list[tuple[str, dict[str, str]]]:
    return [(path, query) for _, path, query in sandbox.requests if "/organization/" in path]


def test_every_row_of_the_bill_is_there_to_the_last_digit(billed: tuple[Sandbox, Path]) -> None:
    sandbox, folder = billed
    used: dict[Any, int] = defaultdict(int)
    for usage in sandbox.bill.usage:
        used[usage.day, *usage.group.values()] += usage.counters["input_tokens"]
    columns = "usage_date, project_id, api_key_id, model, batch, service_tier, input_tokens"
    assert {row[:6]: row[6] for row in rows(folder, f"select {columns} from chat.organization_usage")} == used
    charged: dict[Any, Decimal] = defaultdict(Decimal)
    for cost in sandbox.bill.costs:
        charged[cost.day, *cost.group.values()] += cost.amount
    columns = "cost_date, project_id, api_key_id, line_item, amount_usd, amount"
    found = rows(folder, f"select {columns} from chat.organization_costs")
    assert {row[:4]: row[4] for row in found} == charged
    assert all(Decimal(row[5]) == row[4] for row in found)
    assert_exact(folder, sandbox.account)


def test_the_words_of_the_bill_are_taken_apart(billed: tuple[Sandbox, Path]) -> None:
    _, folder = billed
    tiers = rows(folder, "select distinct service_tier, price_tier from chat.organization_usage order by all")
    assert ("incentivized-tier", "incentivized") in tiers
    assert ("default", "standard") in tiers
    assert rows(
        folder,
        "select distinct model, billed_model from chat.organization_usage where model like 'ft:%'",
    ) == [("ft:gpt-4o-mini-2024-07-18:halmstroem-vey:support:Bq7TzK2d", "ft-gpt-4o-mini-2024-07-18")]
    assert rows(
        folder,
        "select distinct line_item, kind from chat.organization_costs where billed_model is null order by all",
    ) == [("gpt-image-1 high 1024x1024", None), ("web search tool calls", "tool")]
    assert one(folder, "select count(*) from chat.organization_costs where amount = '0E-6176'") > 0


def test_array_parameters_are_sent_repeated(billed: tuple[Sandbox, Path]) -> None:
    """All groups came back apart, although the sandbox knows only the repeated form."""
    _, folder = billed
    groups = "project_id is not null and api_key_id is not null and model is not null and batch is not null"
    assert one(folder, f"select bool_and({groups}) from chat.organization_usage")


def test_what_settled_is_not_asked_for_again_and_nothing_new_writes_nothing(
    billed: tuple[Sandbox, Path],
) -> None:
    sandbox, folder = billed
    before = files(folder).published.stat()
    already = len(asked(sandbox))
    report = synced(sandbox, folder, **ADMIN)
    assert report.billing is not None
    last = date.fromisoformat(report.billing.last_date or "")
    assert (report.outcome, report.billing.outcome, report.billing.rows_changed) == ("nothing_new",) * 2 + (
        0,
    )
    assert report.billing.first_date == (last - timedelta(days=3)).isoformat()
    assert [path for path, _ in asked(sandbox)[already:]] == [USAGE_PATH, COSTS_PATH]
    assert files(folder).published.stat() == before
    assert report.sentences()[1] == f"The bill of {report.billing.first_date} to {last} (UTC): nothing new."


def test_figures_that_come_late_replace_the_earlier_ones(tmp_path: Path) -> None:
    """And an earlier first day is read from there."""
    total = "select sum(amount_usd) from chat.organization_costs"
    with serving(Account.generate(20), now=NOW) as sandbox:
        synced(sandbox, tmp_path, **ADMIN)
        early = one(tmp_path, total)
        sandbox.clock.set(SETTLED)
        report = synced(sandbox, tmp_path, **ADMIN, billing_since="2026-09-01")
        assert report.billing is not None
        assert (report.billing.outcome, report.billing.first_date) == ("done", "2026-09-01")
        assert early < one(tmp_path, total) == sum((cost.amount for cost in sandbox.bill.costs), Decimal(0))
    assert_sound(tmp_path)


def test_a_run_that_changed_only_the_bill_stands_in_sync_runs(tmp_path: Path) -> None:
    with serving(Account.generate(20), now=SETTLED) as sandbox:
        synced(sandbox, tmp_path)
        synced(sandbox, tmp_path)
        report = synced(sandbox, tmp_path, **ADMIN)
        assert (report.outcome, report.published) == ("nothing_new", True)
        outcomes = "select outcome from chat.sync_runs order by started_at"
        assert rows(tmp_path, outcomes) == [("done",), ("nothing_new",), ("nothing_new",)]
        assert synced(sandbox, tmp_path, **ADMIN).published is False


def test_a_key_that_may_not_read_the_bill_stops_no_completion(tmp_path: Path) -> None:
    with serving(Account.generate(20)) as sandbox:
        with pytest.raises(AccessError, match=r"admin key.*OPENAI_ADMIN_KEY.*api\.usage\.read") as refused:
            synced(sandbox, tmp_path, billing=True, admin_key="sk-ordinary-0123456789")
        assert (refused.value.exit_code, "sk-ordinary" in str(refused.value)) == (2, False)
        assert_exact(tmp_path, sandbox.account)
        assert rows(tmp_path, "select outcome from chat.sync_runs") == [("done",)]
        assert one(tmp_path, "select count(*) from chat.organization_bills") == 0


def test_the_ordinary_key_is_never_used_for_the_bill(tmp_path: Path) -> None:
    """And without an admin key nothing is sent at all."""
    with serving(Account.generate(5), api_key="sk-admin-everything") as sandbox:
        done = run("sync", "--billing", at=tmp_path, url=sandbox.base_url)
        assert (done.code, done.out, sandbox.requests) == (2, "", [])
        assert "--billing needs an admin key: set OPENAI_ADMIN_KEY" in done.err
        assert list(tmp_path.iterdir()) == []


def test_the_command_says_it_for_machines(tmp_path: Path) -> None:
    with serving(Account.generate(20), now=None) as sandbox:
        env = {"OPENAI_ADMIN_KEY": "sk-admin-0123456789"}
        done = run("sync", "--billing", "--json", at=tmp_path, url=sandbox.base_url, env=env)
        assert (done.code, done.err) == (0, "")
        said = json.loads(done.out)
        assert said["billing"]["outcome"] == "done"
        assert said["requests"] == len(sandbox.requests)


def test_an_ignored_grouping_is_found_out(tmp_path: Path) -> None:
    with serving(Account.generate(20), now=SETTLED, grouping="last") as sandbox:
        with pytest.raises(ServiceError, match="are not grouped by project_id although that was asked for"):
            synced(sandbox, tmp_path, **ADMIN)
        assert one(tmp_path, "select count(*) from chat.organization_usage") == 0
        assert_exact(tmp_path, sandbox.account)


def test_a_failure_on_the_way_keeps_the_slices_before(tmp_path: Path) -> None:
    """45 days are two slices; each is there whole or not at all, and the next sync goes on behind it."""
    with serving(Account.generate(SIZE), now=SETTLED) as sandbox:
        through = [Fault.none().on(COSTS_PATH), *[Fault.status(400).on(COSTS_PATH)]]
        sandbox.faults.extend(through)
        with pytest.raises(ServiceError):
            synced(sandbox, tmp_path, **ADMIN)
        first, last = rows(tmp_path, "select first_date, last_date from chat.organization_bills")[0]
        assert last - first == timedelta(days=30)
        reached = "select max(usage_date) <= any_value(last_date) from chat.organization_usage, chat.organization_bills"
        assert one(tmp_path, reached)
        report = synced(sandbox, tmp_path, **ADMIN)
        assert report.billing is not None
        assert report.billing.first_date == (last - timedelta(days=3)).isoformat()
        total = sum((cost.amount for cost in sandbox.bill.costs), Decimal(0))
        assert one(tmp_path, "select sum(amount_usd) from chat.organization_costs") == total


def test_a_wish_to_stop_ends_between_two_slices(tmp_path: Path) -> None:
    stop = Stop()
    with serving(Account.generate(SIZE), now=SETTLED) as sandbox:

        class Stopping:
            def page(self, pages: int, rows: int, newest: int | None) -> None:
                if asked(sandbox):
                    stop._event.set()

            def say(self, sentence: str) -> None: ...

        with pytest.raises(Exception, match="Stopped by SIGTERM"):
            synced(sandbox, tmp_path, **ADMIN, stop=stop, watcher=Stopping())
        assert rows(tmp_path, "select last_date - first_date from chat.organization_bills") == [(30,)]


def test_one_organization_is_read_with_one_source(tmp_path: Path) -> None:
    with serving(Account.generate(5), now=SETTLED) as sandbox:
        synced(sandbox, tmp_path, **ADMIN)
        report = synced(sandbox, tmp_path, **ADMIN, source="other")
        assert report.billing is not None
        assert report.billing.outcome == "elsewhere"
        assert "is read with source 'default' already" in report.sentences()[-2]
        assert rows(tmp_path, "select distinct source from chat.organization_costs") == [("default",)]


def test_servers_without_a_bill(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which Azure has not"):
        synced_to("https://example.openai.azure.com/openai/v1", tmp_path)
    with serving(Account.generate(5)) as sandbox:
        sandbox.faults.extend([Fault.status(404).on("/organization")])
        with pytest.raises(ServiceError, match="has no bill to read"):
            synced(sandbox, tmp_path, **ADMIN)
        sandbox.faults.extend([Fault.not_a_list().on("/organization")])
        with pytest.raises(ServiceError, match="no page of a bill"):
            synced(sandbox, tmp_path, **ADMIN)


def synced_to(base_url: str, folder: Path) -> None:
    from stored_completions.config import settings

    settings({"api_key": "key", "base_url": base_url, **ADMIN}, {}, folder)


@pytest.mark.parametrize(
    ("text", "item"),
    [
        (
            "gpt-4o-mini-2024-07-18, cached input",
            LineItem("gpt-4o-mini-2024-07-18", "cached input", None, False),
        ),
        ("gpt-5-2025-08-07, cache writes", LineItem("gpt-5-2025-08-07", "cache writes", None, False)),
        (
            "priority | gpt-4.1-2025-04-14, output",
            LineItem("gpt-4.1-2025-04-14", "output", "priority", False),
        ),
        ("evals | o3-mini-2025-01-31, input", LineItem("o3-mini-2025-01-31", "input", "evals", False)),
        ("gpt-5.6-luna, output, long context", LineItem("gpt-5.6-luna", "output", None, True)),
        ("ft-gpt-4o-2024-08-06, input", LineItem("ft-gpt-4o-2024-08-06", "input", None, False)),
        ("web search tool calls", LineItem(None, "tool", None, False)),
        ("gpt-image-1 high 1024x1024", LineItem()),
        ("gpt-4o, training", LineItem()),
        ("", LineItem()),
        (None, LineItem()),
    ],
)
def test_line_items(text: str | None, item: LineItem) -> None:
    assert parsed(text) == item


@pytest.mark.parametrize(
    ("sent", "amount"),
    [
        ('"0E-6176"', "0"),
        ('"0.123456789012345678901234567890"', "0.123456789012345678901234567890"),
        ("0.123456789012345678901234567890", "0.123456789012345678901234567890"),
        ("12", "12"),
        ("1.5e-7", "0.00000015"),
        ('"0.0000000000000000000000000000005"', "0"),
        ('"-3.25"', "-3.25"),
        ('"NaN"', None),
        ("true", None),
        ("null", None),
        ("100000000", None),
    ],
)
def test_amounts_keep_every_digit(sent: str, amount: str | None) -> None:
    page = read_page(
        b'{"data":[{"start_time":86400,"results":[{"amount":{"value":%b,"currency":"usd"}}]}]}'
        % sent.encode()
    )
    (result,) = page.days[date(1970, 1, 2)]
    found = dollars(result["amount"]["value"])
    assert found == (None if amount is None else Decimal(amount))


def test_what_does_not_fit_stands_in_extra_and_equal_groups_are_added() -> None:
    results = [
        {
            "model": "m",
            "project_id": "p",
            "batch": False,
            "input_tokens": 5,
            "new": [1],
            "num_model_requests": 2**70,
        },
        {"model": "m", "project_id": "p", "batch": False, "input_tokens": 7, "num_model_requests": 1},
    ]
    (row,) = USAGE.rows("default", date(2026, 1, 1), results)
    assert (row["input_tokens"], row["num_model_requests"]) == (12, 1)
    assert json.loads(row["extra"]) == {"new": [1], "num_model_requests": 2**70}
    costs = [{"line_item": "x", "amount": {"value": value, "currency": "eur"}} for value in ("1.10", "2.25")]
    (cost,) = COSTS.rows("default", date(2026, 1, 1), costs)
    assert (cost["amount_usd"], cost["amount"], cost["currency"]) == (None, "3.35", "eur")


def test_a_sync_that_is_killed_while_it_reads_the_bill(tmp_path: Path) -> None:
    """The completions are there before; each kill falls on the remains of the one before."""
    with serving(Account.generate(5), now=SETTLED) as sandbox:
        synced(sandbox, tmp_path)
        env = environment(sandbox, tmp_path) | {
            "OPENAI_ADMIN_KEY": ADMIN["admin_key"],
            "SOURCES__STORED_COMPLETIONS__BILLING": "true",
        }
        dying = str(Path(__file__).with_name("dying.py"))
        for step in (8, 14):
            command = [sys.executable, dying, str(step), str(tmp_path / NAME), "20"]
            killed = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False)
            assert killed.returncode == -9, killed.stderr.decode()
        synced(sandbox, tmp_path, **ADMIN)
        total = sum((cost.amount for cost in sandbox.bill.costs), Decimal(0))
        assert one(tmp_path, "select sum(amount_usd) from chat.organization_costs") == total
        assert_exact(tmp_path, sandbox.account)
