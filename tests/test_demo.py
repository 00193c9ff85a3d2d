"""`demo`: the whole job in an empty folder, with no key and no settings, and again."""

import re
from decimal import Decimal
from pathlib import Path

import duckdb

from console import as_anyone, run

NAME = "stored_completions_demo.duckdb"
SIZE = 150


def test_the_whole_job_twice(tmp_path: Path) -> None:
    """Settings that would lead it astray are not read; the second demo starts anew."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text('[sources.stored_completions]\nbase_url = "nonsense"\n')
    env = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "STORED_COMPLETIONS_WAREHOUSE": "other.duckdb"}
    first = run("demo", "--completions", str(SIZE), at=tmp_path, env=env)
    assert (first.code, first.err) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".dlt", ".stored_completions", NAME]
    again = run("demo", "--completions", str(SIZE + 1), at=tmp_path, env=env)
    assert (again.code, again.err) == (0, "")
    with duckdb.connect(str(tmp_path / NAME), read_only=True) as connection:
        assert connection.execute("select count(*) from chat.completions").fetchall() == [(SIZE + 1,)]
        outcomes = connection.execute("select outcome from chat.sync_runs order by started_at").fetchall()
        assert outcomes == [("done",), ("nothing_new",)] * 2
        (turns,) = connection.execute("select count(*), max(turn_index) > 1 from marts.turns").fetchall()
        assert turns == (SIZE + 1, True)
    assert_report(first.out, SIZE)
    assert_commands_work(first.out, tmp_path)


def assert_report(out: str, size: int) -> None:
    """At most 82 lines of 80 columns: the figures, what they rest on, the bill beside them, what to do next."""
    lines = out.splitlines()
    assert len(lines) <= 82
    assert max(map(len, lines)) <= 80
    assert not any(line.endswith(" ") for line in lines)
    assert f"Synced: {size} completions in 2 requests" in out
    assert "Synced again: nothing new in 1 request, and nothing written." in out
    assert re.search(rf"Synced with --messages: \d+ input messages in {size + 1} requests\.", out)
    cells = [line.split() for line in lines]
    assert ["chat.completions", str(size), "One", "stored", "chat"] in [row[:5] for row in cells]
    assert any(row[:1] == ["gpt-4o-mini-2024-07-18"] and len(row) == 6 for row in cells)
    assert any(row[:1] == ["Total"] and row[1] == str(size) for row in cells)
    assert "is an upper bound: only totals were stored" in " ".join(out.split())
    steps = lines[lines.index(next(line for line in lines if line.startswith("step  "))) + 1 :]
    amounts = [Decimal(line.rsplit(maxsplit=1)[1]) for line in steps[: steps.index("")]]
    assert len(amounts) >= 10
    assert abs(sum(amounts[:-1]) - amounts[-1]) < Decimal("0.001")
    assert re.search(r"are stored of [\d,]+ requests billed \(\d+\.\d %\)\.", out)
    for command in ("export OPENAI_API_KEY=sk-...", "stored-completions check", "stored-completions sync"):
        assert f"  {command}" in lines


def assert_commands_work(out: str, folder: Path) -> None:
    """What it says to look around with, run as it stands."""
    said = [line.split()[1:] for line in out.splitlines() if line.startswith("  stored-completions ")]
    (dashboard,) = (words for words in said if words[0] == "dashboard")
    assert run(*dashboard, at=folder).code == 0
    assert (folder / "dashboard.html").stat().st_size > 100_000
    (report,) = (words for words in said if words[0] == "report")
    assert run(*report, "--warehouse", NAME, at=folder).code == 0


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    done = run("demo", at=tmp_path, preexec_fn=as_anyone)
    assert (done.code, done.out) == (1, "")
    assert "Permission denied" in done.err
