"""What `status` shows people of the state of a warehouse."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console

from stored_completions.content import record as policies
from stored_completions.run_report import TO_THE_END
from stored_completions.status import Status
from stored_completions.tabular import draw, pairs
from stored_completions.wording import moment

_RUN = {
    "last runs": "started_at",
    "outcome": "outcome",
    "seen": "rows_seen",
    "new": "rows_new",
    "changed": "rows_changed",
    "set aside": "rows_quarantined",
}
_SOURCE = {
    "source": "source",
    "completions": "completions",
    "newest": "newest_completion_at",
    "last_synced": "last_synced_at",
    "days_to_expiry": "days_to_expiry",
}


def show(found: Status, console: Console) -> None:
    """Prints it for a person."""
    sources = _with_the_missing(found)
    pairs(console, _lines(found, is_only_one=len(sources) == 1))
    if len(sources) > 1:
        console.print()
        draw(console, *_listed(sources, _SOURCE), grouped=True)
    console.print()
    draw(
        console,
        ("table", "rows"),
        [(f"chat.{name}", rows) for name, rows in found.rows.items()],
        grouped=True,
    )
    if found.runs:
        console.print()
        draw(console, *_listed(found.runs, _RUN), grouped=True)


def _with_the_missing(found: Status) -> list[dict[str, Any]]:
    """What is known of each source; nothing of those that are configured and were never read."""
    there = {row["source"] for row in found.freshness}
    missing = (name for name in found.configured if name not in there)
    return found.freshness + [
        dict.fromkeys(_SOURCE.values()) | {"source": name, "completions": 0} for name in missing
    ]


def _lines(found: Status, is_only_one: bool) -> Iterator[tuple[str, str]]:
    yield "warehouse", f"{found.warehouse}, {found.bytes / 1e6:,.1f} MB"
    yield "published", f"{moment(found.published_at)} UTC"
    if found.last_run:
        yield "last run", _said(found.last_run)
        if found.configured:
            for name in found.configured:
                yield f"last success of {name}", _success(found.last_successes[name])
        elif found.last_run["outcome"] not in TO_THE_END:
            yield "last success", _success(found.last_success_at)
    since = f", since {moment(found.content_policy_since)} UTC" if found.content_policy_since else ""
    what = "completion was" if found.purged == 1 else "completions were"
    purged = f"; {found.purged:,} {what} purged" if found.purged else ""
    yield "content policy", f"{policies.described(found.content_policy)}{since}{purged}"
    yield "input messages", _said_of_messages(found.messages)
    if is_only_one and found.freshness:
        yield from _source_lines(found.sources[0], found.freshness[0])
    for cursor in found.cursors:
        yield _cursor_line(cursor, not is_only_one)
    yield from _bill_lines(found.bills)
    if found.destination:
        yield "destination", found.destination["sentence"]
    for sentence in found.unfinished:
        yield "unfinished", sentence
    for sentence in found.warnings:
        yield "warning", sentence


def _success(at: str | None) -> str:
    return f"{moment(at)} UTC" if at else "none yet"


def _bill_lines(bills: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    if not bills:
        yield "coverage", "unknown: no bill was read, see `sync --billing`"
    for bill in bills:
        project = f"project {bill['project_id']}" if bill["project_id"] else "project not said"
        days = (
            f"{bill['first_date']} to {bill['last_date']} (UTC)"
            if bill["last_date"]
            else f"with source {bill['bill_source']}"
        )
        yield "bill", f"of source {bill['source']}, {project}: read {days}"


def _said_of_messages(messages: dict[str, int]) -> str:
    if not messages["read"] and not messages["failed"]:
        return "not read: sync --messages does"
    failed = f", {messages['failed']:,} of them failed last time" if messages["failed"] else ""
    return f"of {messages['read']:,} completions read, {messages['waiting']:,} to come{failed}"


def _said(run: dict[str, Any]) -> str:
    said = f"{moment(run['finished_at'] or run['started_at'])} UTC, {run['outcome'].replace('_', ' ')}"
    return f"{said}: {run['detail']}" if run["detail"] else said


def _source_lines(source: dict[str, Any], fresh: dict[str, Any]) -> Iterator[tuple[str, str]]:
    project = f", project {source['project']}" if source["project"] else ""
    yield "source", f"{source['source']}, {source['base_url']}{project}"
    newest = f", newest {moment(fresh['newest_completion_at'])} UTC" if fresh["newest_completion_at"] else ""
    gone = [
        f"{fresh[f'{name}_completions']:,} {name}"
        for name in ("deleted", "expired")
        if fresh[f"{name}_completions"]
    ]
    yield (
        "completions",
        f"{fresh['completions']:,}{newest}" + (f" ({', '.join(gone)} at the API)" if gone else ""),
    )
    if fresh["relisted_at"]:
        yield "listed in full", f"{moment(fresh['relisted_at'])} UTC, back to {moment(fresh['listed_from'])}"
    if fresh["possible_expiry_at"]:
        days = fresh["days_to_expiry"]
        yield (
            "sync again by",
            f"{moment(fresh['possible_expiry_at'])} UTC, "
            + (f"in {days} days" if days >= 0 else "which has passed"),
        )


def _cursor_line(cursor: dict[str, Any], with_source: bool) -> tuple[str, str]:
    name = "cursor"
    if not cursor["source"]:
        name += f" {cursor['filter'][:6]}, " + (f"only {cursor['only']}" if cursor["only"] else "filtered")
    elif with_source:
        name += f" of {cursor['source']}"
    if cursor["walk_under_way"]:
        return name, f"{moment(cursor['created_at'])} UTC, on its way: the next sync goes on there"
    if cursor["created_at"] is None:
        return name, "at the beginning: nothing was listed yet"
    at, complete_to = moment(cursor["created_at"]), moment(cursor["settled_short_at"])
    return name, f"{at} UTC, complete {_from(cursor)}to {complete_to.removeprefix(at[:11])}{_missing(cursor)}"


def _from(cursor: dict[str, Any]) -> str:
    return f"from {moment(cursor['covered_from_at'])} " if cursor["covered_from_at"] else ""


def _missing(cursor: dict[str, Any]) -> str:
    """What of the past is still to be read; nothing, if no more is wanted."""
    if not cursor["unread_gaps"]:
        return ""
    down_to = f" down to {moment(cursor['wanted_from_at'])}" if cursor["wanted_from_at"] else ""
    return f"; older ones{down_to} are still to be read: the next sync goes on there"


def _listed(rows: list[dict[str, Any]], columns: dict[str, str]) -> tuple[list[str], list[list[Any]]]:
    """Some columns of rows under other names, their times as people read them."""
    return list(columns), [
        [
            moment(row[name])[:16] if name.endswith("_at") and row[name] else row[name]
            for name in columns.values()
        ]
        for row in rows
    ]
