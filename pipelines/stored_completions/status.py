"""What a person asks of a warehouse before trusting it: how fresh, how complete, what ran last.

A run that found nothing new is in the notes beside the warehouse and not in it; here they are one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from stored_completions import advice, forced, journal, query, relisting, warehouse
from stored_completions.content import record as policies
from stored_completions.cursor import Cursor
from stored_completions.destinations.kinds import Target
from stored_completions.destinations.looking import look
from stored_completions.errors import StoredCompletionsError, Unmet
from stored_completions.reader import Filter, cursor_key
from stored_completions.run_report import TO_THE_END
from stored_completions.store import Store
from stored_completions.tables import ATTACHMENTS, MESSAGES, PROMPTS, TABLES
from stored_completions.warehouse import Files
from stored_completions.wording import moment

_MOST_RUNS = 5
_KEPT = timedelta(days=30)
_OF_MESSAGES = (MESSAGES, PROMPTS, ATTACHMENTS)


@dataclass(frozen=True)
class Status:
    """The state of one warehouse file; times are ISO 8601, UTC.

    `configured` are the sources with a part of their own in the settings. Of several, `last_success_at` is that of
    the one which is furthest behind, and null as long as one of them never ended well.
    """

    warehouse: str
    bytes: int
    published_at: str | None
    last_success_at: str | None
    last_successes: dict[str, str | None]
    configured: list[str]
    last_run: dict[str, Any] | None
    sources: list[dict[str, Any]]
    cursors: list[dict[str, Any]]
    rows: dict[str, int]
    freshness: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    content_policy: dict[str, str]
    content_policy_since: str | None
    purged: int
    bills: list[dict[str, Any]]
    messages: dict[str, int]
    unfinished: list[str]
    warnings: list[str]
    destination: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def status(
    path: Path,
    now: datetime | None = None,
    destination: Target | None = None,
    configured: Sequence[str] = (),
) -> Status:
    """Reads the published copy, the notes beside it, and what `destination` says of itself; changes nothing."""
    files = Files(path.absolute())
    with query.reading(path) as connection:
        published_at = warehouse.published_at(connection)
        if published_at is None:
            raise warehouse.foreign(files)
        notes = journal.read(files)
        runs = _runs(connection, notes)
        at = now or datetime.now(UTC)
        sources = _rows(connection, "select * from chat.sources order by source")
        names = sorted({source["source"] for source in sources} | {*configured})
        ended = {name: _last_success(advice.of_source(runs, name), "finished_at") for name in names}
        return Status(
            warehouse=str(files.published),
            bytes=files.published.stat().st_size,
            published_at=_text(published_at),
            last_success_at=_furthest_behind({name: ended[name] for name in configured})[1]
            if configured
            else _last_success(runs, "finished_at"),
            last_successes=ended,
            configured=[*configured],
            last_run=runs[0] if runs else None,
            sources=sources,
            cursors=_cursors(connection, notes, sources),
            rows=_counts(connection),
            freshness=_freshness(connection, runs, at),
            runs=runs[:_MOST_RUNS],
            content_policy=policies.recorded(connection),
            content_policy_since=_text(policies.since(connection)),
            purged=Store(connection).purges(),
            bills=_bills(connection),
            messages=_messages(connection, runs),
            unfinished=[*_unfinished(files), *_relistings(connection)],
            warnings=advice.warnings(runs, [source["source"] for source in sources], at),
            destination=_destination(connection, destination) if destination else None,
        )


def check_age(found: Status, most_seconds: int, now: datetime) -> None:
    """Raises Unmet unless a sync, and one of each configured source, ended well within the last `most_seconds`."""
    whose = ""
    last = found.last_success_at
    if found.configured:
        name, last = _furthest_behind({name: found.last_successes[name] for name in found.configured})
        whose = f" of source {name}"
    if not last:
        raise Unmet(f"No sync{whose} of {found.warehouse} has ended well yet.")
    age = (now - datetime.fromisoformat(last)).total_seconds()
    if age > most_seconds:
        raise Unmet(
            f"The last successful sync{whose} of {found.warehouse} was {_span(age)} ago, which is more than the "
            f"{_span(most_seconds)} allowed."
        )


def _furthest_behind(ended: dict[str, str | None]) -> tuple[str, str | None]:
    """The source that never ended well, else the one whose last success is the oldest."""
    return min(ended.items(), key=lambda each: each[1] or "")


def _destination(connection: duckdb.DuckDBPyConnection, chosen: Target) -> dict[str, Any]:
    """Where it stands, and the sentence for people; only that when it cannot be asked."""
    try:
        found = look(chosen, connection)
    except StoredCompletionsError as error:
        return {"sentence": str(error)}
    return found.as_json() | {"sentence": found.sentence()}


def _bills(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Which bill each source is compared with, and how far it was read; none in an older warehouse."""
    if not _rows(connection, "select 1 from duckdb_tables() where table_name = 'organization_bills'"):
        return []
    return [
        {name: str(value) if isinstance(value, date) else value for name, value in row.items()}
        for row in _rows(connection, "select * from chat.organization_bills order by source")
    ]


def _messages(connection: duckdb.DuckDBPyConnection, runs: list[dict[str, Any]]) -> dict[str, int]:
    """Completions with and without input messages, and how many failed in the last run that asked for any."""
    read, waiting = Store(connection).messages()
    asked = (run for run in runs if run.get("messages_synced") or run.get("messages_failed"))
    return {"read": read, "waiting": waiting, "failed": next(asked, {}).get("messages_failed") or 0}


def _runs(connection: duckdb.DuckDBPyConnection, notes: journal.Notes) -> list[dict[str, Any]]:
    """Every run known, newest first: those in the warehouse, and those noted beside it."""
    known = {
        run["run_id"]: run
        for run in _rows(
            connection, "select * exclude (_dlt_load_id) from chat.sync_runs order by sync_runs.started_at"
        )
    }
    noted = [*notes.runs, *([notes.last] if notes.last else [])]
    for run in noted:
        times = {name: _shortened(run[name]) for name in ("started_at", "finished_at")}
        known[run["run_id"]] = known.pop(run["run_id"], {}) | run | times
    # Whole seconds are shown: of two runs in one second, the one that stands later here is the newer.
    return sorted(known.values(), key=lambda run: str(run["started_at"]))[::-1]


def _last_success(runs: list[dict[str, Any]], at: str) -> str | None:
    return next((run[at] for run in runs if run["outcome"] in TO_THE_END), None)


def _freshness(
    connection: duckdb.DuckDBPyConnection, runs: list[dict[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    """The view's rows, with the runs that found nothing new."""
    rows = _rows(connection, "select * from marts.freshness order by source")
    for row in rows:
        last = _last_success(advice.complete(runs, row["source"]), "started_at")
        if last and last > (row["last_synced_at"] or ""):
            expiry = datetime.fromisoformat(last) + _KEPT
            row |= {
                "last_synced_at": last,
                "possible_expiry_at": _text(expiry),
                "days_to_expiry": (expiry - now).days,
            }
    return rows


def _cursors(
    connection: duckdb.DuckDBPyConnection, notes: journal.Notes, sources: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Each cursor without its trail; the later one where a run that found nothing new moved it."""
    state = Store(connection).state()
    cursors = state.cursors | (notes.cursors if notes.basis == state.basis else {})
    unfiltered = {
        cursor_key(source["base_url"], Filter(), source["source"]): source["source"] for source in sources
    }
    narrowed = _by_model(connection, sources) if cursors.keys() - unfiltered.keys() else {}
    shown = []
    for key, cursor in sorted(cursors.items()):
        position, backfill = cursor["position"] or {}, cursor.get("backfill") or {}
        shown.append(
            {
                "source": unfiltered.get(key),
                "filter": key,
                "only": narrowed.get(key),
                "position": position.get("id"),
                "created_at": _second(position.get("created")),
                "newest_at": _second(cursor["newest"]),
                "settled_short_at": _second(cursor["settled"]["short"]),
                "settled_long_at": _second(cursor["settled"]["long"]),
                "covered_from_at": _second(Cursor.from_json(cursor).covered_from),
                "wanted_from_at": _second(backfill.get("since")),
                "unread_gaps": len(backfill.get("gaps", ())),
                "walk_under_way": cursor["walk"]["started_at"] is not None,
            }
        )
    return shown


def _by_model(connection: duckdb.DuckDBPyConnection, sources: list[dict[str, Any]]) -> dict[str, str]:
    """What a cursor is of that asks for one model: a key is a hash, but which models there are is known."""
    models = _rows(connection, "select distinct model from chat.completions where model is not null")
    return {
        cursor_key(source["base_url"], Filter(each["model"]), source["source"]): (
            f"model {each['model']} of source {source['source']}"
        )
        for source in sources
        for each in models
    }


def _counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows by table; of input messages only where some were read."""
    there = {row["table_name"] for row in _rows(connection, "select table_name from duckdb_tables()")}
    counts = {
        table.name: int(_rows(connection, f"select count(*) as rows from chat.{table.name}")[0]["rows"])
        for table in (*TABLES, *_OF_MESSAGES)
        if table.name in there
    }
    of_messages = {table.name for table in _OF_MESSAGES}
    return {name: rows for name, rows in counts.items() if rows or name not in of_messages}


def _unfinished(files: Files) -> list[str]:
    sentences = []
    if files.was_cut():
        sentences.append("A sync is writing, or died while it was: the next sync continues where it stood.")
    if files.purging.exists():
        sentences.append(
            "A purge is working, or died while it was: repeat it, content may still be on the disk."
        )
    if files.unpublished.exists():
        sentences.append("Rows are loaded that are not published yet: the next sync publishes them.")
    return sentences + list(forced.signs(files))


def _relistings(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    for each in relisting.all_under_way(connection):
        at = each.cursor.position
        where = f"stands at {moment(_second(at.created))} UTC" if at else "is at its beginning"
        yield (
            f"A full re-list of source {each.source}, begun {moment(_text(each.started_at))} UTC, {where}: "
            f"`sync --full` goes on there."
        )


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    result = query.select(connection, sql)
    return [
        {
            name: _text(value) if isinstance(value, datetime) else value
            for name, value in zip(result.columns, row, strict=True)
        }
        for row in result.rows
    ]


def _second(second: int | None) -> str | None:
    return None if second is None else _text(datetime.fromtimestamp(second, UTC))


def _shortened(text: str | None) -> str | None:
    return None if text is None else _text(datetime.fromisoformat(text))


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")


def _span(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}s"
    return f"{max(seconds, 0):.0f} {'second' if seconds == 1 else 'seconds'}"
