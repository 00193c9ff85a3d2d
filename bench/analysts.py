"""`make bench-sql`: what questions to the views cost, on a warehouse of any size that is made in SQL.

    python -m bench.analysts --completions 10000000 --keep warehouse.duckdb --markdown

Each view answers one question about one day and one model, and one over everything that it is for; the latter
stands beside the best query that we would write by hand on the tables for the same answer, which must agree. Views
whose rows have no day (unpriced_models, freshness) are asked about one model, or everything. Whoever only counts rows
is quicker on the tables: a view joins what a column may need, also where none of it is asked for.
CPU seconds are user and system time of this process, the lower of two runs; what is asked of one day, every column
of it, goes into a temporary table, since making Python objects of it would cost more than the answer.
"""

import time
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import duckdb

from bench import table
from stored_completions import models, store
from stored_completions.prices import sets as prices
from stored_completions.tables import TABLES

DAY = "2026-10-01"
MODEL = "gpt-4o-2024-08-06"
TOKENS = 200
PLAIN = 100  # completions for each one with logprobs
WIDTH = 5
FILTER = f"created_date = date '{DAY}' and model = '{MODEL}'"
PROGRAM = Path(__file__).parent / "programs" / "warehouse.sql"
HEADER = ("view", "one day, CPU s", "everything, CPU s", "by hand, CPU s", "x by hand")


@dataclass(frozen=True)
class Questions:
    """Of one view: a filtered one, one over everything, and the latter by hand; the last two agree."""

    view: str
    one_day: str
    everything: str
    by_hand: str


def of(view: str, everything: str, by_hand: str, one_day: str = f"where {FILTER}") -> Questions:
    return Questions(view, f"select * from marts.{view} {one_day}", everything, by_hand)


_COSTS = """
select sum(usage.prompt_tokens * prices.input + usage.completion_tokens * prices.output
    - coalesce(usage.cached_tokens, 0) * (prices.input - coalesce(prices.cached_input, prices.input)))
from chat.completions
join chat.usage on usage.completion_id = completions.completion_id and usage.created_date = completions.created_date
join (
    select names.model, model_prices.*
    from (select distinct model from chat.completions) as names
    join lateral (
        select price_model_id from chat.model_price_rules
        where case kind when 'equals' then names.model = pattern when 'starts_with' then starts_with(names.model, pattern)
            when 'contains' then contains(names.model, pattern) else regexp_matches(names.model, pattern) end
        order by rule_no limit 1
    ) as rules on true
    join chat.model_prices on model_prices.price_model_id = rules.price_model_id
) as prices on prices.model = completions.model
    and prices.tier = case completions.service_tier when 'flex' then 'flex' else 'standard' end
    and coalesce(prices.valid_from, date '0001-01-01') <= completions.created_date
    and coalesce(prices.valid_to, date '9999-01-01') > completions.created_date
    and coalesce(prices.min_input_tokens, -1) < usage.prompt_tokens
    and coalesce(prices.max_input_tokens, 9223372036854775807) >= usage.prompt_tokens
"""
_SUM = "select sum("
_ENDINGS = _COSTS.replace(_SUM, "select choices.finish_reason, sum(").replace(
    "join chat.usage",
    "join chat.choices on choices.completion_id = completions.completion_id"
    " and choices.created_date = completions.created_date and choices.choice_index = 0\njoin chat.usage",
)
_COST_OF_EACH = _COSTS.replace(_SUM, "select completions.completion_id, completions.created_date, (").replace(
    ")))\nfrom", "))) as cost\nfrom"
)
QUESTIONS = (
    of("completion_costs", "select sum(cost_usd) from marts.completion_costs", _COSTS),
    of(
        "completions_wide",
        "select finish_reason, sum(cost_usd) from marts.completions_wide group by finish_reason order by finish_reason",
        f"{_ENDINGS} group by choices.finish_reason order by choices.finish_reason",
    ),
    of("daily_usage", "select sum(cost_usd) from marts.daily_usage", _COSTS),
    of(
        "metadata_usage",
        "select count(*), sum(total_tokens) from marts.metadata_usage where metadata_key = 'team'",
        "select count(distinct (metadata.created_date, completions.model, metadata.value)), sum(usage.total_tokens)"
        " from chat.metadata join chat.usage using (completion_id) join chat.completions using (completion_id)"
        " where metadata.key = 'team'",
        f"where {FILTER} and metadata_key = 'team'",
    ),
    of(
        "unpriced_models",
        "select sum(completions) from marts.unpriced_models",
        f"select (select count(*) from chat.completions) - count(priced) from ({_COSTS.replace('select sum(', 'select (', 1)}) as costs (priced)",
        f"where model = '{MODEL}'",
    ),
    of(
        "choices_wide",
        "select model, count(*), sum(content_length), avg(perplexity) from marts.choices_wide group by model order by model",
        "select model, count(*), sum(length(content)), avg(exp(-mean)) from chat.choices"
        " join chat.completions using (completion_id, created_date) left join"
        " (select completion_id, choice_index, avg(logprob) filter (logprob > -9999) as mean from chat.logprobs group by all)"
        " using (completion_id, choice_index) group by model order by model",
    ),
    of(
        "tool_calls_wide",
        "select model, count(*) as calls from marts.tool_calls_wide group by model order by model",
        "select model, count(*) as calls from chat.tool_calls join chat.completions using (completion_id, created_date)"
        " group by model order by model",
    ),
    of(
        "tool_usage",
        "select tool_name, sum(calls), sum(cost_usd) from marts.tool_usage group by tool_name order by tool_name",
        "select name, sum(calls), sum(cost) from (select name, completion_id, created_date, count(*) as calls"
        f" from chat.tool_calls group by all) left join ({_COST_OF_EACH}) using (completion_id, created_date)"
        " group by name order by name",
    ),
    of(
        "finish_reasons",
        "select model, finish_reason, sum(choices) from marts.finish_reasons group by all order by all",
        "select model, finish_reason, count(*) from chat.choices join chat.completions using (completion_id, created_date)"
        " group by all order by all",
    ),
    of(
        "answer_rates",
        "select model, sum(truncated) from marts.answer_rates group by model order by model",
        "select model, count(*) filter (finish_reason = 'length') from chat.choices"
        " join chat.completions using (completion_id, created_date) group by model order by model",
    ),
    of(
        "choice_confidence",
        "select model, avg(perplexity), avg(mean_entropy) from marts.choice_confidence group by model order by model",
        "select model, avg(perplexity), avg(entropy) from (select completion_id, choice_index,"
        " exp(-avg(logprob) filter (logprob > -9999)) as perplexity from chat.logprobs group by all)"
        " join (select completion_id, choice_index, avg(entropy) as entropy from (select completion_id, choice_index,"
        " token_index, -sum(exp(logprob) * logprob) as entropy from chat.top_logprobs group by all) group by all)"
        " using (completion_id, choice_index) join chat.completions using (completion_id) group by model order by model",
    ),
    of(
        "token_confidence",
        "select avg(probability), avg(entropy) from marts.token_confidence",
        "select (select avg(exp(logprob)) from chat.logprobs where logprob > -9999), avg(entropy)"
        " from (select -sum(exp(logprob) * logprob) as entropy from chat.top_logprobs"
        " group by completion_id, choice_index, kind, token_index)",
    ),
    of(
        "freshness",
        "select sum(completions), max(newest_completion_at) from marts.freshness",
        "select count(*), max(created_at) from chat.completions",
        "",
    ),
)  # fmt: skip


@click.command()
@click.option("--completions", default=200_000, show_default=True, help="Size of the warehouse.")
@click.option("--memory", default="4GB", show_default=True, help="DuckDB's memory_limit.")
@click.option(
    "--keep", type=click.Path(dir_okay=False, path_type=Path), help="Make it here, or use what is here."
)
@click.option("--only", multiple=True, help="Only these views; repeatable.")
@click.option("--markdown", is_flag=True, help="As a table for Markdown.")
def main(completions: int, memory: str, keep: Path | None, only: tuple[str, ...], markdown: bool) -> None:
    """What questions to the views cost."""
    with TemporaryDirectory() as folder:
        path = keep or Path(folder, "warehouse.duckdb")
        if not path.exists():
            make(path, completions, memory)
        with duckdb.connect(str(path)) as connection:
            models.create_views(connection)
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute(f"set memory_limit = '{memory}'")
            connection.execute(f"set temp_directory = '{folder}'")
            for name in ("completions", "logprobs", "top_logprobs"):
                count = connection.execute(f"select count(*) from chat.{name}").fetchall()[0][0]
                click.echo(f"{count:,} {name}", err=True)
            rows = [measured(connection, each) for each in QUESTIONS if not only or each.view in only]
    click.echo((table.markdown if markdown else table.aligned)(HEADER, rows, words=1))


def make(path: Path, completions: int, memory: str, every: int = PLAIN) -> None:
    """A warehouse of the program's tables and views, filled by `programs/warehouse.sql`, in order of time.

    every  completions for each one with logprobs
    """
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"set memory_limit = '{memory}'")
        connection.execute("set TimeZone = 'UTC'")
        store.create_own_tables(connection)
        models.create_reference_tables(connection)
        for each in TABLES:
            connection.register("empty", each.schema.empty_table())
            connection.execute(f"create table chat.{each.name} as from empty")
            connection.unregister("empty")
        prices.load(connection)
        for statement in connection.extract_statements(PROGRAM.read_text(encoding="utf-8")):
            connection.execute(_filled(statement.query, completions, every))
        connection.execute("checkpoint")


def measured(connection: duckdb.DuckDBPyConnection, asked: Questions) -> tuple[str, ...]:
    one_day, _ = _cpu(connection, f"create or replace temp table asked as {asked.one_day}")
    everything, answer = _cpu(connection, asked.everything)
    by_hand, same = _cpu(connection, asked.by_hand)
    if not _agree(answer, same):
        raise click.ClickException(f"{asked.view} says {answer[:3]}, by hand it is {same[:3]}.")
    ratio = everything / by_hand
    return asked.view, f"{one_day:.2f}", f"{everything:.2f}", f"{by_hand:.2f}", f"{ratio:.1f}"


def _filled(sql: str, completions: int, every: int) -> str:
    for name, value in (("completions", completions), ("tokens", TOKENS), ("every", every)):
        sql = sql.replace(f"${name}", str(value))
    return sql


def _cpu(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[float, list[tuple[Any, ...]]]:
    took, rows = [], []
    for _ in range(2):
        began = time.process_time()
        rows = connection.execute(sql).fetchall()
        took.append(time.process_time() - began)
    return min(took), rows


def _agree(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> bool:
    return len(one) == len(other) and all(
        left == right or (left is not None and right is not None and isclose(left, right, rel_tol=1e-9))
        for mine, theirs in zip(one, other, strict=True)
        for left, right in zip(mine, theirs, strict=True)
    )


if __name__ == "__main__":
    main()
