"""Is everything there that a sync needs? Asked one by one, with nothing written."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from stored_completions.client import Client
from stored_completions.config import Settings
from stored_completions.errors import NotFound, StoredCompletionsError
from stored_completions.pages import Page, read_page
from stored_completions.query import reading
from stored_completions.store import Store
from stored_completions.warehouse import Files


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `error` is set when it stands in the way of a sync."""

    what: str
    found: str
    error: StoredCompletionsError | None = None


def check(settings: Settings, path: Path) -> Iterator[Finding]:
    """Findings in the order a sync would meet them; later ones are left out when they cannot be asked."""
    files = Files(path.absolute())
    yield _guarded("settings", lambda: f"{settings.endpoint.base_url}, look-back {settings.pace.long} s")
    with Client(settings.endpoint, settings.patience) as client:
        listed = _Listed(client, settings)
        finding = _guarded("list of completions", listed.ask)
        yield finding
        if finding.error is None and listed.an_id:
            yield _guarded("input messages", listed.ask_messages)
    yield _guarded("warehouse", lambda: _warehouse(files, settings))
    yield _guarded("lock", lambda: _lock(files))


class _Listed:
    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._query = settings.query
        self.an_id: str | None = None

    def ask(self) -> str:
        answer = self._client.list_completions(
            read_page, limit=1, order="desc", model=self._query.model, metadata=self._query.metadata
        )
        page: Page = answer.value
        if not page.completions:
            return (
                "answers, and lists nothing: none was stored with store: true, they are another project's, or the "
                "organisation retains no data. That is no error"
            )
        self.an_id = _an_id(page)
        return "answers, the key may read it"

    def ask_messages(self) -> str:
        try:
            self._client.messages(read_page, self.an_id or "", limit=1)
        except NotFound:
            return "this server lists none for the newest completion"
        return "answers, the key may read it"


def _an_id(page: Page) -> str | None:
    from stored_completions.completions import item

    found = item(page.completions[0])
    return found.completion_id if found else None


def _warehouse(files: Files, settings: Settings) -> str:
    folder = files.published.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise StoredCompletionsError(
            f"{folder} is no folder that can be written to: name another with --warehouse."
        )
    free = shutil.disk_usage(folder).free / 1e9
    if not files.published.exists():
        return f"{files.published} will be made, {free:.0f} GB are free"
    with reading(files.published) as connection:
        held = Store(connection)
        bound = held.binding(settings.source)
        rows = held.completions()
    here = (settings.endpoint.place, settings.endpoint.project)
    if bound and bound != here:
        raise StoredCompletionsError(
            f"{files.published} holds source {settings.source!r} from {bound[0]}, not from {here[0]}: name another file "
            f"with --warehouse, or another source with --source."
        )
    return f"{files.published} holds {rows:,} completions, {free:.0f} GB are free"


def _lock(files: Files) -> str:
    if not files.lock.exists():
        return "free"
    try:
        with FileLock(files.lock, blocking=False):
            return "free"
    except Timeout:
        return "held: a sync is running now"


def _guarded(what: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(what, ask())
    except StoredCompletionsError as error:
        return Finding(what, str(error), error)
