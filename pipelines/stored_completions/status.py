"""What a person asks of a warehouse before trusting it: how fresh, how complete, what ran last."""

import contextlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from stored_completions import journal, query, warehouse
from stored_completions.errors import Unmet
from stored_completions.store import Store
from stored_completions.tables import TABLES
from stored_completions.warehouse import Files

_RUN = (
    "started_at",
    "outcome",
    "pages",
    "requests",
    "rows_new",
    "rows_changed",
    "rows_late",
    "rows_quarantined",
)
_GOOD = ("done", "nothing_new")


@dataclass(frozen=True)
class Status:
    """The state of one warehouse file; times are ISO 8601, UTC."""

    warehouse: str
    bytes: int
    published_at: str | None
    last_success_at: str | None
    last_run: dict[str, Any] | None
    sources: list[dict[str, Any]]
    cursors: list[dict[str, Any]]
    rows: dict[str, int]
    freshness: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    content_policy: str
    unfinished: list[str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def status(path: Path) -> Status:
    """Reads the published copy and the notes beside it; changes nothing."""
    files = Files(path.absolute())
    with query.reading(path) as connection:
        notes = journal.read(files)
        last_run = notes.last
        return Status(
            warehouse=str(files.published),
            bytes=files.published.stat().st_size,
            published_at=_text(warehouse.published_at(connection)),
            last_success_at=_text(_last_success(connection, last_run)),
            last_run=last_run,
            sources=_rows(connection, "select * from chat.sources order by source"),
            cursors=_cursors(connection, notes),
            rows=_counts(connection),
            freshness=_rows(connection, "select * from marts.freshness order by source"),
            runs=_rows(
                connection,
                "select * exclude (_dlt_load_id) from chat.sync_runs order by started_at desc limit 5",
            ),
            content_policy="keep",
            unfinished=_unfinished(files),
        )


def show(found: Status, console: Console) -> None:
    """Prints it for a person."""
    console.print(
        f"{found.warehouse}, {found.bytes / 1e6:,.1f} MB, published {found.published_at}", soft_wrap=True
    )
    last = found.last_run or {}
    outcome = f"{last.get('outcome')} at {last.get('finished_at', '')[:19]}" if last else "unknown"
    console.print(f"last run: {outcome}; last success: {found.last_success_at or 'none'}", soft_wrap=True)
    if last.get("detail"):
        console.print(last["detail"], markup=False, soft_wrap=True)
    for sentence in found.unfinished:
        console.print(sentence, soft_wrap=True)
    console.print(f"content policy: {found.content_policy}")
    for title, rows in (
        ("Freshness", found.freshness),
        ("Cursors", found.cursors),
        ("Rows", [{"table": f"chat.{name}", "rows": count} for name, count in found.rows.items()]),
        ("Last runs", [{name: run[name] for name in _RUN} for run in found.runs]),
    ):
        if rows:
            query.draw(console, list(rows[0]), [list(row.values()) for row in rows], title)


def check_age(found: Status, most_seconds: int, now: datetime) -> None:
    """Raises Unmet unless a sync ended well within the last `most_seconds`."""
    last = found.last_success_at and datetime.fromisoformat(found.last_success_at)
    if not last:
        raise Unmet(f"No sync of {found.warehouse} has ended well yet.")
    age = (now - last).total_seconds()
    if age > most_seconds:
        raise Unmet(
            f"The last successful sync of {found.warehouse} was {_span(age)} ago, which is more than the "
            f"{_span(most_seconds)} allowed."
        )


def _last_success(connection: duckdb.DuckDBPyConnection, last_run: dict[str, Any] | None) -> datetime | None:
    row = connection.execute(
        "select max(finished_at) from chat.sync_runs where outcome in ('done', 'nothing_new')"
    ).fetchone()
    times = [row[0]] if row and row[0] else []
    if last_run and last_run.get("outcome") in _GOOD and last_run.get("finished_at"):
        times.append(datetime.fromisoformat(last_run["finished_at"]))
    return max(times, default=None)


def _cursors(connection: duckdb.DuckDBPyConnection, notes: journal.Notes) -> list[dict[str, Any]]:
    """Each cursor without its trail; the later one where a run that found nothing new moved it."""
    state = Store(connection).state()
    cursors = dict(state.cursors) | (notes.cursors if notes.basis == state.basis else {})
    shown = []
    for key, cursor in sorted(cursors.items()):
        position = cursor["position"] or {}
        shown.append(
            {
                "filter": key,
                "position": position.get("id"),
                "created_at": _second(position.get("created")),
                "newest_at": _second(cursor["newest"]),
                "settled_short_at": _second(cursor["settled"]["short"]),
                "settled_long_at": _second(cursor["settled"]["long"]),
                "walk_under_way": cursor["walk"]["started_at"] is not None,
            }
        )
    return shown


def _counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    counts = {}
    for table in TABLES:
        with contextlib.suppress(duckdb.CatalogException):
            counts[table.name] = connection.execute(f"select count(*) from chat.{table.name}").fetchall()[0][
                0
            ]
    return counts


def _unfinished(files: Files) -> list[str]:
    sentences = []
    if files.was_cut():
        sentences.append("A sync is writing, or died while it was: the next sync continues where it stood.")
    if files.unpublished.exists():
        sentences.append("Rows are loaded that are not published yet: the next sync publishes them.")
    return sentences


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    try:
        result = query.select(connection, sql)
    except duckdb.CatalogException:
        return []
    return [
        {
            name: _text(value) if isinstance(value, datetime) else value
            for name, value in zip(result.columns, row, strict=True)
        }
        for row in result.rows
    ]


def _second(second: int | None) -> str | None:
    return None if second is None else _text(datetime.fromtimestamp(second, UTC))


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")


def _span(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
