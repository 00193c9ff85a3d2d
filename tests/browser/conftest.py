"""A real Chromium, driven by Playwright; nothing is downloaded, the machine's own is used.

STORED_COMPLETIONS_BROWSER names one, or says `required`: then these tests fail where there is none.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from paged import account, page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
NONE = (
    "NO BROWSER: the dashboard was not tested in one. Install Chromium (Debian: apt-get install chromium), "
    "or name one in STORED_COMPLETIONS_BROWSER."
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    wanted = os.environ.get("STORED_COMPLETIONS_BROWSER", "")
    names = NAMES if wanted in {"", "required"} else (wanted,)
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None and wanted:
        pytest.fail(NONE)
    if found is None:
        pytest.skip(NONE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of hostile data, as a file."""
    path = tmp_path_factory.mktemp("page") / "dashboard.html"
    with account(600) as connection:
        path.write_text(page(connection, with_content=True, title='A <b>"page"</b>'), encoding="utf-8")
    return path
