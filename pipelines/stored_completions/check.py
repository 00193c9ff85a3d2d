"""Is everything there that a sync needs? Asked one by one, with nothing written."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from stored_completions import custom
from stored_completions.billing.reading import Days, read
from stored_completions.billing.reports import COSTS, USAGE
from stored_completions.client import Client
from stored_completions.config import Settings
from stored_completions.content import record as policies
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.looking import look
from stored_completions.errors import (
    NotFound,
    StoredCompletionsError,
    UsageError,
    WarehouseError,
)
from stored_completions.messages import keys
from stored_completions.pages import Page, read_page
from stored_completions.prices import overrides
from stored_completions.query import reading
from stored_completions.store import Store
from stored_completions.warehouse import Files, check_name, foreign, held, published_at
from stored_completions.wording import counted

_TRIES = 3

_SMALLEST = 20_000_000  # bytes that even an empty warehouse takes, twice


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `error` is set when it stands in the way of a sync."""

    what: str
    found: str
    error: StoredCompletionsError | None = None


def check(settings: Settings, path: Path, say: Callable[[str], None] = lambda _: None) -> Iterator[Finding]:
    """Findings in the order a sync would meet them; later ones are left out when they cannot be asked.

    `say` hears why an answer takes long.
    """
    files = Files(path.absolute())
    yield Finding("settings", _said(settings))
    if settings.prices is not None:
        yield _guarded("prices", partial(_prices, settings.prices))
    if settings.views is not None:
        yield _guarded("views", partial(_views, settings.views))
    patience = replace(settings.patience, max_attempts=min(_TRIES, settings.patience.max_attempts))
    with Client(settings.endpoint, patience, on_retry=say) as client:
        listed = _Listed(client, settings)
        finding = _guarded("list of completions", listed.ask)
        yield finding
        if finding.error is None and listed.an_id:
            yield _guarded("input messages", listed.ask_messages)
    if settings.billing is not None:
        with Client(settings.billing.endpoint, patience, on_retry=say) as client:
            yield _guarded("bill", partial(_bill, client))
    yield _guarded("warehouse", lambda: _warehouse(files, settings))
    yield _guarded("lock", lambda: _lock(files))
    chosen = settings.destination
    if chosen is not None:
        yield _guarded("destination", partial(_destination, files, chosen))


def _said(settings: Settings) -> str:
    endpoint, query = settings.endpoint, settings.query
    account = {"organization": endpoint.organization, "project": endpoint.project}
    only = {"model": query.model, **{f"metadata {key}": value for key, value in query.metadata.items()}}
    said = [f"source {settings.source!r} at {endpoint.place}"]
    said += [f"{name} {value}" for name, value in account.items() if value]
    said += [f"look-back {settings.pace.long} s"]
    said += [f"only {name} {value}" for name, value in only.items() if value]
    return ", ".join(said)


def _prices(file: Path) -> str:
    overrides.read(file)
    return f"{file} can be read"


def _views(folder: Path) -> str:
    if said := custom.missing(folder):
        raise UsageError(said)
    return f"{folder} is there"


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
                "answers, and lists nothing. That is no error: none was stored (make requests with store: true), "
                "they belong to another project (use its key), a filter leaves none, or the organisation keeps no data"
            )
        self.an_id = _an_id(page)
        return "answers, and the key may read it"

    def ask_messages(self) -> str:
        try:
            self._client.messages(read_page, self.an_id or "", limit=1)
        except NotFound:
            return "none for the newest completion, as on servers that do not keep them"
        return "answers, and the key may read them"


def _bill(client: Client) -> str:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    for report in (USAGE, COSTS):
        read(client, report, "check", Days(yesterday, yesterday), lambda _: None)
    return "usage and costs answer, and the admin key may read them"


def _an_id(page: Page) -> str | None:
    from stored_completions.items import item

    found = item(page.completions[0])
    return found.completion_id if found else None


def _warehouse(files: Files, settings: Settings) -> str:
    check_name(files)
    for folder in (files.published.parent, files.folder):
        _check_writable(folder)
    free = _free_gigabytes(files)
    if not files.published.exists():
        made = "will be made" if files.published.parent.exists() else "will be made, and its folder"
        return f"{files.published} {made}, {free:,.1f} GB are free"
    with reading(files.published) as connection:
        if published_at(connection) is None:
            raise foreign(files)
        store = Store(connection)
        rows = store.completions()
        store.check_binding(files.published, settings.source, settings.endpoint)
        policies.check(connection, settings.content)
        keys.check(connection, settings.content_key)
    return f"{files.published} holds {counted(rows, 'completion')}, {free:,.1f} GB are free"


def _destination(files: Files, chosen: Target) -> str:
    if not files.published.exists():
        return look(chosen, None).sentence()
    with reading(files.published) as connection:
        return look(chosen, connection).sentence()


def _free_gigabytes(files: Files) -> float:
    """What is left for the working file and its copy; WarehouseError when the copy could not be made."""
    free = shutil.disk_usage(_existing(files.published.parent)).free
    needed = max(_SMALLEST, files.published.stat().st_size if files.published.exists() else 0)
    if free < needed:
        raise WarehouseError(
            f"Only {free / 1e6:,.0f} MB are free beside {files.published}, and a sync needs {needed / 1e6:,.0f} MB to "
            f"publish a copy: free some, or name another place with --warehouse."
        )
    return free / 1e9


def _check_writable(folder: Path) -> None:
    existing = _existing(folder)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise WarehouseError(
            f"{existing} cannot be written to, where a sync keeps its files: name another place with --warehouse, or "
            f"change the permissions."
        )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there: a sync makes the rest."""
    return next(each for each in (folder, *folder.parents) if os.path.lexists(each))


def _lock(files: Files) -> str:
    try:
        with held(files) as is_held:
            return (
                "free" if is_held else "held, a sync is running now: another one would end with exit code 75"
            )
    except OSError as error:
        raise WarehouseError(
            f"{files.lock} cannot be read ({error.strerror}): change its permissions, or name another place with "
            f"--warehouse."
        ) from None


def _guarded(what: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(what, ask())
    except StoredCompletionsError as error:
        return Finding(what, str(error), error)
