"""The bill beside what is stored: every planted cause is found again to the cent, and the causes add up exactly."""

import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from given import Row, at, publish, rows, warehouse
from stored_completions import query
from stored_completions.billing.line_items import billed_name
from stored_completions.sandbox import Account, Sandbox
from stored_completions.sandbox.bill import CAUSES, LAB, PROJECT
from synced import NAME, NOW, serving, synced

CENT = Decimal("0.01")
DAY = date(2026, 3, 1)
ADMIN = {"billing": True, "admin_key": "sk-admin-0123456789", "billing_project": PROJECT}
SUMS = ", ".join(f"sum({cause}_usd)" for cause in CAUSES)

Planted = dict[tuple[str, Any], Decimal]


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, duckdb.DuckDBPyConnection]]:
    """An account and its bill, all of it settled."""
    folder = tmp_path_factory.mktemp("billed")
    with serving(Account.generate(1_500), now=NOW + 5 * 86_400) as sandbox:
        synced(sandbox, folder, **ADMIN)
        with query.reading(folder / NAME) as connection:
            yield sandbox, connection


def test_planted_and_reported(billed: tuple[Sandbox, duckdb.DuckDBPyConnection]) -> None:
    """The table is printed with `pytest -s`."""
    sandbox, connection = billed
    planted: dict[str, Decimal] = defaultdict(Decimal)
    for each in sandbox.bill.planted:
        planted[each.cause] += each.amount
    reported = dict(
        zip(CAUSES, connection.execute(f"select {SUMS} from marts.reconciliation").fetchall()[0], strict=True)
    )
    lines = [f"{cause:14}{planted[cause]:12.6f}{reported[cause]:12.6f}" for cause in CAUSES]
    sys.stdout.write("\n".join([f"\n{'cause':14}{'planted':>12}{'reported':>12}", *lines, ""]))
    assert all(abs(planted[cause] - reported[cause]) < CENT / 10 for cause in CAUSES)
    assert sum(abs(amount) > CENT for amount in planted.values()) >= 5


def test_planted_and_reported_on_every_day_of_every_model(
    billed: tuple[Sandbox, duckdb.DuckDBPyConnection],
) -> None:
    sandbox, connection = billed
    planted: dict[Any, Decimal] = defaultdict(Decimal)
    for each in sandbox.bill.planted:
        planted[each.day, each.project, billed_name(each.model), each.cause] += each.amount
    columns = ", ".join(f"{cause}_usd" for cause in CAUSES)
    found = connection.execute(
        f"select usage_date, project_id, model, {columns} from marts.reconciliation where comparison = 'compared'"
    ).fetchall()
    reported = {
        (*row[:3], cause): amount for row in found for cause, amount in zip(CAUSES, row[3:], strict=True)
    }
    assert planted.keys() <= reported.keys()
    far = {key: amount for key, amount in reported.items() if abs(amount - planted[key]) > CENT / 1000}
    assert far == {}
    shifts = [amount for key, amount in reported.items() if key[3] == "day_shift" and amount]
    assert len(shifts) >= 4
    assert sum(shifts) == 0


def test_the_causes_add_up_exactly_and_the_rows_to_the_bill(
    billed: tuple[Sandbox, duckdb.DuckDBPyConnection],
) -> None:
    sandbox, connection = billed
    together = " + ".join(f"{cause}_usd" for cause in (*CAUSES, "rest"))
    exact = f"bool_and(difference_usd = {together} and difference_usd = billed_usd - stored_usd)"
    assert rows(
        connection,
        f"select {exact} as exact, max(abs(rest_usd)) < 0.000000001 as explained, sum(billed_usd) as billed,"
        " sum(stored_usd) as stored from marts.reconciliation",
    ) == [
        {
            "exact": True,
            "explained": True,
            "billed": sum((cost.amount for cost in sandbox.bill.costs), Decimal(0)),
            "stored": rows(connection, "select sum(cost_usd) as usd from marts.completion_costs")[0]["usd"],
        }
    ]


def test_what_is_not_compared_says_why(billed: tuple[Sandbox, duckdb.DuckDBPyConnection]) -> None:
    _, connection = billed
    found = rows(
        connection,
        "select distinct comparison, model, difference_usd is null as left_out from marts.reconciliation"
        " where comparison <> 'compared' order by all",
    )
    assert found == [
        {"comparison": "no_model", "model": None, "left_out": True},
        {"comparison": "no_usage", "model": "text-embedding-3-small", "left_out": True},
    ]


def test_a_project_without_stored_completions_is_all_not_stored(
    billed: tuple[Sandbox, duckdb.DuckDBPyConnection],
) -> None:
    _, connection = billed
    (lab,) = rows(
        connection,
        "select sum(stored_completions) as stored, max(coverage) as coverage, sum(difference_usd) = sum(not_stored_usd)"
        f" as all_of_it from marts.reconciliation where project_id = '{LAB}'",
    )
    assert lab == {"stored": 0, "coverage": 0.0, "all_of_it": True}


def test_the_estimate_is_what_the_bill_says_of_the_cache(
    billed: tuple[Sandbox, duckdb.DuckDBPyConnection],
) -> None:
    """Beside the upper bound, which stays as it is."""
    _, connection = billed
    (model,) = rows(
        connection,
        "select sum(cost_usd) - sum(estimated_cost_usd) as less, bool_and(estimated_cost_usd <= cost_usd) as bounded,"
        " bool_and(estimated_usage_basis = case when has_details then 'full' else 'cached_share_from_bill' end)"
        " as marked, bool_and(usage_basis = case when has_details then 'full' else 'no_details' end) as untouched"
        " from marts.completion_costs where model = 'o3-mini-2025-01-31' and cost_usd is not null",
    )
    assert (model["bounded"], model["marked"], model["untouched"]) == (True, True, True)
    (bill,) = rows(
        connection,
        "select -sum(cached_share_usd) as less from marts.reconciliation where model = 'o3-mini-2025-01-31'",
    )
    assert abs(model["less"] - bill["less"]) < CENT


def test_an_unknown_project_is_compared_with_all_of_them(tmp_path: Path) -> None:
    with serving(Account.generate(20), now=NOW + 5 * 86_400) as sandbox:
        synced(sandbox, tmp_path, **(ADMIN | {"billing_project": None}))
        with query.reading(tmp_path / NAME) as connection:
            assert rows(connection, "select distinct project_id from marts.reconciliation") == [
                {"project_id": None}
            ]
            assert rows(
                connection,
                "select distinct project_id, compared_project_id from marts.bill_projects order by 1",
            ) == [
                {"project_id": PROJECT, "compared_project_id": None},
                {"project_id": LAB, "compared_project_id": None},
            ]


PRICE: Row = {
    "tier": "standard",
    "input": Decimal("0.001"),
    "output": Decimal("0.002"),
    "price_basis": "listed",
}


def given(
    stored: list[dict[str, Any]], usage: list[dict[str, Any]], costs: list[dict[str, Any]], **bill: Any
) -> duckdb.DuckDBPyConnection:
    """Models m (a cached token half price) and unheard (no price); completions of DAY with totals only."""
    own = {"source": "default", "bill_source": "default", "first_date": DAY, "last_date": date(2026, 3, 9)}
    connection = warehouse(
        completions=[
            {"completion_id": str(number), "created_at": at(f"{each.get('day', DAY)} 12:00"), "model": each.get("model", "m")}
            for number, each in enumerate(stored)
        ],
        usage=[
            {"completion_id": str(number), "prompt_tokens": each["prompt"], "completion_tokens": each.get("output", 0)}
            for number, each in enumerate(stored)
            if "prompt" in each
        ],
        model_price_rules=[{"rule_no": 1, "kind": "equals", "pattern": "m", "price_model_id": "m"}],
        model_prices=[
            {"price_no": 1, "price_model_id": "m", "cached_input": Decimal("0.0005"), **PRICE},
            {"price_no": 2, "price_model_id": "m", **PRICE, "tier": "priority", "input": Decimal("0.002")},
        ],
        organization_usage=[
            {"source": "default", "usage_date": DAY, "group_id": str(number), "model": "m", "price_tier": "standard",
             "batch": False, "num_model_requests": 1, "output_tokens": 0} | {"billed_model": each.get("model", "m")} | each
            for number, each in enumerate(usage)
        ],
        organization_costs=[
            {"source": "default", "cost_date": DAY, "group_id": str(number), "billed_model": "m", "kind": "input"} | each
            for number, each in enumerate(costs)
        ],
        organization_bills=[own | bill],
    )  # fmt: skip
    publish(connection)
    return connection


def compared(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    found = rows(connection, "from marts.reconciliation order by usage_date, model")
    return [
        {
            name.removesuffix("_usd"): value
            for name, value in row.items()
            if value is not None and (name == "comparison" or (name in {f"{each}_usd" for each in (*CAUSES, "rest", "difference")} and value))
        }
        for row in found
    ]  # fmt: skip


def money(text: str) -> Decimal:
    return Decimal(text)


@pytest.mark.parametrize(
    ("stored", "usage", "costs", "expected"),
    [
        ([{"prompt": 10}], [{"input_tokens": 10}], ["0.01"], {"comparison": "compared"}),
        (
            [{"prompt": 10}],
            [{"input_tokens": 40, "num_model_requests": 4}],
            ["0.04"],
            {"comparison": "compared", "difference": money("0.03"), "not_stored": money("0.03")},
        ),
        (
            [{"prompt": 10}],
            [{"input_tokens": 10, "input_cached_tokens": 4}],
            ["0.008"],
            {"comparison": "compared", "difference": money("-0.002"), "cached_share": money("-0.002")},
        ),
        (
            [{"prompt": 10}],
            [{"input_tokens": 10, "price_tier": "priority"}],
            ["0.02"],
            {"comparison": "compared", "difference": money("0.01"), "tier": money("0.01")},
        ),
        (
            [{"prompt": 10}],
            [{"input_tokens": 10, "price_tier": "incentivized"}],
            ["0"],
            {"comparison": "compared", "difference": money("-0.01"), "tier": money("-0.01")},
        ),
        (
            [{"prompt": 10}],
            [{"input_tokens": 10}],
            ["0.009"],
            {"comparison": "compared", "difference": money("-0.001"), "discount": money("-0.001")},
        ),
        (
            [{}],
            [{"input_tokens": 10}],
            ["0.01"],
            {"comparison": "compared", "difference": money("0.01"), "unpriced": money("0.01")},
        ),
        (
            [{"prompt": 10, "model": "unheard"}],
            [{"input_tokens": 40, "model": "unheard"}],
            ["0.08"],
            {
                "comparison": "compared",
                "difference": money("0.08"),
                "unpriced": money("0.02"),
                "not_stored": money("0.06"),
            },
        ),
        ([{"prompt": 10}], [], [], {"comparison": "not_billed"}),
        ([{"prompt": 10}], [{"input_tokens": 10}], [], {"comparison": "no_cost_yet"}),
        ([], [], ["0.01"], {"comparison": "no_usage"}),
        ([{"prompt": 100}], [{"input_tokens": 10}], ["0.01"], {"comparison": "more_stored"}),
        ([{"prompt": 10, "day": "2026-02-27"}], [], [], {"comparison": "not_read"}),
    ],
)
def test_each_cause_by_itself(
    stored: list[dict[str, Any]], usage: list[dict[str, Any]], costs: list[str], expected: Row
) -> None:
    model = usage[0].get("model", "m") if usage else "m"
    charged = [{"amount_usd": Decimal(cost), "billed_model": model} for cost in costs]
    with given(stored, usage, charged) as connection:
        assert compared(connection) == [expected]


def test_usage_that_is_dated_the_day_after_its_completion() -> None:
    """Stored and charged on one day, counted on the next: nothing is missing, and no dollar differs."""
    stored = [{"prompt": 10, "day": f"2026-03-0{day}"} for day in (1, 2, 3, 4)]
    usage = [
        {"usage_date": date(2026, 3, day), "input_tokens": tokens}
        for day, tokens in ((1, 10), (2, 4), (3, 16), (4, 10))
    ]
    costs = [{"cost_date": date(2026, 3, day), "amount_usd": Decimal("0.01")} for day in (1, 2, 3, 4)]
    with given(stored, usage, costs) as connection:
        assert compared(connection) == [{"comparison": "compared"}] * 4


def test_a_line_without_a_model_stands_apart() -> None:
    costs = [
        {"amount_usd": Decimal("0.01")},
        {"amount_usd": Decimal("5"), "billed_model": None, "kind": "tool"},
    ]
    with given([{"prompt": 10}], [{"input_tokens": 10}], costs) as connection:
        assert compared(connection) == [{"comparison": "compared"}, {"comparison": "no_model"}]


def test_without_a_bill_nothing_is_compared() -> None:
    with given([{"prompt": 10}], [], []) as connection:
        connection.execute("delete from chat.organization_bills")
        assert rows(connection, "from marts.reconciliation") == []
        assert rows(
            connection, "select estimated_cost_usd, estimated_usage_basis from marts.completion_costs"
        ) == [{"estimated_cost_usd": Decimal("0.01"), "estimated_usage_basis": "no_details"}]


def test_counters_without_end_fail_no_view() -> None:
    largest = 2**63 - 1
    usage = [{"input_tokens": largest, "input_cached_tokens": 1, "num_model_requests": largest}]
    with given(
        [{"prompt": largest, "output": largest}], usage, [{"amount_usd": Decimal("0.01")}]
    ) as connection:
        assert len(rows(connection, "from marts.reconciliation")) == 1
        assert len(rows(connection, "from marts.completion_costs")) == 1
