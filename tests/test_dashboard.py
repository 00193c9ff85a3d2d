"""The page without a browser: its figures against the views, what it leaves out, how it is sealed."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from console import run
from given import at, rows, warehouse
from paged import FEBRUARY, HOSTILE, NOW, SECRET, account, page
from stored_completions import models
from stored_completions.dashboard import Scope, costliest, render
from stored_completions.dashboard.axis import axis
from stored_completions.dashboard.page import Page
from stored_completions.dashboard.page import block as shown_as
from stored_completions.dashboard.page import page as made
from stored_completions.dashboard.scope import days_within
from stored_completions.dashboard.section import Column, Section
from stored_completions.dashboard.shown import change, short_count, usd
from stored_completions.reports.periods import Period

DAY = timedelta(days=1)
VENDOR = render.FOLDER / "vendor"
ZONES = ("UTC", "America/Los_Angeles", "Asia/Kathmandu")


@pytest.fixture(scope="module")
def given() -> Iterator[DuckDBPyConnection]:
    with account() as connection:
        yield connection


@pytest.fixture(scope="module")
def text(given: DuckDBPyConnection) -> str:
    return page(given)


def contents(connection: DuckDBPyConnection, scope: Scope | None = None) -> Page:
    return made(connection, scope or Scope(FEBRUARY), title="A page", now=NOW)


class TestFigures:
    @pytest.mark.parametrize("zone", ZONES)
    def test_the_headlines_are_the_sums_of_the_views(self, given: DuckDBPyConnection, zone: str) -> None:
        (sums,) = rows(
            given,
            f"""
            select sum(cost_usd) as "Spend", count(*) as "Completions", sum(prompt_tokens) as "Input tokens",
                sum(completion_tokens) as "Output tokens"
            from marts.completions_wide
            where cast(timezone('{zone}', created_at) as date) between '2026-02-01' and '2026-02-28'
            """,
        )
        shown = {figure.label: figure.value for figure in contents(given, Scope(FEBRUARY, zone)).figures}
        assert {name: shown[name] for name in sums} == {name: str(value) for name, value in sums.items()}

    def test_change_is_against_the_period_before(self, given: DuckDBPyConnection) -> None:
        now, before = (
            rows(given, f"select count(*) as n from chat.completions where created_date between {days}")[0][
                "n"
            ]
            for days in ("'2026-02-01' and '2026-02-28'", "'2026-01-04' and '2026-01-31'")
        )
        assert contents(given).figures[1].change == change(now / before - 1)
        assert contents(given, Scope(Period())).figures[1].change is None

    @pytest.mark.parametrize("block", ["spend-over-time", "what-costs-rest-on"])
    def test_each_spend_table_adds_up_to_the_spend(self, given: DuckDBPyConnection, block: str) -> None:
        found = contents(given)
        (table,) = [each.table for each in found.blocks if each.id == block]
        assert table
        assert table.total
        assert table.total[-1].value == found.figures[0].value

    @pytest.mark.parametrize("key", ["team", HOSTILE[0], "nobody's"])
    def test_each_metadata_key_adds_up_to_the_spend(self, given: DuckDBPyConnection, key: str) -> None:
        found = contents(given, Scope(FEBRUARY, metadata_keys=(key,), top=3))
        (table,) = [each.table for each in found.blocks if each.title == f"Spend by metadata: {key}"]
        assert table
        costs = [Decimal(row[1].value or 0) for row in table.rows]
        assert f"{sum(costs):f}" == found.figures[0].value
        assert "(none)" in [row[0].text for row in table.rows]

    @pytest.mark.parametrize("zone", ZONES)
    def test_what_syncs_added_up_gives_the_page_that_the_views_give(self, zone: str) -> None:
        with account(400) as quick, account(400, rollups=False) as straight:
            one, other = (contents(each, Scope(FEBRUARY, zone)) for each in (quick, straight))
        assert one == other

    def test_a_zone_by_another_name_gives_the_same_blocks(self, given: DuckDBPyConnection) -> None:
        assert contents(given, Scope(FEBRUARY, "Etc/UTC")).blocks == contents(given).blocks

    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize("top", [1, 3, 50])
    @pytest.mark.parametrize("days", [1, 2, 5, 28])
    def test_the_costliest_are_the_costliest(
        self, given: DuckDBPyConnection, zone: str, top: int, days: int
    ) -> None:
        scope = Scope(Period(FEBRUARY.first, date(2026, 1, 31) + days * DAY), zone, top)
        costliest.gather(given, scope, True)
        kept = rows(given, "select completion_id, cost_usd from page_costliest order by all")
        costliest.gather(given, scope, False)
        assert kept == rows(given, "select completion_id, cost_usd from page_costliest order by all")
        assert len(kept) == min(top, len(kept)) > 0

    def test_the_charts_have_the_values_of_their_tables(self, given: DuckDBPyConnection) -> None:
        charts = [block for block in contents(given).blocks if block.chart]
        assert len(charts) == 3
        for block in charts:
            assert block.table
            assert block.chart
            for number, series in enumerate(block.chart["series"], 1):
                shown = [row[number].value for row in block.table.rows]
                assert [value if value is None else float(value) for value in shown] == series["values"]

    def test_a_model_has_one_colour_on_the_whole_page(self, given: DuckDBPyConnection) -> None:
        seen: dict[str, set[str]] = {}
        for block in contents(given).blocks:
            for series in block.legend if block.id == "spend-over-time" else ():
                seen.setdefault(series.label, set()).add(series.colour)
            for row in block.table.rows if block.table else ():
                seen.setdefault(row[0].text, set()).update({row[0].colour} - {""})
        assert {name: colours for name, colours in seen.items() if len(colours) > 1} == {}
        assert sorted(min(colours) for colours in seen.values() if colours and "rest" not in colours) == [
            f"model-{place}" for place in range(1, 8)
        ]


class TestNewView:
    """The example in the package's docstring: what a later view takes to join."""

    def test_it_joins_with_one_section(self, given: DuckDBPyConnection) -> None:
        section = Section(
            id="refusals",
            title="Refusals",
            sql=f"""
                select model as name, sum(refusals) as refusals, sum(refusal_known) as known
                from marts.finish_reasons where {days_within("finish_reasons", FEBRUARY)} group by model
            """,
            columns=(
                Column("name", "Model", is_name=True),
                Column("refusals", "Refusals", "count", bar=True),
            ),
            summary=lambda rows: f"{len(rows)} models.",
            empty="No answers in this period.",
        )
        found = shown_as(given, section, axis(date(2026, 2, 1), date(2026, 2, 28)), (), Scope(FEBRUARY))
        assert found.table
        assert found.summary == f"{len(found.table.rows)} models."
        assert {row[1].text for row in found.table.rows} == {"unknown"}


class TestHonesty:
    def test_what_is_not_known_is_never_0(self) -> None:
        completion = {"completion_id": "a", "created_at": at("2026-02-03 12:00"), "model": "mystery"}
        usage = {"completion_id": "a", "prompt_tokens": 7, "completion_tokens": 3}
        with warehouse(completions=[completion], usage=[usage]) as connection:
            models.create_views(connection)
            found = contents(connection)
            shown = page(connection)
        assert (found.figures[0].text, found.figures[0].value) == ("unknown", None)
        assert "$0" not in shown.partition("<body>")[2].partition('<script type="application/json"')[0]
        assert "what was spent is not known" in shown

    def test_the_parts_of_the_spend_are_named(self, given: DuckDBPyConnection) -> None:
        details = " ".join(contents(given).figures[0].details)
        for words in ("exact", "at a corrected price", "at a tier price reckoned back", "an upper bound"):
            assert words in details
        assert "not even bounded" in details
        assert "coverage unknown: no bill was read" in details

    def test_what_has_no_price_is_listed(self, given: DuckDBPyConnection) -> None:
        (block,) = [
            block
            for block in contents(given, Scope(FEBRUARY, top=1000)).blocks
            if block.id == "without-a-price"
        ]
        (unpriced,) = rows(
            given,
            "select count(*) as n from marts.completion_costs where cost_usd is null"
            " and created_date between '2026-02-01' and '2026-02-28'",
        )
        assert block.table
        assert block.summary.startswith(f"{unpriced['n']} completions in no sum")
        assert sum(int(row[1].value or 0) for row in block.table.rows) == unpriced["n"]
        assert {row[2].text for row in block.table.rows} == {
            "unknown model",
            "no token counts",
            "no price for this tier",
        }

    def test_an_empty_warehouse_is_a_sentence(self) -> None:
        with warehouse() as connection:
            models.create_views(connection)
            shown = page(connection)
        assert "This warehouse has no completions yet. Run stored-completions sync" in shown
        assert "<section" not in shown

    def test_an_empty_period_is_a_sentence(self, given: DuckDBPyConnection) -> None:
        shown = page(given, Period(date(2020, 1, 1), date(2020, 1, 31)))
        assert "There are no completions in this period. Those in the warehouse are from 2026-01-04" in shown
        assert "<section" not in shown

    def test_completions_without_a_time_are_told(self) -> None:
        with warehouse(completions=[{"completion_id": "a"}]) as connection:
            models.create_views(connection)
            shown = page(connection)
        assert "1 completion has no usable time and is in no period." in shown
        assert "no completions yet" not in shown

    def test_a_period_before_that_is_cut_short_is_told(self, given: DuckDBPyConnection) -> None:
        assert "the period before is not all there" not in " ".join(contents(given).notes)
        long = Period(date(2026, 1, 10), date(2026, 2, 28))
        assert "the period before is not all there" in " ".join(contents(given, Scope(long)).notes)

    def test_a_period_before_that_was_not_read_is_not_compared_with(self, given: DuckDBPyConnection) -> None:
        assert any(figure.change for figure in contents(given).figures)
        given.begin()
        given.execute("update chat.sources set covered_from = '2026-01-20 00:00+00'")
        found = contents(given)
        given.rollback()
        assert [figure.change for figure in found.figures] == [None] * 5
        assert found.compared == ""
        assert any("everything is there only from 2026-01-20 00:00 on" in note for note in found.notes)

    def test_nothing_that_was_said_is_on_it(self, text: str) -> None:
        assert SECRET not in text

    def test_answers_are_on_it_when_asked_for(self, given: DuckDBPyConnection) -> None:
        shown = page(given, with_content=True)
        assert (
            shown.count(
                html.escape(SECRET + HOSTILE[0], quote=False).replace('"', "&#34;").replace("'", "&#39;")
            )
            == 10
        )
        assert f"{SECRET} refused" not in shown
        assert f"{SECRET} asked" not in shown


class TestAxis:
    @pytest.mark.parametrize(
        ("first", "heading", "steps", "label"),
        [
            ("2026-02-28", "Day", 1, "Sat 28 Feb 2026"),
            ("2026-02-01", "Day", 28, "Sun 1 Feb 2026"),
            ("2025-12-01", "Week from", 13, "Mon 1 Dec 2025"),
            ("2020-01-01", "Day", 56, "Sun 4 Jan 2026"),
        ],
    )
    def test_short_periods_have_days_and_long_ones_begin_where_completions_do(
        self, given: DuckDBPyConnection, first: str, heading: str, steps: int, label: str
    ) -> None:
        block = contents(given, Scope(Period(date.fromisoformat(first), date(2026, 2, 28)))).blocks[0]
        assert block.table
        found = (block.table.headings[0].text, len(block.table.rows), block.table.rows[0][0].text)
        assert found == (heading, steps, label)

    def test_years_have_months(self) -> None:
        found = axis(date(2024, 11, 30), date(2026, 1, 31))
        assert (found.unit, len(found.steps)) == ("month", 15)
        assert found.short_label(found.steps[0]) == "Nov 2024"

    def test_a_day_without_completions_is_there(self) -> None:
        given = [
            {"completion_id": name, "created_at": at(f"2026-02-{day} 12:00"), "model": "m"}
            for name, day in (("a", "03"), ("b", "05"))
        ]
        with warehouse(completions=given) as connection:
            models.create_views(connection)
            (block, *_) = contents(connection).blocks
        assert block.table
        assert [row[1].text for row in block.table.rows[1:6]] == ["–", "unknown", "–", "unknown", "–"]


class TestSeal:
    def test_the_library_is_the_one_that_was_published(self) -> None:
        listed = json.loads((VENDOR / "vendored.json").read_text())
        minified = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*.js") if path.is_file()}
        assert set(listed) == minified
        for name, about in listed.items():
            assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == about["sha256"]
            assert about["version"] in (VENDOR / name).read_text()[:200]
            assert about["licence"] in (VENDOR / about["licence_file"]).read_text()

    def test_its_licence_goes_with_it(self, text: str) -> None:
        assert (VENDOR / "chart.js/LICENSE.md").read_text().strip() in text

    def test_the_policy_names_what_is_there_and_no_more(self, text: str) -> None:
        (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', text)
        parts = dict(part.split(" ", 1) for part in html.unescape(policy).split("; "))
        scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        assert parts["default-src"] == "'none'"
        assert parts["script-src"].split() == [hashed(script) for script in scripts]
        assert parts["style-src"] == hashed(style)
        assert len(scripts) == 2

    def test_nothing_on_it_is_elsewhere(self, text: str) -> None:
        body = text.partition("<style>")[0] + text.partition("<body>")[2].partition("<script>")[0]
        assert (
            re.findall(
                r'\b(?:src|href|srcset|action|style|on\w+)="', html.unescape(body).replace(HOSTILE[0], "")
            )
            == []
        )
        assert "sourceMappingURL" not in text

    def test_it_is_light(self, text: str) -> None:
        with warehouse() as connection:
            models.create_views(connection)
            assert len(page(connection).encode()) < 300_000
        assert len(text.encode()) < 600_000

    def test_data_cannot_end_its_script(self, text: str) -> None:
        data = text.partition('<script type="application/json" id="charts">')[2].partition("</script>")[0]
        labels = {series["label"] for series in json.loads(data)[0]["series"]}
        assert set(HOSTILE) & labels
        assert not set("<>&\u2028\u2029") & set(data)


class TestCommand:
    def test_it_writes_one_file(self, tmp_path: Path) -> None:
        saved(tmp_path)
        done = run("dashboard", "--since", "2026-02", "--until", "2026-02", "--title", "A & B", at=tmp_path)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"{tmp_path / 'dashboard.html'} (")
        assert "<h1>A &amp; B</h1>" in (tmp_path / "dashboard.html").read_text()
        assert {path.name for path in tmp_path.glob("*.html*")} == {"dashboard.html"}

    @pytest.mark.parametrize(
        ("arguments", "code", "says"),
        [
            (["--output", "nowhere/x.html"], 2, "There is no folder"),
            (["--output", "x.pdf"], 2, "--output takes a name that ends in .html or .htm, not 'x.pdf'"),
            (["--output", f"{'x' * 245}.html"], 1, f"Cannot write {'x' * 245}.html to "),
            (["--timezone", "Mars"], 2, "Mars"),
            (["--since", "yestermonth"], 2, "is no date"),
            (["--warehouse", "none.duckdb"], 1, "none.duckdb"),
        ],
    )
    def test_what_it_refuses(self, tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
        saved(tmp_path)
        done = run("dashboard", *arguments, at=tmp_path)
        assert (done.code, done.out) == (code, "")
        assert says in done.err
        assert [*tmp_path.rglob("*.html*"), *tmp_path.rglob("*.pdf")] == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "unknown"),
        (9_999, "9,999"),
        (10_000, "10.0K"),
        (999_500, "1.0M"),
        (99_960_000, "100M"),
        (10**13, "10.0T"),
    ],
)
def test_counts_are_short(value: int | None, said: str) -> None:
    assert short_count(value) == said


def test_what_is_not_known_is_said_so() -> None:
    assert (usd(None), usd(0), change(None)) == ("unknown", "$0.00", "–")


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def saved(folder: Path) -> None:
    """The account as a warehouse file of that folder."""
    with account(60) as connection:
        connection.execute(f"attach '{folder / 'stored_completions.duckdb'}' as saved")
        connection.execute("copy from database memory to saved")
        connection.execute("detach saved")
