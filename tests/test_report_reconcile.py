"""`report reconcile`: the steps from what is stored to the bill, in every format, and what is said beside them."""

import csv
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from console import Done, run
from stored_completions import query
from stored_completions.dashboard.page import page
from stored_completions.dashboard.scope import Scope
from stored_completions.errors import UsageError
from stored_completions.reports import reconcile
from stored_completions.reports.formats import text
from stored_completions.reports.periods import Period
from stored_completions.sandbox import Account, Sandbox
from stored_completions.sandbox.bill import PROJECT
from synced import NAME, NOW, one, rows, serving, synced

BILL = {"billing": True, "admin_key": "sk-admin-0123456789"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with a bill of which all is settled."""
    folder = tmp_path_factory.mktemp("billed")
    with serving(Account.generate(200), now=NOW + 5 * 86_400) as sandbox:
        synced(sandbox, folder, **BILL, billing_project=PROJECT)
    return folder


def report(folder: Path, *arguments: str) -> Done:
    return run("report", "reconcile", *arguments, at=folder)


def written(folder: Path, kind: str, *by: str) -> str:
    """The answer as the command writes it."""
    with query.reading(folder / NAME) as connection:
        return text(reconcile.ask(connection, reconcile.words(by), Period()), kind)


def test_the_steps_lead_to_the_bill_exactly(folder: Path) -> None:
    done = report(folder, "--format", "json")
    assert (done.code, done.err) == (0, "")
    said = json.loads(done.out)
    *steps, total = [*said["rows"], said["total"]]
    assert sum(Decimal(step["usd"]) for step in steps) == Decimal(total["usd"])
    assert Decimal(total["usd"]) == one(folder, "select sum(amount_usd) from chat.organization_costs")
    stored = one(folder, "select sum(cost_usd) from marts.completion_costs")
    assert (steps[0]["step"], Decimal(steps[0]["usd"])) == (reconcile.STORED, stored)
    assert said["lines_not_understood"][0]["line_item"] == "gpt-image-1 high 1024x1024"
    assert 0 < said["coverage"] < 1


@pytest.mark.parametrize("by", ["day", "week", "month", "project", "model", "project,model"])
def test_every_group_leads_to_its_part_of_the_bill(folder: Path, by: str) -> None:
    *groups, total = csv.DictReader(written(folder, "csv", by).splitlines())
    steps = ("stored_usd", *reconcile.CAUSES, "not_compared_usd")
    for row in (*groups, total):
        assert sum(Decimal(row[name] or 0) for name in steps) == Decimal(row["billed_usd"]), row
    for name in ("billed_requests", "stored_completions", "billed_usd"):
        assert sum(Decimal(row[name]) for row in groups) == Decimal(total[name])


def test_top_folds_the_rest_and_loses_nothing(folder: Path) -> None:
    done = report(folder, "--by", "model", "--top", "2", "--format", "csv")
    kinds = [row["row"] for row in csv.DictReader(done.out.splitlines())]
    assert kinds == ["group", "group", "others", "total"]
    assert done.out.splitlines()[-1] == written(folder, "csv", "model").splitlines()[-1]


def test_a_period_is_of_utc_days_and_both_ends_are_in(folder: Path) -> None:
    done = report(folder, "--since", "2026-11-09", "--until", "2026-11-10", "--by", "day", "--format", "json")
    assert [row["day"] for row in json.loads(done.out)["rows"]] == ["2026-11-09", "2026-11-10"]
    nothing = report(folder, "--since", "2020-01-01", "--until", "2020-01-02")
    assert (nothing.code, nothing.out) == (
        0,
        "The bill has nothing in this period (2020-01-01 to 2020-01-02).\n",
    )


def test_people_read_what_it_rests_on(folder: Path) -> None:
    out = " ".join(report(folder).out.split())
    assert "From the stored completions to the bill, all days (UTC)" in out
    assert "200 completions are stored of" in out
    assert "Lines of the bill that are not understood: gpt-image-1 high 1024x1024" in out
    assert (
        "Of the list's price the bill charges: gpt-4o-2024-08-06 90.0 %; of every other model all of it."
        in out
    )
    assert "its last three days may still change" in out
    markdown = written(folder, "markdown", "model")
    assert markdown.startswith("### From the stored completions to the bill, all days (UTC)\n\n| model |")


def test_the_costs_show_bound_and_estimate_beside_each_other(folder: Path) -> None:
    done = run("report", "costs", "--format", "json", at=folder)
    total = json.loads(done.out)["total"]
    kept = rows(folder, "select sum(cost_usd), sum(estimated_cost_usd) from marts.completion_costs")[0]
    assert (Decimal(total["cost_usd"]), Decimal(total["estimated_cost_usd"])) == kept
    assert kept[1] < kept[0]
    said = " ".join(json.loads(done.out)["notes"])
    assert "is an upper bound: only totals were stored" in said
    assert (
        "With the cached share of the organization's bill, by day, model and tier, it is an estimated $"
        in said
    )
    berlin = run("report", "costs", "--format", "json", "--timezone", "Europe/Berlin", at=folder)
    assert json.loads(berlin.out)["total"]["estimated_cost_usd"] == total["estimated_cost_usd"]
    assert "estimated" in run("report", "models", at=folder).out


def test_what_cannot_be_asked(folder: Path) -> None:
    done = report(folder, "--by", "modell")
    assert (done.code, done.out) == (2, "")
    assert "--by takes day, week, month, project or model here, not 'modell'. Did you mean model?" in done.err
    with pytest.raises(UsageError, match="not 'tier'"):
        reconcile.words(["day,tier"])


def test_without_a_bill_coverage_is_unknown_and_all_else_works(tmp_path: Path) -> None:
    with serving(Account.generate(20)) as sandbox:
        synced(sandbox, tmp_path)
    done = report(tmp_path)
    assert done.code == 0
    assert done.out.startswith("Coverage unknown: no bill was read. `stored-completions sync --billing`")
    assert report(tmp_path, "--format", "csv").err == done.out.replace("\n", " ").strip() + "\n"
    assert json.loads(written(tmp_path, "json"))["rows"] == []
    costs = run("report", "costs", at=tmp_path)
    assert (costs.code, "estimated" in costs.out) == (0, False)
    status = run("status", at=tmp_path)
    assert "coverage:        unknown: no bill was read, see `sync --billing`" in status.out


def test_what_is_not_settled_or_not_said_is_told(tmp_path: Path) -> None:
    """The newest days are used and not charged yet; the project is nowhere configured."""
    with serving(Account.generate(40), now=NOW) as sandbox:
        synced(sandbox, tmp_path, **BILL)
        said = " ".join(written(tmp_path, "table").split())
        assert "Completions that are in no comparison: " in said
        assert "(used, not charged yet)" in said
        assert "In which project the completions of default are is not said" in said
        status = run("status", "--json", at=tmp_path)
        (bill,) = json.loads(status.out)["bills"]
        assert (bill["source"], bill["project_id"]) == ("default", None)
        _other_source(sandbox, tmp_path)
        assert "Coverage unknown for other: no bill was read with that source." in " ".join(
            written(tmp_path, "table").split()
        )


def _other_source(sandbox: Sandbox, folder: Path) -> None:
    sandbox.account.add({"id": "chatcmpl-other", "created": NOW, "model": "gpt-4o"})
    synced(sandbox, folder, source="other")


def test_check_looks_at_the_admin_key(tmp_path: Path) -> None:
    with serving(Account.generate(3), now=None) as sandbox:
        good = run(
            "check",
            "--billing",
            at=tmp_path,
            url=sandbox.base_url,
            env={"OPENAI_ADMIN_KEY": "sk-admin-0123456789"},
        )
        assert "ok    bill: usage and costs answer, and the admin key may read them" in good.out
        bad = run(
            "check",
            "--billing",
            at=tmp_path,
            url=sandbox.base_url,
            env={"OPENAI_ADMIN_KEY": "sk-user-0123456789"},
        )
        assert bad.code == 2
        assert "FAIL  bill: " in bad.out
        assert "api.usage.read" in bad.out


def test_with_a_bill_costs_are_shown_as_bound_and_as_estimate(folder: Path) -> None:
    """In reports, a budget and the page; without one (see test_dashboard, test_reports) coverage is unknown."""
    estimated = one(folder, "select sum(estimated_cost_usd) from marts.completion_costs")
    assert estimated < one(folder, "select sum(cost_usd) from marts.completion_costs")
    for arguments in (
        ("costs",),
        ("models",),
        ("budget", "--monthly", "500", "--month", "2026-11", "--format", "table"),
    ):
        done = run("report", *arguments, at=folder)
        said = " ".join(done.out.split())
        assert "it is an estimated $" in said, arguments
        assert re.search(
            r"\d+ completions are stored of [\d,]+ requests billed \(\d+\.\d %\) on these UTC days", said
        )
        assert "see `report reconcile`" in said
        assert "Coverage unknown" not in said
    late = run("report", "costs", "--since", "2026-11-15", "--until", "2026-11-16", at=folder)
    here = report(folder, "--since", "2026-11-15", "--until", "2026-11-16")
    share = re.search(
        r"\d+ completions are stored of \d+ requests billed \(.* %\)", " ".join(here.out.split())
    )
    assert share
    assert share[0] in " ".join(late.out.split())
    with query.reading(folder / NAME) as connection:
        made = page(connection, Scope(Period()), title="A page", now=datetime(2026, 11, 25, tzinfo=UTC))
    *_, estimate, covered = made.figures[0].details
    assert estimate.startswith("an estimated $")
    assert estimate.endswith("with the cached share of the bill")
    assert covered.startswith("200 completions are stored of ")
