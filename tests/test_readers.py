"""Analysts who read all the time: no sync fails for them, and they see one whole state or another."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from stored_completions.sandbox import Account
from synced import NAME, NOW, assert_exact, serving, synced
from test_sync import completion


def reader(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "soak.reader", str(folder / NAME), "0.25"]
    return subprocess.Popen(
        command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: "subprocess.Popen[str]") -> dict[str, Any]:
    process.send_signal(signal.SIGTERM)
    said, errors = process.communicate(timeout=60)
    assert errors == ""
    found: dict[str, Any] = json.loads(said)
    return found


def test_four_readers_while_ten_syncs_publish(tmp_path: Path) -> None:
    account = Account.generate(60, per_second=2, logprob_share=0.1)
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        readers = [reader(tmp_path) for _ in range(4)]
        try:
            for number in range(10):
                account.add(completion(f"new{number}", NOW - 30 + number))
                account.update_metadata(f"new{number}", {"round": str(number), "another": "pair"})
                assert synced(sandbox, tmp_path).published
        finally:
            found = [ended(process) for process in readers]
        assert_exact(tmp_path, account)
    assert [each["errors"] for each in found] == [[]] * 4
    assert all(each["queries"] >= 2 for each in found)
    assert max(each["states"] for each in found) > 1
