"""Given completions and prices, the rows of every report by hand; and that any groups add up to the whole."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from given import Row, at, insert, rows, warehouse
from stored_completions import models
from stored_completions.errors import UsageError, WarehouseError
from stored_completions.reports import notes as report_notes
from stored_completions.reports import rollup
from stored_completions.reports.asking import Answer, Question, ask, today
from stored_completions.reports.catalog import (
    COSTS,
    DEFINITIONS,
    FINISH_REASONS,
    MODELS,
    TOKENS,
    UNPRICED,
    Definition,
)
from stored_completions.reports.dimensions import dimensions
from stored_completions.reports.periods import Period

FEBRUARY = Period(date(2026, 2, 1), date(2026, 2, 28))


def price(number: int, model: str, basis: str, tier: str = "standard", **rates: str) -> Row:
    return {
        "price_no": number,
        "price_model_id": model,
        "tier": tier,
        "price_basis": basis,
        "source": "a test",
        **{name: Decimal(rate) for name, rate in rates.items()},
    }


PRICES: dict[str, list[Row]] = {
    "model_price_rules": [
        {"rule_no": number, "kind": "equals", "pattern": name, "price_model_id": name, "source": "a test"}
        for number, name in enumerate(("cheap", "dear", "loud"), 1)
    ],
    "model_prices": [
        price(1, "cheap", "listed", input="0.001", output="0.002", cached_input="0.0005"),
        price(2, "cheap", "tier_backdated", "flex", input="0.0005", output="0.001"),
        price(3, "dear", "override", input="0.01", output="0.02"),
        price(4, "loud", "listed", input="0.001", output="0.002", cache_write="0.002"),
    ],
}


def completion(id: str, created_at: str | None, model: str | None, **more: Any) -> Row:
    return {"completion_id": id, "created_at": at(created_at) if created_at else None, "model": model, **more}


def usage(id: str, prompt: int, completion: int, cached: int | None = None) -> Row:
    total = prompt + completion
    counters = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return {"completion_id": id, **counters, "cached_tokens": cached}


GIVEN: dict[str, list[Row]] = {
    "completions": [
        completion("a", "2026-01-31 23:30", "cheap", service_tier="default", input_user="ada"),
        completion("b", "2026-02-01 00:30", "cheap", service_tier="flex"),
        completion(
            "c", "2026-02-01 12:00", "cheap", service_tier="default", deleted_at=at("2026-02-09 12:00")
        ),
        completion("d", "2026-02-02 12:00", "loud"),
        completion("e", "2026-02-02 13:00", "dear"),
        completion("f", "2026-02-02 14:00", "new"),
        completion("g", "2026-02-02 15:00", "cheap", service_tier="default"),
        completion("h", None, "cheap", service_tier="default"),
    ],
    "usage": [
        usage("a", 1000, 100, cached=0),
        usage("b", 1000, 100, cached=200),
        usage("c", 2000, 0),
        usage("d", 1000, 0),
        usage("e", 100, 10, cached=50),
        usage("f", 100, 10),
        usage("h", 10, 1, cached=0),
    ],
    "metadata": [
        {"completion_id": "a", "key": "team", "value": "search"},
        {"completion_id": "b", "key": "team", "value": "search"},
        {"completion_id": "e", "key": "team", "value": "(none)"},
        {"completion_id": "f", "key": "a,b", "value": "x"},
    ],
    "choices": [
        {
            "completion_id": "a",
            "choice_index": 0,
            "finish_reason": "stop",
            "refusal_sent": True,
            "refusal": "No.",
        },
        {"completion_id": "a", "choice_index": 1, "finish_reason": "length", "refusal_sent": True},
        {"completion_id": "b", "choice_index": 0, "finish_reason": "stop", "refusal_sent": False},
        {"completion_id": "e", "choice_index": 1, "finish_reason": "length", "refusal_sent": False},
    ],
}


@pytest.fixture(scope="module", params=["view", "table", "table in Los Angeles"])
def connection(request: pytest.FixtureRequest) -> Iterator[DuckDBPyConnection]:
    """With costs as a table per day, as a sync leaves it, and without: what a report says is the same."""
    with warehouse(**PRICES, **GIVEN) as connection:
        models.create_views(connection)
        if request.param != "view":
            rollup.refresh(connection)
        if "Angeles" in request.param:
            connection.execute("set TimeZone = 'America/Los_Angeles'")
        yield connection


def asked(
    connection: DuckDBPyConnection,
    definition: Definition,
    *by: str,
    period: Period | None = None,
    **more: Any,
) -> Answer:
    return ask(connection, definition, Question(dimensions(by), period or Period(), **more))


def test_kinds_are_counted_as_people_count(monkeypatch: pytest.MonkeyPatch) -> None:
    left_out = [{"model": name, "unpriced_reason": "no_usage", "completions": 1} for name in "abc"]
    total = {"cost_usd": None, "unpriced_completions": 3, "completions": 3}
    for most, rest in ((3, "c (no_usage)."), (2, "and 1 more kind, see"), (1, "and 2 more kinds, see")):
        monkeypatch.setattr(report_notes, "MOST_UNPRICED", most)
        assert rest in report_notes.cost_notes(total, left_out)[0]


def usd(amount: str | None) -> Decimal | None:
    return None if amount is None else Decimal(amount)


def costs(answer: Answer) -> list[list[Any]]:
    """Labels, completions, cost, exact, upper bound, unbounded, backdated, override, unpriced; the total last."""
    names = (
        *answer.by,
        "completions",
        "cost_usd",
        "exact_usd",
        "upper_bound_usd",
        "unbounded_usd",
        "backdated_usd",
    )
    found = [*answer.rows, answer.total]
    return [[row.values[name] for name in (*names, "override_usd", "unpriced_completions")] for row in found]


class TestCosts:
    def test_by_model(self, connection: DuckDBPyConnection) -> None:
        zero = Decimal(0)
        assert costs(asked(connection, COSTS)) == [
            ["cheap", 5, usd("3.8"), usd("1.2"), usd("2"), zero, usd("0.6"), zero, 2],
            ["dear", 1, usd("1.2"), zero, zero, zero, zero, usd("1.2"), 0],
            ["loud", 1, usd("1"), zero, zero, usd("1"), zero, zero, 0],
            ["new", 1, None, None, None, None, None, None, 1],
            [None, 8, usd("6"), usd("1.2"), usd("2"), usd("1"), usd("0.6"), usd("1.2"), 3],
        ]

    def test_what_the_whole_rests_on_is_taken_apart(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, COSTS, "day")
        names = ("price_basis", "usage_basis", "completions", "cost_usd")
        assert [[each[name] for name in names] for each in answer.basis] == [
            ["listed", "no_details", 1, usd("2")],
            ["listed", "full", 1, usd("1.2")],
            ["override", "full", 1, usd("1.2")],
            ["listed", "no_details_unbounded", 1, usd("1")],
            ["tier_backdated", "full", 1, usd("0.6")],
        ]
        assert answer.unpriced == [
            {"model": "cheap", "unpriced_reason": "no_created_date", "completions": 1},
            {"model": "cheap", "unpriced_reason": "no_usage", "completions": 1},
            {"model": "new", "unpriced_reason": "unknown_model", "completions": 1},
        ]

    def test_the_sentences_say_both(self, connection: DuckDBPyConnection) -> None:
        basis, left_out, coverage = asked(connection, COSTS).notes
        assert basis.startswith(
            "Of $6.0000, $1.2000 (20.0 %) is exact: counted in full, at listed prices. $2.0000 (33.3 %)"
        )
        assert "$1.0000 (16.7 %) is not even an upper bound" in basis
        assert "$0.6000 (10.0 %) is backdated" in basis
        assert "$1.2000 (20.0 %) is at prices that an override sets" in basis
        assert "overlap" not in basis
        assert left_out == (
            "Left out of every sum (*): 3 of 8 completions have no cost: 1 × cheap (no_created_date), "
            "1 × cheap (no_usage), 1 × new (unknown_model)."
        )
        assert coverage.startswith("Coverage unknown: requests that were not stored are in no figure here.")

    def test_what_is_exact_needs_no_more_words(self, connection: DuckDBPyConnection) -> None:
        period = Period(date(2026, 1, 31), date(2026, 1, 31))
        assert asked(connection, COSTS, period=period).notes == [
            "All of $1.2000 is exact: counted in full, at listed prices.",
            "1 completion without a usable time is in no period.",
            report_notes.COVERAGE_UNKNOWN,
        ]

    def test_a_day_is_one_of_the_time_zone(self, connection: DuckDBPyConnection) -> None:
        def days(timezone: str) -> dict[Any, Any]:
            answer = asked(connection, COSTS, "day", timezone=timezone)
            return {row.values["day"]: row.values["cost_usd"] for row in answer.rows}

        assert days("UTC") == {
            "2026-01-31": usd("1.2"),
            "2026-02-01": usd("2.6"),
            "2026-02-02": usd("2.2"),
            None: None,
        }
        assert days("Europe/Berlin") == {"2026-02-01": usd("3.8"), "2026-02-02": usd("2.2"), None: None}
        assert days("America/Los_Angeles") == {
            "2026-01-31": usd("1.8"), "2026-02-01": usd("2"), "2026-02-02": usd("2.2"), None: None,
        }  # fmt: skip

    def test_weeks_and_months(self, connection: DuckDBPyConnection) -> None:
        weeks = asked(connection, COSTS, "week", period=Period(date(2026, 1, 1), date(2026, 2, 28)))
        assert [(row.values["week"], row.values["cost_usd"]) for row in weeks.rows] == [
            ("2026-01-26", usd("3.8")),
            ("2026-02-02", usd("2.2")),
        ]
        months = asked(connection, COSTS, "month,tier", period=Period(date(2026, 1, 1), date(2026, 2, 28)))
        names = ("month", "service_tier", "cost_usd")
        assert [tuple(row.values[name] for name in names) for row in months.rows] == [
            ("2026-01", "default", usd("1.2")),
            ("2026-02", None, usd("2.2")),
            ("2026-02", "default", usd("2")),
            ("2026-02", "flex", usd("0.6")),
        ]

    def test_a_missing_key_and_a_value_that_looks_like_it(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, COSTS, "metadata:team")
        assert [(row.values["metadata:team"], row.values["cost_usd"]) for row in answer.rows] == [
            (None, usd("3")),
            ("search", usd("1.8")),
            ("(none)", usd("1.2")),
        ]

    def test_a_completion_ends_as_its_first_answer_does(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, COSTS, "finish-reason")
        assert [(row.values["finish_reason"], row.values["cost_usd"]) for row in answer.rows] == [
            (None, usd("4.2")),
            ("stop", usd("1.8")),
        ]

    def test_by_user_and_by_keys_with_commas(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, COSTS, "metadata:a,b,input-user")
        assert answer.by == ("metadata:a,b", "input_user")
        assert [tuple(row.values.values())[:4] for row in answer.rows] == [
            (None, None, 6, usd("4.8")),
            (None, "ada", 1, usd("1.2")),
            ("x", None, 1, None),
        ]

    def test_shares_and_changes(self, connection: DuckDBPyConnection) -> None:
        second = Period(date(2026, 2, 2), date(2026, 2, 2))
        answer = asked(connection, COSTS, "source,model", period=second)
        names = ("model", "cost_usd", "share", "previous_cost_usd", "change")
        assert [[row.values[name] for name in names] for row in [*answer.rows, answer.total]] == [
            ["dear", usd("1.2"), 0.545455, None, None],
            ["loud", usd("1"), 0.454545, None, None],
            ["cheap", None, None, usd("2.6"), None],
            ["new", None, None, None, None],
            [None, usd("2.2"), 1.0, usd("2.6"), -0.153846],
        ]

    def test_days_stand_beside_those_of_the_previous_period(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, COSTS, "day", period=Period(date(2026, 2, 1), date(2026, 2, 2)))
        names = ("day", "cost_usd", "previous_cost_usd", "change")
        assert [[row.values[name] for name in names] for row in [*answer.rows, answer.total]] == [
            ["2026-02-01", usd("2.6"), None, None],
            ["2026-02-02", usd("2.2"), usd("1.2"), 0.833333],
            [None, usd("4.8"), usd("1.2"), 3.0],
        ]

    def test_what_only_the_previous_period_had_is_said(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, COSTS, "tier", period=Period(date(2026, 2, 2), date(2026, 2, 2)))
        assert (
            "The previous period also had 1 group that this one has not, with $0.600000 together."
            in answer.notes
        )

    @pytest.mark.parametrize(
        ("covered_from", "timezone", "is_compared"),
        [("2026-01-30 00:00", "UTC", True), ("2026-01-30 06:30", "UTC", False), ("2026-02-03 06:30", "UTC", False),
         ("2026-01-30 06:30", "America/Los_Angeles", True)],
    )  # fmt: skip
    def test_a_period_before_that_was_not_read_is_not_compared_with(
        self, connection: DuckDBPyConnection, covered_from: str, timezone: str, is_compared: bool
    ) -> None:
        connection.begin()
        insert(connection, "sources", {"source": "default", "covered_from": at(covered_from)})
        insert(connection, "sources", {"source": "idle", "covered_from": at("2026-02-20 12:00")})
        days = Period(date(2026, 2, 1), date(2026, 2, 2))
        answer = asked(connection, COSTS, period=days, timezone=timezone)
        connection.rollback()
        said = (
            f"No change against 2026-01-30 to 2026-01-31 is shown: of source default everything is there only from "
            f"{covered_from} on. `sync --since` with an earlier date reads further back."
        )
        assert [note for note in answer.notes if "No change" in note] == ([] if is_compared else [said])
        assert (answer.question.previous is not None) == is_compared
        assert (answer.total.values["previous_cost_usd"] is not None) == is_compared
        assert (answer.total.values["change"] is not None) == is_compared

    @pytest.mark.parametrize(
        ("by", "shown"),
        [
            ("model", [("group", "cheap", "3.8"), ("others", "(others)", "2.2")]),
            ("day", [("group", "2026-02-01", "2.6"), ("others", "(others)", "3.4")]),
        ],
    )  # fmt: skip
    def test_the_rest_is_summed(
        self, connection: DuckDBPyConnection, by: str, shown: list[tuple[str, str, str]]
    ) -> None:
        answer = asked(connection, COSTS, by, top=1)
        found = [(row.kind, row.values[by], row.values["cost_usd"]) for row in answer.rows]
        assert found == [(kind, label, usd(amount)) for kind, label, amount in shown]

    def test_the_rest_of_each_day_is_summed(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, COSTS, "day,model", top=1, period=FEBRUARY)
        names = ("day", "model", "completions", "cost_usd")
        assert [(row.kind, *(row.values[name] for name in names)) for row in answer.rows] == [
            ("group", "2026-02-01", "cheap", 2, usd("2.6")),
            ("group", "2026-02-02", "cheap", 1, None),
            ("others", "2026-02-02", "(others)", 3, usd("2.2")),
        ]

    def test_more_than_there_are_leaves_no_rest(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, COSTS, top=99)
        assert [row.kind for row in answer.rows] == ["group"] * 4


class TestOtherReports:
    def test_tokens(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, TOKENS)
        names = (
            "model", "completions", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "cached_share",
            "reasoning_tokens", "share", "completions_without_usage", "completions_without_details",
        )  # fmt: skip
        assert [[row.values[name] for name in names] for row in [*answer.rows, answer.total]] == [
            ["cheap", 5, 4010, 201, 4211, 200, 0.099502, None, 0.775364, 1, 1],
            ["loud", 1, 1000, 0, 1000, None, None, None, 0.184128, 0, 1],
            ["dear", 1, 100, 10, 110, 50, 0.5, None, 0.020254, 0, 0],
            ["new", 1, 100, 10, 110, None, None, None, 0.020254, 0, 1],
            [None, 8, 5210, 221, 5431, 250, 0.118483, None, 1.0, 1, 3],
        ]  # fmt: skip
        assert answer.notes == [
            "1 of 8 completions came without counters: they are in no sum.",
            "3 came with totals only: cached, reasoning and audio tokens leave them out, and cached_share is of those "
            "that say.",
        ]

    def test_models(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, MODELS)
        names = ("model", "cost_usd", "usd_per_completion", "first_day", "last_day")
        assert [[row.values[name] for name in names] for row in [*answer.rows, answer.total]] == [
            ["cheap", usd("3.8"), usd("1.266666666667"), date(2026, 1, 31), date(2026, 2, 2)],
            ["dear", usd("1.2"), usd("1.2"), date(2026, 2, 2), date(2026, 2, 2)],
            ["loud", usd("1"), usd("1"), date(2026, 2, 2), date(2026, 2, 2)],
            ["new", None, None, date(2026, 2, 2), date(2026, 2, 2)],
            [None, usd("6"), usd("1.2"), date(2026, 1, 31), date(2026, 2, 2)],
        ]

    def test_every_answer_of_a_completion_ends(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, FINISH_REASONS, "model")
        names = ("model", "finish_reason", "choices", "refusals", "refusal_known")
        assert [[row.values[name] for name in names] for row in [*answer.rows, answer.total]] == [
            ["cheap", "stop", 2, 1, 1],
            ["cheap", "length", 1, 0, 1],
            ["dear", "length", 1, None, 0],
            [None, None, 4, 1, 2],
        ]

    def test_unpriced(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, UNPRICED)
        names = ("model", "service_tier", "unpriced_reason", "unpriced_completions", "prompt_tokens", "share")
        assert [[row.values[name] for name in names] for row in [*answer.rows, answer.total]] == [
            ["cheap", "default", "no_created_date", 1, 10, 0.333333],
            ["cheap", "default", "no_usage", 1, None, 0.333333],
            ["new", None, "unknown_model", 1, 100, 0.333333],
            [None, None, None, 3, 110, 1.0],
        ]

    def test_nothing_is_unpriced(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, UNPRICED, period=Period(date(2026, 2, 1), date(2026, 2, 1)))
        assert (answer.rows, answer.notes) == (
            [],
            ["Every completion has a cost (2026-02-01 to 2026-02-01)."],
        )


class TestNothing:
    @pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
    def test_an_empty_warehouse(self, definition: Definition) -> None:
        with warehouse() as connection:
            models.create_views(connection)
            answer = asked(connection, definition, "metadata:team")
        assert (answer.rows, answer.is_empty) == ([], True)
        assert answer.notes == [
            "The warehouse has no completions yet: `stored-completions sync` brings them."
        ]

    def test_an_empty_period(self, connection: DuckDBPyConnection) -> None:
        answer = asked(connection, COSTS, period=Period(date(2020, 1, 1), date(2020, 1, 31)))
        assert answer.notes == [
            "No completions in this period (2020-01-01 to 2020-01-31): the warehouse has 8 completions from 2026-01-31 "
            "to 2026-02-02."
        ]

    @pytest.mark.parametrize(
        ("by", "timezone", "sentence"),
        [
            ("modle", "UTC", r"--by takes day, .*metadata:KEY, not 'modle'\. Did you mean model\?"),
            ("metadata:", "UTC", "--by takes"),
            ("day,", "UTC", "not ''"),
            (
                "metadata:taem",
                "UTC",
                r"has the metadata key 'taem'\. Did you mean 'team'\? There are 'team', 'a,b'\.",
            ),
            ("day", "Europe/Berln", r"did you mean Europe/Berlin\?"),
            ("day", "", "no time zone"),
            ("day", "'; drop table x", "no time zone"),
        ],
    )
    def test_what_is_not_there_is_refused(
        self, connection: DuckDBPyConnection, by: str, timezone: str, sentence: str
    ) -> None:
        with pytest.raises(UsageError, match=sentence):
            asked(connection, COSTS, by, timezone=timezone)

    def test_a_warehouse_of_an_older_version(self) -> None:
        with warehouse() as connection, pytest.raises(WarehouseError, match="sync it once with this one"):
            asked(connection, COSTS)


def test_words_are_taken_in_many_spellings() -> None:
    assert dimensions(["Day, service_tier", "day,finish_reason,user"]) == dimensions(
        ["day", "tier", "finish-reason", "input-user"]
    )


def test_today_is_that_of_the_time_zone(connection: DuckDBPyConnection) -> None:
    now = at("2026-02-01 01:00")
    assert [today(connection, now, zone) for zone in ("UTC", "America/Los_Angeles", "Pacific/Kiritimati")] == [
        date(2026, 2, 1), date(2026, 1, 31), date(2026, 2, 1),
    ]  # fmt: skip


ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu", "Pacific/Auckland")
WORDS = (
    "day",
    "week",
    "month",
    "model",
    "tier",
    "source",
    "finish-reason",
    "input-user",
    "metadata:team",
    "metadata:a",
)
BEGIN = datetime(2026, 3, 20, tzinfo=UTC)  # clocks change in Berlin on 03-29 and in Auckland on 04-05


@pytest.fixture(scope="module", params=["view", "table"])
def many(request: pytest.FixtureRequest) -> Iterator[DuckDBPyConnection]:
    """A hundred and fifty completions of three weeks, anything about them missing now and then."""
    random = Random(3)
    given: dict[str, list[Row]] = {"completions": [], "usage": [], "metadata": [], "choices": []}
    for number in range(150):
        id = f"c{number}"
        created_at = BEGIN + timedelta(minutes=random.randrange(21 * 24 * 60))
        row = completion(id, None, random.choice(["cheap", "dear", "loud", "new", None]))
        row["created_at"] = created_at if random.random() < 0.97 else None
        row["service_tier"] = random.choice(["default", "flex", None])
        row["source"] = random.choice(["default", "eu"])
        row["input_user"] = random.choice(["ada", "bob", None])
        given["completions"].append(row)
        if random.random() < 0.9:
            prompt = random.randrange(5000)
            cached = random.choice([None, prompt // 2, prompt + 1])
            given["usage"].append(usage(id, prompt, random.randrange(500), cached))
        given["metadata"] += [
            {"completion_id": id, "key": key, "value": random.choice("xyz")}
            for key in ("team", "a")
            if random.random() < 0.5
        ]
        given["choices"] += [
            {"completion_id": id, "choice_index": index, "finish_reason": random.choice(["stop", None])}
            for index in range(random.randrange(3))
        ]
    with warehouse(**PRICES, **given) as connection:
        models.create_views(connection)
        if request.param == "table":
            rollup.refresh(connection)
        yield connection


@pytest.fixture(scope="module")
def facts(many: DuckDBPyConnection) -> list[Row]:
    """Each completion with its cost and everything that it can be grouped by."""
    pair = "select any_value(value) from chat.metadata as pair where pair.completion_id = costs.completion_id and key ="
    return rows(
        many,
        f"select costs.*, finish_reason, ({pair} 'team') as team, ({pair} 'a') as a"
        " from marts.completion_costs as costs left join chat.choices"
        " on choices.completion_id = costs.completion_id and choice_index = 0",
    )


def reckoned(facts: list[Row], zone: str, words: tuple[str, ...], period: Period) -> dict[Any, Any]:
    """Completions and cost by group, added up here, with the clocks of Python."""
    sums: dict[Any, list[Any]] = defaultdict(lambda: [0, None])
    for fact in facts:
        day = fact["created_at"] and fact["created_at"].astimezone(ZoneInfo(zone)).date()
        if period != Period() and not (
            day and (period.first or date.min) <= day <= (period.last or date.max)
        ):
            continue
        values = {
            "day": day and str(day), "week": day and str(day - timedelta(days=day.weekday())), "month": day and f"{day:%Y-%m}",
            "tier": fact["service_tier"], "finish-reason": fact["finish_reason"], "input-user": fact["input_user"],
            "metadata:team": fact["team"], "metadata:a": fact["a"], "model": fact["model"], "source": fact["source"],
        }  # fmt: skip
        found = sums[tuple(values[word] for word in words)]
        found[0] += 1
        if fact["cost_usd"] is not None:
            found[1] = (found[1] or 0) + fact["cost_usd"]
    return {key: tuple(value) for key, value in sums.items()}


@drawn(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True).map(tuple),
    zone=st.sampled_from(ZONES),
    first=st.none() | st.dates(date(2026, 3, 18), date(2026, 4, 12)),
    days=st.none() | st.integers(1, 20),
    top=st.none() | st.integers(1, 4),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_groups_add_up_to_the_whole(
    many: DuckDBPyConnection,
    facts: list[Row],
    words: tuple[str, ...],
    zone: str,
    first: date | None,
    days: int | None,
    top: int | None,
) -> None:
    period = Period(first, first + timedelta(days=days - 1) if first and days else None)
    wanted = reckoned(facts, zone, words, period)
    answer = asked(many, COSTS, *words, period=period, timezone=zone)
    found = {tuple(row.values.values())[: len(words)]: row.values for row in answer.rows}
    assert {key: (values["completions"], values["cost_usd"]) for key, values in found.items()} == wanted
    cut = asked(many, COSTS, *words, period=period, timezone=zone, top=top)
    amounts = ("completions", "cost_usd", "exact_usd", "upper_bound_usd", "unpriced_completions")
    for each in (answer, cut):
        assert each.total == answer.total
        for name in amounts:
            parts = [row.values[name] for row in each.rows if row.values[name] is not None]
            assert (sum(parts) if parts else None) == each.total.values[name]
    by_basis = [each["cost_usd"] for each in answer.basis]
    assert (sum(by_basis) if by_basis else None) == answer.total.values["cost_usd"]
    assert sum(each["completions"] for each in answer.unpriced) == (
        answer.total.values["unpriced_completions"] or 0
    )


class TestRollup:
    def test_its_file_says_what_it_is(self, many: DuckDBPyConnection) -> None:
        for model in models.models("reports"):
            assert models.column_names(many, model.sql) == list(model.columns)
            grain = ", ".join(model.grain)
            assert rows(many, f"select {grain} from ({model.sql}) group by {grain} having count(*) > 1") == []

    def test_metadata_adds_up_to_the_days(self, many: DuckDBPyConnection) -> None:
        (sums,) = rows(
            many,
            """
            select sum(completions), sum(cost_usd), sum(unpriced_completions), (
                select (count(*), sum(cost_usd), count(unpriced_reason))
                from marts.completion_costs join chat.metadata using (completion_id)
            ) as straight
            from (select * from (""" + models.parsed(models.sql_folder() / "reports/daily_metadata_costs.sql").sql + "))",
        )  # fmt: skip
        *added, straight = sums.values()
        assert tuple(added) == tuple(straight.values() if isinstance(straight, dict) else straight)

    def test_only_days_that_changed_are_renewed(self) -> None:
        with warehouse(**PRICES, **GIVEN) as connection:
            models.create_views(connection)
            steps = [
                ("select 1", 4),
                ("select 1", 0),
                ("update chat.completions set model = 'dear', _dlt_load_id = 'next' where completion_id = 'a'", 1),
                ("delete from chat.completions where completion_id = 'd'", 1),
                ("update chat.completions set created_date = '2026-03-01', _dlt_load_id = 'next' where completion_id = 'h'", 2),
                ("insert into chat.organization_usage (source, usage_date, group_id, model, input_tokens, input_cached_tokens)"
                 " values ('default', '2026-01-31', 'g', 'cheap', 10, 5)", 1),
                ("update chat.organization_usage set input_cached_tokens = 6", 1),
                ("update chat.organization_usage set read_at = '2026-02-01 00:00:00+00'", 0),
                ("insert into chat.organization_bills (source, bill_source) values ('default', 'default')", 4),
                ("update chat.organization_bills set last_date = '2026-02-01'", 0),
                ("update chat.model_prices set input = 1 where price_no = 1", 4),
            ]  # fmt: skip
            for change, renewed in steps:
                connection.execute(change)
                assert rollup.refresh(connection, at_once=2) == renewed, change
                for model in models.models("reports"):
                    made = f"from ({model.sql}) order by all"
                    assert rows(connection, f"from {model.relation} order by all") == rows(
                        connection, made
                    ), change

    def test_a_failure_changes_nothing(self) -> None:
        with warehouse(**PRICES, **GIVEN) as connection:
            models.create_views(connection)
            rollup.refresh(connection)
            before = rows(connection, "from reports.daily_costs order by all")
            connection.execute("update chat.completions set _dlt_load_id = 'next'")
            costs = models.behind("completion_costs")[-1].sql
            connection.execute(
                "create or replace view marts.completion_costs as"
                f" select * replace (error('x') as cost_usd) from ({costs})"
            )
            with pytest.raises(Exception, match="x"):
                rollup.refresh(connection)
            assert rows(connection, "from reports.daily_costs order by all") == before
