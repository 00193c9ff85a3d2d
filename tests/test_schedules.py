"""The recipes in `schedules/` that need nothing but this machine: cron's commands and systemd's units.

Airflow, Dagster and the schema of GitHub's workflows have an environment of their own: `make test-schedules`.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from console import SCRIPT, environment
from stored_completions.sandbox import Account
from stored_completions.warehouse import Files, locked
from synced import NAME, serving

SCHEDULES = Path(__file__).resolve().parent.parent / "schedules"
MOST_EXPOSED = 20  # tenths, as systemd-analyze counts them: "OK" begins below 50


def cron_lines() -> list[str]:
    """The commands, without their times."""
    lines = (SCHEDULES / "crontab").read_text().splitlines()
    return [re.split(r"\s+", line, maxsplit=5)[5] for line in lines if re.match(r"[\d*]", line)]


def ran(command: str, folder: Path, url: str) -> tuple[int, str]:
    """Exit code and what cron would mail; cron runs commands with /bin/sh and little of an environment."""
    here = command.replace("/srv/completions", str(folder))
    env = environment(folder, OPENAI_API_KEY="sk-sandbox", OPENAI_BASE_URL=url)
    env["PATH"] = f"{SCRIPT.parent}:/usr/bin:/bin"
    done = subprocess.run(["/bin/sh", "-c", here], env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_cron_mails_failures_and_nothing_else(tmp_path: Path) -> None:
    sync, fresh = cron_lines()
    with serving(Account.generate(10), api_key="sk-sandbox") as sandbox:
        code, mailed = ran(fresh, tmp_path, sandbox.base_url)
        assert (code, "There is no warehouse" in mailed) == (1, True)
        assert ran(sync, tmp_path, sandbox.base_url) == (0, "")
        assert ran(fresh, tmp_path, sandbox.base_url) == (0, "")
        with locked(Files(tmp_path / NAME)):
            assert ran(sync, tmp_path, sandbox.base_url) == (0, "")
        sandbox.rules = type(sandbox.rules)(api_key="sk-another")
        code, mailed = ran(sync, tmp_path, sandbox.base_url)
        assert (code, "the key is not accepted" in mailed) == (1, True)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with a program that is there on any machine."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NO systemd-analyze HERE: the systemd units were NOT verified.")
    folder = tmp_path / "units"
    shutil.copytree(SCHEDULES / "systemd", folder)
    for unit in folder.glob("*.service"):
        unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M))
    return folder


def test_systemd_takes_the_units(units: Path) -> None:
    names = [unit.name.replace("@.", "@failed.") for unit in sorted(units.iterdir())]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names],
        cwd=units,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["stored-completions.service", "stored-completions-stale.service"])
def test_the_services_are_hardened(units: Path, name: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", name],
        cwd=units, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:]
