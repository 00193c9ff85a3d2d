"""A sync's log as JSON lines, as a log collector gets it."""

import io
import json
from pathlib import Path
from typing import Any

from console import KEY, run
from stored_completions.errors import ServiceError
from stored_completions.log_lines import LogLines
from stored_completions.sandbox import Account, Fault
from synced import serving


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_of_stderr_is_an_object(tmp_path: Path) -> None:
    with serving(Account.generate(30)) as sandbox:
        sandbox.faults.extend([Fault.rate_limited(retry_after_ms=1)])
        done = run("sync", "--log-format", "json", "--json", at=tmp_path, url=sandbox.base_url)
    started, retried, ended = lines(done.err)
    assert (done.code, json.loads(done.out)["rows_new"]) == (0, 30)
    assert (started["event"], started["sources"]) == ("started", ["default"])
    assert (retried["level"], retried["event"], "answered 429" in retried["message"]) == (
        "warning",
        "note",
        True,
    )
    assert (ended["level"], ended["event"], ended["run"]["rows_new"]) == ("info", "ended", 30)


def test_an_error_is_a_line_too_and_the_exit_code_stays(tmp_path: Path) -> None:
    wrong = run("sync", "--log-format", "json", "--lookback", "5x", at=tmp_path, env={"OPENAI_API_KEY": KEY})
    (line,) = lines(wrong.err)
    assert (wrong.code, wrong.out, line["level"], line["exit_code"]) == (2, "", "error", 2)
    with serving(Account.generate(3), api_key="sk-another-one") as sandbox:
        env = {"STORED_COMPLETIONS_LOG_FORMAT": "json"}
        refused = run("sync", at=tmp_path, url=sandbox.base_url, env=env)
    assert (refused.code, [line["event"] for line in lines(refused.err)]) == (2, ["started", "failed"])
    assert KEY not in refused.err


def test_progress_is_logged_now_and_then() -> None:
    stream = io.StringIO()
    log = LogLines(stream)
    log.page(1, 100, 1_795_176_000)
    log._last -= 60
    log.page(2, 200, 1_795_176_000)
    log.failed(ServiceError("The line is cut."), source="eu")
    progress, failed = lines(stream.getvalue())
    assert (progress["pages"], progress["rows"]) == (2, 200)
    assert progress["newest_created_at"] == "2026-11-20T12:00:00+00:00"
    assert (failed["source"], failed["exit_code"]) == ("eu", 1)
