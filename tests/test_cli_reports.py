"""`report` and `prices` through the real console script, on a warehouse synced from the sandbox."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from console import COMMAND, Done, environment, on_terminal, run
from stored_completions.sandbox import Account, Sandbox
from stored_completions.sandbox.generate import UNTIL

NAME = "stored_completions.duckdb"
MONTH = "2026-10"  # the sandbox's account reaches from 2026-10 to 2026-11-20


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Account.generate(600), now=UNTIL + 60) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    assert run("sync", at=folder, url=sandbox.base_url).code == 0
    return folder


def report(folder: Path, *arguments: str, **env: str) -> Done:
    return run("report", *arguments, at=folder, env=env)


def answer(folder: Path, *arguments: str) -> Any:
    done = report(folder, *arguments, "--format", "json")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / NAME), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_sync_leaves_the_costs_of_its_days(folder: Path) -> None:
    sums = (
        "select created_date, count(*), sum(cost_usd) from marts.completion_costs group by all order by all"
    )
    kept = "select created_date, sum(completions), sum(cost_usd) from reports.daily_costs group by all order by all"
    assert query(folder, kept) == query(folder, sums)


def test_every_format_has_the_same_rows(folder: Path) -> None:
    wanted = ["costs", "--by", "model,metadata:team", "--since", MONTH, "--until", "2026-11", "--top", "4"]
    rows = [*answer(folder, *wanted)["rows"], answer(folder, *wanted)["total"]]
    assert [row["row"] for row in rows] == ["group"] * 4 + ["others", "total"]

    listed = list(csv.DictReader(io.StringIO(report(folder, *wanted, "--format", "csv").out)))
    assert [list(row) for row in listed] == [list(row) for row in rows]
    amounts = [name for name in rows[0] if name not in ("row", "model", "metadata:team")]
    assert [[row[name] for name in amounts] for row in listed] == [
        ["" if row[name] is None else str(row[name]) for name in amounts] for row in rows
    ]

    table = report(folder, *wanted, COLUMNS="250").out.split("\n\n")[1].splitlines()[-6:]
    marked = report(folder, *wanted, "--format", "markdown").out
    cells = [re.split(r" \| ", line.strip("| ")) for line in marked.splitlines() if line.startswith("| ")][2:]
    for text, cell, row, line in zip(table, cells, rows, listed, strict=True):
        shown = re.split(r"\s{2,}", text.strip())
        assert [value.replace("\\", "") for value in cell if value] == shown
        assert shown[0] == line["model"]
        assert int(shown[1 if row["row"] == "total" else 2].replace(",", "")) == row["completions"]
        cost = (
            next(value for value in shown if re.fullmatch(r"\d+\.\d{4,6}\*?", value))
            if row["cost_usd"]
            else "0"
        )
        assert abs(Decimal(cost.strip("*")) - Decimal(row["cost_usd"] or 0)) <= Decimal("0.00005")


def test_digits_are_those_of_the_warehouse(folder: Path) -> None:
    found = answer(folder, "costs")
    ((cost, unpriced),) = query(
        folder, "select sum(cost_usd), count(unpriced_reason) from marts.completion_costs"
    )
    assert (Decimal(found["total"]["cost_usd"]), found["total"]["unpriced_completions"]) == (cost, unpriced)
    assert sum(Decimal(row["cost_usd"] or 0) for row in found["rows"]) == cost
    assert sum(each["completions"] for each in found["unpriced"]) == unpriced > 0


@pytest.mark.parametrize(
    "name", ["costs", "tokens", "models", "tools", "finish-reasons", "confidence", "unpriced"]
)
def test_every_report_fits_a_narrow_terminal(folder: Path, name: str) -> None:
    done = report(
        folder, name, "--by", "month,metadata:team", "--since", MONTH, "--until", "2026-11", COLUMNS="60"
    )
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 60
    assert not [line for line in done.out.splitlines() if line.endswith(" ")]
    assert "Total" in done.out


def test_what_a_sum_rests_on_and_leaves_out_stands_below_it(folder: Path) -> None:
    out = " ".join(report(folder, "costs").out.split())
    assert re.search(
        r"Of \$\d\.\d{4}, \$\d\.\d{4} \(\d+\.\d %\) is exact: counted in full, at listed prices\.", out
    )
    assert re.search(r"is an upper bound: only totals were stored", out)
    assert re.search(
        r"Left out of every sum \(\*\): \d+ of 600 completions have no cost: .*no_price_for_tier", out
    )
    assert "US dollars, rounded half-even to 4 places; json and csv have every digit." in out


def test_colours_are_for_terminals_that_want_them(
    sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in report(folder, "costs").out
    assert "\x1b[1m" in on_terminal("report", "costs", at=folder, url=sandbox.base_url)
    done = subprocess.run(
        [*COMMAND, "report", "costs"], cwd=folder, env=environment(folder, NO_COLOR="1", FORCE_COLOR="1"),
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert not re.search(r"\x1b\[[0-9;]*3\d", done.stdout)


@pytest.mark.parametrize(
    ("name", "kind", "begins"),
    [("x.json", None, "{"), ("x.csv", None, "row,"), ("x.md", None, "### Cost"), ("x.txt", None, "Cost, all days"),
     ("x.markdown", None, "### Cost"), ("x.md", "md", "### Cost"), ("x.CSV", "csv", "row,")],
)  # fmt: skip
def test_a_file_has_the_format_of_its_name(
    folder: Path, tmp_path: Path, name: str, kind: str | None, begins: str
) -> None:
    done = report(folder, "costs", "--output", str(tmp_path / name), *(["--format", kind] if kind else []))
    assert (done.code, done.out, done.err) == (0, "", f"written to {tmp_path / name}\n")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["costs", "--by", "modle"], "Did you mean model?"),
        (["costs", "--by", "metadata:taem"], "Did you mean 'team'?"),
        (["costs", "--timezone", "Mars/Olympus"], "is no time zone"),
        (["costs", "--since", "soon"], "--since is 'soon', which is no date"),
        (["costs", "--since", "2026-02", "--until", "2026-01"], "after the end of --until"),
        (["costs", "--top", "0"], "Invalid value for '--top'"),
        (["costs", "--output", "x.xlsx"], "ends in .json, .csv, .md, .markdown, .txt, not 'x.xlsx'"),
        (["costs", "--output", "x", "--format", "csv"], "ends in .json"),
        (["costs", "--output", "x.json", "--format", "markdown"], "ends in .md or .markdown, but 'x.json'"),
        (["budget", "--monthly", "1", "--output", "x.md", "--format", "line"], "ends in .txt, but 'x.md'"),
        (["costs", "--output", "no/such/x.csv"], "There is no folder"),
        (["cost"], "Did you mean 'costs'?"),
        (["budget"], "Missing option '--monthly'"),
        (["budget", "--monthly", "1", "--by", "day"], "takes one --by"),
        (["budget", "--monthly", "a=1"], "needs --by"),
    ],
)
def test_bad_usage_is_a_sentence_and_exit_2(folder: Path, arguments: list[str], sentence: str) -> None:
    done = report(folder, *arguments)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err


@pytest.mark.parametrize("kind", ["table", "json", "csv", "markdown"])
def test_an_empty_period_is_a_sentence_and_no_error(folder: Path, kind: str) -> None:
    done = report(folder, "costs", "--since", "2020", "--until", "2020", "--format", kind)
    said = done.err if kind == "csv" else done.out
    assert (done.code, "No completions in this period" in said.replace("\n", " ")) == (0, True)
    if kind == "json":
        assert json.loads(done.out)["rows"] == []
    if kind == "csv":
        assert len(done.out.splitlines()) == 1


def test_an_empty_account(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        assert run("sync", at=tmp_path, url=sandbox.base_url).code == 0
    done = report(tmp_path, "costs", "--by", "metadata:team,day")
    assert (done.code, done.out) == (
        0,
        "The warehouse has no completions yet: `stored-completions sync` brings them.\n",
    )
    budget = report(tmp_path, "budget", "--monthly", "1")
    assert (budget.code, "the warehouse holds no completions of" in budget.out) == (3, True)


def test_no_warehouse_is_exit_1(tmp_path: Path) -> None:
    done = report(tmp_path, "costs")
    assert (done.code, list(tmp_path.iterdir())) == (1, [])
    assert "There is no warehouse at" in done.err


@pytest.mark.parametrize("reader", ["true", "head -1"])
@pytest.mark.parametrize(
    ("command", "code"),
    [("report models", 0), ("report costs --by day,model --format csv", 0), ("report costs --format json", 0),
     ("status", 0), ("status --max-age 1s", 3), ("prices list --history", 0), ("--help", 0),
     ("query 'from range(100000)'", 0), ("report budget --monthly 500 --month 2026-10", 0),
     ("report budget --monthly 0.000001 --month 2026-10", 3),
     ("report budget --monthly 0.000001 --month 2026-10 --format table", 3)],
)  # fmt: skip
def test_a_reader_that_has_seen_enough_is_no_failure(
    folder: Path, command: str, code: int, reader: str
) -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"$@" {command} | {reader}', "bash", *COMMAND],
        cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert not any(word in done.stderr for word in ("Broken", "Traceback", "Exception"))


class TestBudget:
    def spent(self, folder: Path) -> Decimal:
        ((cost,),) = query(
            folder,
            f"select sum(cost_usd) from marts.completion_costs where strftime(created_date, '%Y-%m') = '{MONTH}'",
        )
        assert isinstance(cost, Decimal)
        return cost

    @pytest.mark.parametrize(
        ("factor", "code", "status"), [("0.99", 3, "over"), ("1", 0, "warn"), ("1.3", 0, "ok")]
    )
    def test_over_is_exit_3(self, folder: Path, factor: str, code: int, status: str) -> None:
        monthly = str(self.spent(folder) * Decimal(factor))
        done = report(folder, "budget", "--monthly", monthly, "--month", MONTH)
        assert (done.code, done.err, done.out.count("\n")) == (code, "", 1)
        assert done.out.startswith(f"budget {status}: $")
        assert "an upper bound" in done.out
        assert "completions unpriced" in done.out

    @pytest.mark.parametrize(
        "arguments", [["--month", "2020-01"], ["--by", "metadata:team", "--month", MONTH]]
    )
    def test_what_nobody_can_tell_is_exit_3(self, folder: Path, arguments: list[str]) -> None:
        monthly = "nosuch=0.1" if "--by" in arguments else "1"
        done = report(folder, "budget", "--monthly", monthly, "--format", "line", *arguments)
        assert (done.code, done.out.startswith("budget unknown: ")) == (3, True)
        assert f"no completions of {'nosuch in ' if '--by' in arguments else ''}{arguments[-1]}" in done.out

    def test_parts_that_were_asked_for_are_shown_in_a_pipe_too(self, folder: Path) -> None:
        done = report(folder, "budget", "--monthly", "500", "--month", MONTH, "--by", "metadata:team")
        assert (done.code, "customer-care" in done.out) == (0, True)

    def test_warn_from_another_share_on(self, folder: Path) -> None:
        monthly = str(self.spent(folder) * 2)
        arguments = ["--monthly", monthly, "--month", MONTH, "--warn", "0.5"]
        assert report(folder, "budget", *arguments).out.startswith("budget warn")

    def test_a_part_that_is_over(self, folder: Path) -> None:
        arguments = [
            "--monthly",
            "500",
            "--monthly",
            "(none)=0.000001",
            "--by",
            "metadata:team",
            "--month",
            MONTH,
        ]
        done = report(folder, "budget", *arguments, "--format", "json")
        found = json.loads(done.out)
        assert (done.code, found["status"], found["total"]["status"], found["method"]) == (
            3,
            "over",
            "ok",
            "run rate",
        )
        assert sum(Decimal(row["spent_usd"] or 0) for row in found["rows"]) == self.spent(folder)

    def test_a_table_for_people(self, sandbox: Sandbox, folder: Path) -> None:
        shown = on_terminal(
            "report", "budget", "--monthly", "500", "--month", MONTH, at=folder, url=sandbox.base_url
        )
        assert f"Budget of {MONTH}, {MONTH}-01 to {MONTH}-31 (UTC)" in shown


class TestPrices:
    def prices(self, folder: Path, *arguments: str) -> Done:
        return run("prices", *arguments, at=folder)

    def test_explain_names_rule_row_basis_and_source(self, folder: Path) -> None:
        wanted = ["explain", "gpt-5-2025-08-07", "--tier", "flex", "--at", "2026-01-20"]
        out = self.prices(folder, *wanted).out
        for part in (
            "'gpt-5-2025-08-07'",
            "gpt-5, flex",
            "input 0.625, cached_input 0.0625, output 5",
            "tier_backdated",
        ):
            assert part in out
        found = json.loads(self.prices(folder, *wanted, "--format", "json").out)
        ((row,),) = query(
            folder, f"select price_basis from chat.model_prices where price_no = {found['price']['price_no']}"
        )
        assert (row, found["rule"]["price_model_id"], found["price"]["input"]) == (
            found["price_basis"],
            "gpt-5",
            "0.000000625000",
        )

    def test_a_band_and_a_model_nobody_knows(self, folder: Path) -> None:
        small, large = (
            json.loads(
                self.prices(folder, "explain", "gpt-5.4", "--input-tokens", tokens, "--format", "json").out
            )
            for tokens in ("272000", "272001")
        )
        assert Decimal(large["price"]["input"]) == 2 * Decimal(small["price"]["input"])
        assert "unknown_model" in self.prices(folder, "explain", "gpt-nobody").out

    def test_explain_says_what_else_could_be_meant(self, folder: Path) -> None:
        assert self.prices(folder, "explain", "gpt-4o-mni").err.startswith("Did you mean gpt-4o-mini or ")
        assert self.prices(folder, "explain", "nothing-like-it").err == ""
        tier = self.prices(folder, "explain", "gpt-4o", "--tier", "prioirty")
        assert tier.err == "gpt-4o has prices for batch, priority, standard, none for prioirty.\n"
        assert self.prices(folder, "explain", "gpt-4o").err == ""

    def test_list(self, folder: Path) -> None:
        now = json.loads(self.prices(folder, "list", "--model", "gpt-4o-2024-08-06", "--format", "json").out)
        assert {row["price_model_id"] for row in now} == {"gpt-4o"}
        assert len({row["tier"] for row in now}) == len(now)
        ((rows,),) = query(folder, "select count(*) from chat.model_prices")
        listed = csv.DictReader(io.StringIO(self.prices(folder, "list", "--history", "--format", "csv").out))
        assert len(list(listed)) == rows
        assert self.prices(folder, "list", "--model", "gpt-nobody").code == 2

    def test_without_a_warehouse_the_installed_ones_are_meant(self, tmp_path: Path) -> None:
        done = self.prices(tmp_path, "explain", "gpt-4o-2024-08-06", "--at", "2026-01-20")
        assert (done.code, "these are the installed prices" in done.err) == (0, True)
        assert "input 2.5, cached_input 1.25, output 10" in done.out

    def test_diff_says_what_a_price_file_would_change(self, folder: Path, tmp_path: Path) -> None:
        same = self.prices(folder, "diff")
        assert (same.code, same.out, "No total would change" in same.err) == (0, "", True)
        file = tmp_path / "prices.toml"
        file.write_text('[[model]]\nid = "gpt-4o"\nsource = "a test"\nrates = [{ input = 5, output = 20 }]\n')
        done = self.prices(folder, "diff", "--prices", str(file), "--format", "json")
        before = dict(query(folder, "select model, sum(cost_usd) from marts.completion_costs group by model"))
        changed = json.loads(done.out)
        assert "gpt-4o-2024-08-06" in {change["model"] for change in changed}
        for change in changed:
            assert Decimal(change["old_usd"]) == before[change["model"]]
            assert (
                Decimal(change["new_usd"]) - Decimal(change["old_usd"])
                == Decimal(change["difference_usd"])
                > 0
            )
        assert self.prices(folder, "diff").err == same.err
        setting = {"SOURCES__STORED_COMPLETIONS__PRICES": str(file)}
        assert json.loads(run("prices", "diff", "--format", "json", at=folder, env=setting).out) == changed


def test_a_report_imports_neither_dlt_nor_prices(folder: Path) -> None:
    code = (
        "import sys; from stored_completions.cli import cli\n"
        "cli.main(['report', 'costs', '--by', 'day,model'], standalone_mode=False)\n"
        "print(sorted({'dlt', 'pyarrow', 'httpx', 'genai_prices'} & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "[]\n"
