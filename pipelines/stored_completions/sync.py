"""The main job: drain each account's walk round by round into the working file, then publish it.

Each round is committed together with its cursor, so a sync that dies goes on near where it stood.
While every page shows only what the warehouse already has, the warehouse is open for reading only;
dlt is not even imported before there is something to write. Several accounts are read side by side:
they wait for their servers at once, and take turns at the warehouse.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from stored_completions import custom, damage, warehouse
from stored_completions.config import Settings
from stored_completions.content.policy import Policy
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.shipping import shipping_to
from stored_completions.errors import UsageError, WarehouseError
from stored_completions.interim import Interim
from stored_completions.prices import overrides as price_overrides
from stored_completions.progress import Quiet, Watcher, side_by_side
from stored_completions.rounds import Bounds
from stored_completions.run import Run
from stored_completions.run_report import Report
from stored_completions.session import Session
from stored_completions.stop import Stop, stopping
from stored_completions.warehouse import Files

__all__ = ["Bounds", "Report", "Stop", "stopping", "sync", "sync_all"]


def sync(
    settings: Settings,
    path: Path,
    *,
    max_pages: int | None = None,
    stop: Stop | None = None,
    watcher: Watcher | None = None,
    bounds: Bounds | None = None,
    change_policy: bool = False,
    full: bool = False,
    confirm_deletions: bool = False,
) -> Report:
    """Syncs one source into the warehouse at `path`, in rounds of `bounds`.

    `full` lists everything again and looks for deletions; `confirm_deletions` does so whatever the list is like.
    Raises Busy, UsageError, AccessError, ServiceError, WarehouseError or Stopped; whatever was read
    before is loaded and published, and a repeat is safe.
    """
    (report,) = sync_all(
        [settings],
        path,
        max_pages=max_pages,
        stop=stop,
        watcher=watcher,
        bounds=bounds,
        change_policy=change_policy,
        full=full,
        confirm_deletions=confirm_deletions,
    )
    if report.failure is not None:
        raise report.failure
    return report


def sync_all(
    accounts: Sequence[Settings],
    path: Path,
    *,
    max_pages: int | None = None,
    stop: Stop | None = None,
    watcher: Watcher | None = None,
    bounds: Bounds | None = None,
    change_policy: bool = False,
    full: bool = False,
    confirm_deletions: bool = False,
) -> list[Report]:
    """Syncs several sources into one warehouse, side by side; a report each, with its failure if it failed.

    Raises Busy and WarehouseError, which no source can go on after. `max_pages` counts for each.
    `change_policy` lets them store more of content than the warehouse's recorded policy does.
    """
    files = Files(path.absolute())
    policy = _one_policy(accounts)
    heard, wish = watcher or Quiet(), stop or Stop()
    if not files.published.parent.exists():
        heard.say(f"There is no folder {files.published.parent} yet: it is made.")
    with warehouse.locked(files), shipping_to(_one_destination(accounts), files, heard.say) as shipping:
        first = accounts[0]
        prices = price_overrides.read(first.prices) if first.prices else price_overrides.NONE
        if no_views := custom.missing(first.views):
            heard.say(no_views)
        interval = first.publish_min_interval
        session = Session(
            files,
            heard,
            prices=prices,
            views=first.views,
            publish_min_interval=interval,
            policy=policy,
            change_policy=change_policy,
            content_key=first.content_key,
            interim=Interim((bounds or Bounds()).seconds),
            shipping=shipping,
        )
        shared = (bounds or Bounds()).shared_by(len(accounts))
        watchers = side_by_side(heard, [each.source for each in accounts])
        runs = [
            Run(session, own, max_pages or own.max_pages, wish, watcher, shared)
            for own, watcher in zip(accounts, watchers, strict=True)
        ]
        if full:
            for run in runs:
                run.list_everything(is_confirmed=confirm_deletions)
        with _noted(session, runs):
            _carry_out(session, runs)
    return [run.report for run in runs]


def _one_policy(accounts: Sequence[Settings]) -> Policy:
    """What is kept of content: a warehouse has one policy."""
    policy = accounts[0].content
    if any(each.content != policy for each in accounts):
        raise UsageError(
            "The sources have different settings of content or logprobs, but a warehouse has one policy: set the same "
            "for all, or sync them into a file each, with --warehouse."
        )
    return policy


def _one_destination(accounts: Sequence[Settings]) -> Target | None:
    """Where the warehouse is kept as well: in one place, or nowhere else."""
    destination = accounts[0].destination
    if any(each.destination != destination for each in accounts):
        raise UsageError(
            "The sources have different destinations, but one warehouse is kept equal to one: set the same for all, or "
            "sync them into a file each, with --warehouse."
        )
    return destination


def _carry_out(session: Session, runs: Sequence[Run]) -> None:
    try:
        session.open(reads_all=any(run.report.is_full for run in runs))
        if len(runs) == 1:
            runs[0].run()
        else:
            with ThreadPoolExecutor(len(runs), "account") as pool:
                for each in [pool.submit(run.run) for run in runs]:
                    each.result()
        session.finish([run.ended for run in runs if run.has_begun])
    finally:
        session.close()


@contextmanager
def _noted(session: Session, runs: Sequence[Run]) -> Iterator[None]:
    """Notes what no run could go on after, in a sentence."""
    try:
        yield
    except WarehouseError as error:
        failure = error
    except (OSError, duckdb.Error) as error:
        failure = WarehouseError(
            f"Cannot work on {session.files.working}: {warehouse.first_line(error)} "
            f"{warehouse.remedy(session.files, error)}"
        )
        failure.__cause__ = error
    else:
        return
    if damage.is_cause_of(failure):
        with suppress(OSError):
            session.files.suspected.touch()
    for run in runs:
        run.report.fail(failure)
    session.note_failure([run.report for run in runs])
    raise failure
