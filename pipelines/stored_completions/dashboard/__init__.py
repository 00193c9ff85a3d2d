"""The warehouse as one self-contained page that anyone can open: figures, charts and tables of a period.

Nothing of the page is fetched, and no message content is on it unless asked for. The way of the data:
`facts` (the period added up once) -> `contents` (what each section asks and how it shows it) -> `section`
(rows to tables and charts) -> `page` -> `render` (the file).

A view joins the page as one more section in `contents.sections`. This is all that marts.tool_usage needs:

    def tools(asked: Asked) -> Section:
        return Section(
            id="tools",
            title="Tool calls",
            sql=f"select tool_name as name, sum(calls) as calls from marts.tool_usage where {asked.days} group by 1",
            columns=(Column("name", "Tool"), Column("calls", "Calls", "count", bar=True)),
            summary=lambda rows: f"{len(rows)} tools.",
            empty="No tool was called in this period.",
        )

With `stack=Stack("count", series)` in the place of `columns`, and rows of day, series and value, it is a
chart over time with its table, legend and keyboard access.
"""

from datetime import datetime

from duckdb import DuckDBPyConnection

from stored_completions.dashboard.page import page
from stored_completions.dashboard.render import html
from stored_completions.dashboard.scope import Scope

__all__ = ["Scope", "dashboard"]


def dashboard(
    connection: DuckDBPyConnection, scope: Scope, *, title: str, now: datetime, with_content: bool = False
) -> str:
    """The page as one HTML document; the connection may be read-only."""
    return html(page(connection, scope, title=title, now=now, with_content=with_content))
