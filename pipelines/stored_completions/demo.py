"""The whole job with no key: a local API with an invented account, synced and reported on."""

import time
from functools import partial
from pathlib import Path

from rich.console import Console

from stored_completions import query
from stored_completions.config import settings
from stored_completions.progress import watching
from stored_completions.sync import sync
from stored_completions.tables import BY_NAME
from stored_completions.warehouse import Files, start_over

WAREHOUSE = "stored_completions_demo.duckdb"

_DAILY = """
select model, coalesce(service_tier, '(none)') as service_tier, sum(completions)::bigint as completions,
    sum(prompt_tokens)::bigint as prompt_tokens, sum(completion_tokens)::bigint as completion_tokens
from marts.daily_usage group by model, service_tier order by completions desc, model, service_tier limit 10
"""
_ENDINGS = """
select coalesce(finish_reason, '(none)') as finish_reason, sum(choices)::bigint as choices,
    round(100.0 * sum(choices) / sum(sum(choices)) over (), 1) as percent
from marts.finish_reasons group by finish_reason order by choices desc, finish_reason
"""
NEXT = """
Next, with your own completions (those made with store=True):

    export OPENAI_API_KEY=sk-...
    stored-completions check
    stored-completions sync
    stored-completions query "from marts.daily_usage order by created_date desc"

or open {file} in any DuckDB client, also while a sync runs.
"""


def demo(folder: Path, console: Console, *, completions: int = 2_000, seed: int = 0) -> Path:
    """Serves an account of that size on loopback, syncs it into the demo's own file and prints a report."""
    from stored_completions.sandbox import Account, Sandbox

    files = Files((folder / WAREHOUSE).absolute())
    files.folder.mkdir(parents=True, exist_ok=True)
    start_over(files)
    files.published.unlink(missing_ok=True)
    say = partial(console.print, soft_wrap=True)
    say(f"1. A sandbox API on loopback, with {completions:,} invented completions of a small company.")
    account = Account.generate(completions, seed=seed, until=int(time.time()) - 60)
    with Sandbox(account) as sandbox, watching(Console(stderr=True)) as watcher:
        own = settings({"api_key": "sk-sandbox", "base_url": sandbox.base_url}, {}, folder)
        say(f"2. stored-completions sync, from {sandbox.base_url} into {files.published.name}")
        first = sync(own, files.published, watcher=watcher)
        again = sync(own, files.published, watcher=watcher)
    say(
        f"   {first.counts.rows_new:,} completions in {first.requests} requests; a second sync found nothing new in "
        f"{again.requests} request{'s' if again.requests > 1 else ''}.\n"
    )
    _report(files.published, console)
    say(NEXT.format(file=files.published.name))
    return files.published


def _report(path: Path, console: Console) -> None:
    with query.reading(path) as connection:
        counted = []
        for name in (
            "completions",
            "choices",
            "tool_calls",
            "annotations",
            "usage",
            "metadata",
            "logprobs",
            "top_logprobs",
        ):
            rows = connection.execute(f"select count(*) from chat.{name}").fetchall()[0][0]
            counted.append((f"chat.{name}", rows, BY_NAME[name].description))
        query.draw(console, ("table", "rows", "one row is"), counted, "What is in it")
        for title, sql in (("Tokens by model and tier", _DAILY), ("How answers end", _ENDINGS)):
            result = query.select(connection, sql)
            query.draw(console, result.columns, result.rows, title)
