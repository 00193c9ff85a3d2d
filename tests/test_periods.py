"""Words for days, around the ends of months and years, and the periods they make."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stored_completions.errors import UsageError
from stored_completions.reports.periods import Period, period, span

LEAP = date(2024, 3, 1)  # a Friday
DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))


@pytest.mark.parametrize(
    ("word", "first", "last"),
    [
        ("today", "2024-03-01", "2024-03-01"),
        ("Yesterday", "2024-02-29", "2024-02-29"),
        ("1d", "2024-03-01", "2024-03-01"),
        ("7d", "2024-02-24", "2024-03-01"),
        ("2w", "2024-02-17", "2024-03-01"),
        ("this-week", "2024-02-26", "2024-03-03"),
        ("last-week", "2024-02-19", "2024-02-25"),
        ("this-month", "2024-03-01", "2024-03-31"),
        ("last-month", "2024-02-01", "2024-02-29"),
        ("this-year", "2024-01-01", "2024-12-31"),
        ("last-year", "2023-01-01", "2023-12-31"),
        ("2023-02", "2023-02-01", "2023-02-28"),
        ("2023-12", "2023-12-01", "2023-12-31"),
        ("2023", "2023-01-01", "2023-12-31"),
        (" 2023-02-28 ", "2023-02-28", "2023-02-28"),
    ],
)
def test_every_word_names_a_span_of_days(word: str, first: str, last: str) -> None:
    assert span("--since", word, LEAP) == (date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    "word",
    [
        "",
        "0d",
        "-7d",
        "7",
        "7h",
        "2023-13",
        "2023-02-29",
        "23-02-01",
        "20230201",
        "0000",
        "9999999d",
        "tomorrow",
        "٣d",
    ],
)
def test_what_is_no_day_is_refused_with_the_words_that_are(word: str) -> None:
    with pytest.raises(UsageError, match=r"--since is .* which is no date: write a day \(2026-01-31\)"):
        span("--since", word, LEAP)


@pytest.mark.parametrize(
    ("since", "until", "first", "last"),
    [
        ("last-month", "last-month", "2024-02-01", "2024-02-29"),
        ("last-month", None, "2024-02-01", "2024-03-01"),
        ("7d", None, "2024-02-24", "2024-03-01"),
        ("14d", "7d", "2024-02-17", "2024-02-23"),
        ("2w", "1w", "2024-02-17", "2024-02-23"),
        ("2024-01-31", "2024-02", "2024-01-31", "2024-02-29"),
        ("today", "2025", "2024-03-01", "2025-12-31"),
        (None, "yesterday", None, "2024-02-29"),
        (None, None, None, None),
    ],
)
def test_both_ends_are_in_the_period(
    since: str | None, until: str | None, first: str | None, last: str | None
) -> None:
    found = period(since, until, LEAP)
    assert (found.first and str(found.first), found.last and str(found.last)) == (first, last)


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        (
            "today",
            "2024-02",
            "--since today, which begins on 2024-03-01, is after the end of --until 2024-02, 2024-02-29.",
        ),
        ("2024-02-29", "2024-02-01", "--since 2024-02-29 is after the end of --until 2024-02-01."),
        ("2024-03-02", None, "--since is '2024-03-02', which is in the future: no completion is that new."),
        ("2025", "2026", "--since is '2025', which is in the future: no completion is that new."),
    ],
)
def test_a_period_that_ends_before_it_begins_or_is_to_come_is_refused(
    since: str, until: str | None, said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        period(since, until, LEAP)
    assert str(refused.value) == said


@given(DAYS, st.integers(1, 500))
def test_the_previous_period_lies_beside_it_and_is_as_long(first: date, days: int) -> None:
    this = Period(first, first + timedelta(days=days - 1))
    previous = this.previous
    assert previous is not None
    assert previous.first is not None
    assert previous.last is not None
    assert (previous.days, previous.last + timedelta(days=1)) == (days, first)


@pytest.mark.parametrize("open_", [Period(), Period(first=LEAP), Period(last=LEAP), Period(date.min, LEAP)])
def test_there_is_none_before_an_open_one_or_before_the_calendar(open_: Period) -> None:
    assert open_.previous is None


@given(DAYS)
def test_the_months_of_a_year_are_its_days(today: date) -> None:
    months = [span("--since", f"{today.year}-{number:02}", today) for number in range(1, 13)]
    ends = [last + timedelta(days=1) for _, last in months]
    assert [first for first, _ in months] == [date(today.year, 1, 1), *ends[:-1]]
    assert ends[-1] == date(today.year + 1, 1, 1)
