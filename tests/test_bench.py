"""The bench on accounts of a few rows: that it runs, counts the same rows everywhere, and draws its table."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = (
    "| account | contender | CPU s | x raw SQL | peak MB | rows / CPU s | file MB | % of JSON | requests | x server |"
    " runs |"
)


def bench(*arguments: str) -> list[str]:
    """The lines of one run; it fails by itself where ours and raw SQL have not the same rows."""
    command = [sys.executable, "-m", "bench.run", "--runs", "1", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_rest_api_alone_as_markdown() -> None:
    lines = bench(
        "--account",
        "plain",
        "--scale",
        "0.002",
        "--markdown",
        "--without",
        "ours",
        "--without",
        "raw DuckDB SQL",
    )
    assert lines[0] == HEADER
    row = cells(lines[2])
    assert row[:2] == ["plain", "dlt rest_api"]
    assert len(row) == 11
    assert float(row[2]) > 0
    assert float(row[4]) > 0
    assert (row[3], row[8:]) == ("", ["1", "", "1"])
    assert lines[-1].startswith("plain: 100 completions, 0.1 MB of JSON, ")


def test_logprobs_make_the_same_rows_in_raw_sql_and_in_ours() -> None:
    lines = bench("--account", "top 5", "--scale", "0.0015", "--without", "dlt rest_api")
    assert lines[0].split()[:2] == ["account", "contender"]
    assert [line[:27].strip() for line in lines[2:5]] == [
        "top 5    raw DuckDB SQL",
        "top 5    ours",
        "top 5    ours, nothing new",
    ]
    tokens = 3 * 200
    completions_choices_and_usage = 3 * 3
    least = tokens + 5 * tokens + completions_choices_and_usage
    rows = int(lines[-1].split(" of JSON, ")[1].split(" rows")[0].replace(",", ""))
    most_metadata = 3 * 16
    assert least <= rows <= least + most_metadata


def test_a_profile_names_every_phase_of_a_sync() -> None:
    lines = bench("--profile", "--account", "top 5", "--scale", "0.0015", "--markdown")
    spent = {row[1]: float(row[2]) for row in map(cells, lines[2:-1])}
    assert {"HTTP", "logprobs into columns", "dlt", "insert", "checkpoint"} < set(spent)
    assert spent["start, imports"] > 0.1
    phases = [seconds for name, seconds in spent.items() if not name.startswith("for comparison")]
    assert spent["together"] == max(phases)
