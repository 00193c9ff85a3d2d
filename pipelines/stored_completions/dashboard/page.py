"""From a warehouse to what the template shows: periods, notes, figures and blocks."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from duckdb import DuckDBPyConnection

from stored_completions import __version__
from stored_completions.dashboard import palette, shown
from stored_completions.dashboard.asked import Asked
from stored_completions.dashboard.axis import Axis, axis
from stored_completions.dashboard.contents import sections
from stored_completions.dashboard.facts import KEYS_SHOWN, gather
from stored_completions.dashboard.figures import SQL as TOTALS
from stored_completions.dashboard.figures import Figure, figures, totals
from stored_completions.dashboard.scope import Scope
from stored_completions.dashboard.section import Block, Section, Series, chart, over_time, ranked, stacked
from stored_completions.reports.gaps import Gap, gap
from stored_completions.reports.periods import Period
from stored_completions.reports.reconcile_notes import coverage


@dataclass(frozen=True)
class Page:
    title: str
    period: str
    compared: str
    notes: list[str]
    figures: list[Figure]
    blocks: list[Block]
    made: str


def page(
    connection: DuckDBPyConnection, scope: Scope, *, title: str, now: datetime, with_content: bool = False
) -> Page:
    """Everything the page says; of a period without completions only that."""
    cut = gap(connection, scope.period, scope.previous, scope.timezone)
    scope = replace(scope, is_compared=scope.is_compared and cut is None)
    gather(connection, scope)
    reach = rows(connection, "select * from page_reach")[0]
    found = totals(rows(connection, TOTALS))
    blocks = _blocks(connection, scope, with_content) if found else []
    return Page(
        title=title,
        period=_period(scope),
        compared=_compared(scope) if found and found.before else "",
        notes=list(_notes(scope, reach, bool(found), cut)),
        figures=figures(found, coverage(connection, scope.period)) if found else [],
        blocks=blocks,
        made=f"Made by stored-completions {__version__} on {shown.local_time(scope.zone)(now)} ({scope.timezone}).",
    )


def rows(
    connection: DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    result = connection.execute(sql, parameters or {})
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _blocks(connection: DuckDBPyConnection, scope: Scope, with_content: bool) -> list[Block]:
    models = palette.models(_models(connection))
    keys = scope.metadata_keys or _keys(connection, scope.top)
    asked = Asked(models, keys, scope.period, scope.top, with_content)
    steps = _axis(connection, scope)
    return [block(connection, section, steps, models, scope) for section in sections(asked)]


def block(
    connection: DuckDBPyConnection, section: Section, steps: Axis, models: tuple[Series, ...], scope: Scope
) -> Block:
    """A section with its rows; of one without rows only what it says then."""
    found = rows(connection, section.sql, dict(section.parameters))
    if not found:
        return Block(section.id, section.title, section.empty)
    summary = section.summary(found)
    if section.stack is None:
        table = ranked(section, found, {series.name: series.colour for series in models}, scope.zone)
        return Block(section.id, section.title, summary, section.note, table)
    data = stacked(section.stack, steps, found)
    table = over_time(section.title, section.stack.unit, data)
    drawn = chart(section.id, section.stack.unit, data)
    return Block(section.id, section.title, summary, section.note, table, drawn, data.series)


def _models(connection: DuckDBPyConnection) -> list[str | None]:
    sql = """
select model from page_usage where is_current
group by model order by sum(cost_usd) desc nulls last, sum(completions) desc, model
"""
    return [row["model"] for row in rows(connection, sql)]


def _keys(connection: DuckDBPyConnection, top: int) -> tuple[str, ...]:
    """The keys with the largest cost; not those that have nearly as many values as completions."""
    sql = f"""
select metadata_key from page_metadata group by metadata_key
having count(*) <= {top} or 2 * count(*) <= sum(completions)
order by sum(cost_usd) desc nulls last, count(*) = 1, count(*) desc, metadata_key
limit {KEYS_SHOWN}
"""
    return tuple(row["metadata_key"] for row in rows(connection, sql))


def _axis(connection: DuckDBPyConnection, scope: Scope) -> Axis:
    """The days of the period; of one with an open end, or a long one, only from the first with completions."""
    seen = rows(connection, "select min(day) as first, max(day) as last from page_usage where is_current")[0]
    first, last = scope.period.first, scope.period.last
    is_long = (scope.period.days or 1000) > 100
    return axis(
        seen["first"] if first is None or is_long else first,
        seen["last"] if last is None or is_long else last,
    )


def _period(scope: Scope) -> str:
    first, last, days = scope.period.first, scope.period.last, scope.period.days
    if first and last:
        length = f" · {days} day{'' if days == 1 else 's'}"
        return f"{_long(first)}{'' if first == last else ' to ' + _long(last)}{length} · {scope.timezone}"
    return (
        f"{scope.period} · {scope.timezone}".capitalize()
        if not first
        else f"From {_long(first)} · {scope.timezone}"
    )


def _compared(scope: Scope) -> str:
    previous: Period | None = scope.previous
    if previous is None or previous.first is None or previous.last is None:
        return ""
    return f"Changes are against {_long(previous.first)} to {_long(previous.last)}."


def _long(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _notes(scope: Scope, reach: dict[str, Any], is_found: bool, cut: Gap | None) -> list[str]:
    """What a reader has to know before trusting a figure."""
    time = shown.local_time(scope.zone)
    notes = []
    if reach["newest_at"] is None and not reach["undated_completions"]:
        notes.append(
            "This warehouse has no completions yet. Run stored-completions sync, then make the page again."
        )
    elif reach["newest_at"] is None:
        notes.append("There are no completions in this period.")
    elif not is_found:
        notes.append(
            f"There are no completions in this period. Those in the warehouse are from {time(reach['oldest_at'])} "
            f"to {time(reach['newest_at'])}: choose with --since and --until."
        )
    elif reach["last_synced_at"]:
        notes.append(f"Up to date as of {time(reach['last_synced_at'])}, when the last complete sync began.")
    previous = scope.previous
    if is_found and previous and previous.first and reach["oldest_at"]:
        oldest = reach["oldest_at"].astimezone(scope.zone).date()
        if previous.first < oldest and previous.last and oldest <= previous.last:
            notes.append(
                f"The oldest completion is from {_long(oldest)}: the period before is not all there, and changes "
                "look larger than they are."
            )
    if cut:
        notes.append(str(cut))
    if reach["undated_completions"]:
        notes.append(_undated(reach["undated_completions"]))
    return notes


def _undated(number: int) -> str:
    if number == 1:
        return "1 completion has no usable time and is in no period."
    return f"{number:,} completions have no usable time and are in no period."
