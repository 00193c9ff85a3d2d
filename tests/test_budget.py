"""A month against its budget: spent, projected, judged; by hand."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from given import at, insert, warehouse
from stored_completions import models
from stored_completions.errors import UsageError
from stored_completions.reports import formats as report_formats
from stored_completions.reports.asking import Answer
from stored_completions.reports.budget import Budget, Progress, amounts, ask, is_met, line
from stored_completions.reports.dimensions import dimensions
from test_reports import GIVEN, PRICES, usd

JANUARY, FEBRUARY, MARCH = date(2026, 1, 1), date(2026, 2, 14), date(2026, 3, 1)
LATER = at("2026-04-01 00:00")
(TEAM,) = dimensions(["metadata:team"])
(MODEL,) = dimensions(["model"])


@pytest.fixture
def connection() -> Iterator[DuckDBPyConnection]:
    """In February: 4.8 spent, two completions without a cost; in January 1.2."""
    with warehouse(**PRICES, **GIVEN) as connection:
        models.create_views(connection)
        yield connection


def asked(
    connection: DuckDBPyConnection,
    whole: str | None,
    day: date = FEBRUARY,
    now: datetime = LATER,
    **more: Any,
) -> Answer:
    return ask(connection, Budget(usd(whole), **more), day, now)


@pytest.mark.parametrize(
    ("whole", "warn", "status", "met"),
    [("4.79", "0.8", "over", False), ("4.8", "0.8", "warn", True), ("6", "0.8", "warn", True),
     ("6.01", "0.8", "ok", True), ("100", "0.048", "warn", True), ("100", "0.0481", "ok", True)],
)  # fmt: skip
def test_a_month_that_is_over(
    connection: DuckDBPyConnection, whole: str, warn: str, status: str, met: bool
) -> None:
    answer = asked(connection, whole, warn=Decimal(warn))
    total = answer.total.values
    assert (total["spent_usd"], total["projected_usd"], total["status"]) == (usd("4.8"), usd("4.8"), status)
    assert (answer.details["status"], is_met(answer)) == (status, met)
    assert "projected" not in line(answer) + report_formats.text(answer, "table")


@pytest.mark.parametrize(
    ("on", "whole", "status"),
    [("spent", "9.59", "warn"), ("spent", "20", "ok"), ("projected", "9.59", "over"), ("projected", "9.6", "warn"),
     ("projected", "12.01", "ok")],
)  # fmt: skip
def test_half_of_a_month_is_projected_by_its_rate(
    connection: DuckDBPyConnection, on: str, whole: str, status: str
) -> None:
    answer = asked(connection, whole, now=at("2026-02-15 00:00"), on=on)
    assert (answer.total.values["projected_usd"], answer.details["status"]) == (usd("9.6"), status)
    assert "$9.6000 projected by run rate" in line(answer)
    assert answer.notes[0] == (
        "Projected by run rate: what was spent in 14.0 of 28 days, for all of them; weekdays and growth are not taken "
        "into account."
    )


@pytest.mark.parametrize(
    ("day", "synced", "status"),
    [(MARCH, "2026-03-01 00:00", "ok"), (MARCH, "2026-04-01 00:00", "ok"), (MARCH, "2026-02-28 23:59", "unknown"),
     (MARCH, None, "unknown"), (date(2020, 1, 1), "2026-03-01 00:00", "unknown"), (FEBRUARY, None, "ok")],
)  # fmt: skip
def test_a_month_that_the_warehouse_has_nothing_of_is_unknown(
    connection: DuckDBPyConnection, day: date, synced: str | None, status: str
) -> None:
    answer = ask(connection, Budget(usd("100")), day, LATER, at(synced) if synced else None)
    assert (answer.details["status"], is_met(answer)) == (status, status == "ok")
    said = f"he warehouse holds no completions of {day:%Y-%m}"
    is_said = status == "unknown"
    assert (said in line(answer), any(said in note for note in answer.notes)) == (is_said, is_said)


def test_a_name_without_completions_is_unknown(connection: DuckDBPyConnection) -> None:
    answer = asked(connection, None, by=TEAM, parts={"nosuch": Decimal("0.1")})
    assert (answer.details["status"], is_met(answer)) == ("unknown", False)
    assert "; no completions of nosuch in 2026-02; " in line(answer)
    assert "nosuch is" not in line(answer)


def test_a_name_that_is_only_idle_this_month_is_kept_within_its_budget(
    connection: DuckDBPyConnection,
) -> None:
    """A scheduler must not be told on the first of each month that every team is misspelt."""
    parts = {"search": Decimal("5"), "nosuch": Decimal("5")}
    answer = ask(
        connection, Budget(None, by=TEAM, parts=parts), date(2026, 3, 5), LATER, at("2026-03-20 00:00")
    )
    found = {
        row.values["metadata:team"]: (row.values["spent_usd"], row.values["status"]) for row in answer.rows
    }
    assert found == {"search": (usd("0"), "ok"), "nosuch": (None, "unknown")}
    assert answer.details["without_completions"] == ["nosuch"]


def test_what_came_after_the_last_sync_is_not_known(connection: DuckDBPyConnection) -> None:
    insert(connection, "sources", {"source": "default"})
    run = {
        "_dlt_load_id": "load",
        "run_id": "1",
        "source": "default",
        "started_at": at("2026-02-15 00:00"),
        "outcome": "done",
    }
    insert(connection, "sync_runs", run)
    answer = asked(connection, "100")
    assert (answer.details["as_of"], answer.total.values["projected_usd"]) == (
        "2026-02-15T00:00:00",
        usd("9.6"),
    )


def test_a_month_belongs_to_a_time_zone(connection: DuckDBPyConnection) -> None:
    answer = asked(connection, "100", timezone="Europe/Berlin", now=at("2026-02-14 23:00"))
    assert (answer.total.values["spent_usd"], answer.total.values["projected_usd"]) == (usd("6"), usd("12"))


def test_the_first_day_projects_nothing(connection: DuckDBPyConnection) -> None:
    answer = asked(connection, "5", now=at("2026-02-01 23:59"), on="projected")
    assert (answer.total.values["projected_usd"], answer.details["status"]) == (None, "warn")
    assert answer.notes[0] == "Less than a day of the month has passed: too early to project it."


def test_nothing_spent_is_0_and_nothing_priced_is_unknown(connection: DuckDBPyConnection) -> None:
    empty = ask(connection, Budget(usd("5")), MARCH, LATER, LATER)
    assert (empty.total.values["spent_usd"], empty.details["status"], is_met(empty)) == (
        Decimal(0),
        "ok",
        True,
    )
    connection.execute("delete from chat.model_price_rules")
    unknown = asked(connection, "5")
    assert (unknown.total.values["spent_usd"], unknown.details["status"], is_met(unknown)) == (
        None,
        "unknown",
        False,
    )
    assert (
        "No completion of the month has a cost, so nobody can say that the budget is kept." in unknown.notes
    )
    assert line(unknown) == "budget unknown: — of $5.0000 (—) spent in 2026-02 (UTC); 6 completions unpriced"


def test_each_part_has_its_own_budget(connection: DuckDBPyConnection) -> None:
    answer = asked(
        connection,
        "100",
        by=TEAM,
        parts={"search": Decimal("0.5"), "(none)": Decimal(4), "nobody": Decimal(1)},
    )
    names = ("metadata:team", "status", "budget_usd", "spent_usd", "spent_share", "unpriced_completions")
    assert [[row.values[name] for name in names] for row in [*answer.rows, answer.total]] == [
        [None, "ok", usd("4"), usd("3"), 0.75, 2],
        ["(none)", None, None, usd("1.2"), None, 0],
        ["search", "over", usd("0.5"), usd("0.6"), 1.2, 0],
        ["nobody", "unknown", usd("1"), None, None, None],
        [None, "ok", usd("100"), usd("4.8"), 0.048, 2],
    ]
    assert (answer.details["status"], is_met(answer)) == ("over", False)
    assert "No completion of the month has metadata:team 'nobody'." in answer.notes


def test_parts_alone_will_do(connection: DuckDBPyConnection) -> None:
    answer = asked(connection, None, by=MODEL, parts={"cheap": Decimal(1)})
    assert (answer.total.values["status"], answer.details["status"]) == (None, "over")
    assert line(answer) == (
        "budget over: $4.8000 spent in 2026-02 (UTC); cheap is over; 41.7 % an upper bound; "
        "20.8 % without a bound; 12.5 % backdated; 25.0 % overridden; 2 completions unpriced"
    )


def test_it_says_what_it_rests_on_in_every_format(connection: DuckDBPyConnection) -> None:
    answer = asked(connection, "5", day=JANUARY)
    said = "All of $1.2000 is exact: counted in full, at listed prices."
    for kind in ("table", "markdown", "json"):
        assert said.replace("$", "$") in report_formats.text(answer, kind)
    csv = report_formats.text(answer, "csv").splitlines()
    assert csv[0].startswith(
        "row,scope,status,budget_usd,spent_usd,spent_share,projected_usd,projected_share,exact_usd"
    )
    assert csv[1:] == ["total,Total,ok,5,1.2,0.24,1.2,0.24,1.2,0,0,0,0,0"]


def test_amounts_are_read() -> None:
    assert amounts(["500", "search=200", "a=b=0.5"]) == (
        Decimal(500),
        {"search": Decimal(200), "a=b": Decimal("0.5")},
    )


@pytest.mark.parametrize("words", [["x"], ["0"], ["-1"], ["nan"], ["inf"], ["search="], ["1", "2"], [""]])
def test_what_is_no_amount_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="--monthly"):
        amounts(words)


def test_a_part_needs_to_be_of_something(connection: DuckDBPyConnection) -> None:
    with pytest.raises(UsageError, match="needs --by"):
        asked(connection, None, parts={"search": Decimal(1)})


@pytest.mark.parametrize("hours", [0, 23, 24, 25, 300, 743, 744, 9999])
def test_the_projection_meets_what_is_spent_at_the_end(hours: int) -> None:
    progress = Progress(date(2026, 1, 1), date(2026, 1, 31), datetime(2026, 1, 1) + timedelta(hours=hours))
    projected = progress.projected(Decimal(31))
    wanted = None if hours < 24 else Decimal(31 * 744) / min(hours, 744)
    assert projected is wanted or (
        projected is not None and wanted is not None and abs(projected - wanted) < Decimal("1e-11")
    )
