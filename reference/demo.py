"""The demo account with its clock standing still, really synced: the same rows at every run."""

from pathlib import Path

from stored_completions.config import settings
from stored_completions.sandbox import Account, Sandbox
from stored_completions.sandbox.bill import PROJECT
from stored_completions.sandbox.generate import UNTIL
from stored_completions.sync import sync

COMPLETIONS = 2_000
NAME = "stored_completions_demo.duckdb"


def make(folder: Path) -> Path:
    """Syncs the account into a new warehouse in the folder; the file that analysts would open."""
    path = folder / NAME
    with Sandbox(Account.generate(COMPLETIONS, until=UNTIL), now=UNTIL + 60) as sandbox:
        account = {"api_key": "sk-sandbox", "base_url": sandbox.base_url}
        bill = {"billing": True, "admin_key": "sk-admin-sandbox", "billing_project": PROJECT}
        messages = {"messages": True, "images": "once"}
        sync(settings(account | bill | messages, {}, None), path)
    return path
