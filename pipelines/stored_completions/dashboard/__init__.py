"""The warehouse as one self-contained page that anyone can open: figures, charts and tables of a period.

Nothing of the page is fetched, and no message content is on it unless asked for. The way of the data:
`facts` (the period added up once) -> `contents` (what each section asks and how it shows it) -> `section`
(rows to tables and charts) -> `page` -> `render` (the file).

A view joins the page as one more section in `contents.sections`; tests/test_dashboard.py has this one:

    def refusals(asked: Asked) -> Section:
        return Section(
            id="refusals",
            title="Refusals",
            sql=f'''
                select model as name, sum(refusals) as refusals, sum(refusal_known) as known
                from marts.finish_reasons where {days_within("finish_reasons", asked.period)} group by model
            ''',
            columns=(Column("name", "Model", is_name=True), Column("refusals", "Refusals", "count", bar=True)),
            summary=lambda rows: f"{len(rows)} models.",
            empty="No answers in this period.",
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
