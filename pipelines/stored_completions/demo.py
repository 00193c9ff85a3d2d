"""The whole job with no key: a local API with an invented account, synced and reported on."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import duckdb
from rich.console import Console

from stored_completions import journal, query
from stored_completions.config import settings
from stored_completions.progress import watching
from stored_completions.reports import reconcile
from stored_completions.reports.asking import Question, ask
from stored_completions.reports.catalog import COSTS
from stored_completions.reports.dimensions import dimensions
from stored_completions.reports.formats import text
from stored_completions.reports.periods import Period
from stored_completions.sync import stopping, sync
from stored_completions.tables import BY_NAME
from stored_completions.tabular import draw
from stored_completions.warehouse import Files, locked, start_over

WAREHOUSE = "stored_completions_demo.duckdb"

_TABLES = "completions choices tool_calls annotations usage metadata logprobs top_logprobs".split()
_MODELS = """
select model as "tokens by model", sum(completions)::bigint as rows,
    sum(prompt_tokens)::bigint as prompt, sum(cached_tokens)::bigint as cached,
    sum(completion_tokens)::bigint as output, sum(reasoning_tokens)::bigint as reasoning
from marts.daily_usage group by model order by rows desc, model limit 5
"""
_NEXT = """\
Look around in {file}, here or in any DuckDB client:
  stored-completions dashboard --warehouse {file}
Then with your own completions, those made with store=True:
  export OPENAI_API_KEY=sk-...
  stored-completions check
  stored-completions sync
  stored-completions report costs --by model --since 30d
"""


def demo(folder: Path, console: Console, *, completions: int = 2_000, seed: int = 0) -> Path:
    """Serves an account of that size on loopback, syncs it into the demo's own file and prints a report."""
    from stored_completions.sandbox import Account, Sandbox
    from stored_completions.sandbox.bill import PROJECT

    files = Files((folder / WAREHOUSE).absolute())
    _clear(files)
    say = partial(console.print, soft_wrap=True)
    say(f"A sandbox API on loopback, with {completions:,} invented completions of a small company.")
    account = Account.generate(completions, seed=seed, until=int(time.time()) - 60)
    with Sandbox(account) as sandbox, stopping() as stop, watching() as watcher:
        flags = {"api_key": "sk-sandbox", "base_url": sandbox.base_url}
        bill = {"billing": True, "admin_key": "sk-admin-sandbox", "billing_project": PROJECT}
        own = settings(flags, {}, None)
        began = time.monotonic()
        first = sync(own, files.published, stop=stop, watcher=watcher)
        took = time.monotonic() - began
        again = sync(own, files.published, stop=stop, watcher=watcher)
        words = {"messages": True, "images": "once"}
        asked = sync(settings(flags | words, {}, None), files.published, stop=stop, watcher=watcher)
        billed = sync(settings(flags | bill, {}, None), files.published, stop=stop, watcher=watcher)
    say(f"Synced: {first.counts.rows_new:,} completions in {first.requests} requests and {took:.1f} s.")
    needed = "1 request" if again.requests == 1 else f"{again.requests} requests"
    say(f"Synced again: nothing new in {needed}, and nothing written.")
    read = asked.messages.messages_loaded
    say(f"Synced with --messages: {read:,} input messages in {asked.requests:,} requests.")
    rows = billed.billing.rows_changed if billed.billing else 0
    say(f"Synced with --billing: the organization's bill, {rows:,} rows, in {billed.requests} requests.\n")
    with query.reading(files.published) as connection:
        _report(connection, console)
    say(_NEXT.format(file=files.published.name), end="")
    return files.published


def _clear(files: Files) -> None:
    with locked(files):
        start_over(files)
        journal.write(files, journal.Notes())
        files.published.unlink(missing_ok=True)


def _report(connection: duckdb.DuckDBPyConnection, console: Console) -> None:
    counted = [
        (f"chat.{name}", _row(connection, f"select count(*) from chat.{name}")[0], _one_row_is(name))
        for name in _TABLES
    ]
    draw(console, ("table", "rows", "one row is"), counted, grouped=True)
    console.print()
    result = query.select(connection, _MODELS)
    draw(console, result.columns, result.rows, grouped=True)
    console.print()
    costs = ask(connection, COSTS, Question(dimensions(["metadata:team"]), top=5))
    explained = reconcile.ask(connection, (), Period())
    for answer in (costs, replace(explained, notes=explained.notes[:2])):
        lines = text(answer, "table", console.width).splitlines()
        console.print(*map(str.rstrip, lines), sep="\n", markup=False, soft_wrap=True)
        console.print()


def _one_row_is(table: str) -> str:
    return BY_NAME[table].description.partition(";")[0].rstrip(".")


def _row(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    return next(query.select(connection, sql).rows)
