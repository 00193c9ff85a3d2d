"""What the tests of the page share: an account made in SQL, with every kind of figure, and its page."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from duckdb import DuckDBPyConnection

from given import Row, warehouse
from stored_completions import models
from stored_completions.dashboard import Scope, dashboard
from stored_completions.reports import rollup
from stored_completions.reports.periods import Period

NOW = datetime(2026, 2, 28, 18, tzinfo=UTC)
FEBRUARY = Period(date(2026, 2, 1), date(2026, 2, 28))
HOSTILE = (
    '"><img src=x onerror="hacked=1"><script>hacked=1</script></script><!--',
    "'-hacked=1-'{{ 7*7 }}${hacked=1}\u2028\u2029",
    "</script><script>hacked=1</script>",
)
SECRET = "planted-message-content"


def price(number: int, model: str, basis: str, tier: str = "standard", **rates: str) -> Row:
    named = {name: Decimal(rate) for name, rate in rates.items()}
    return {
        "price_no": number,
        "price_model_id": model,
        "tier": tier,
        "price_basis": basis,
        "source": "t",
    } | named


MODELS = ("cheap", "dear", "loud", "mystery", *HOSTILE, *(f"model-{at}" for at in range(6)))
PRICES: dict[str, list[Row]] = {
    "model_price_rules": [
        {"rule_no": at, "kind": "equals", "pattern": name.lower(), "price_model_id": name, "source": "t"}
        for at, name in enumerate(MODELS)
        if name != "mystery"
    ],
    "model_prices": [
        price(1, "cheap", "listed", input="0.000001", output="0.000002", cached_input="0.0000005"),
        price(2, "cheap", "tier_backdated", "flex", input="0.0000005", output="0.000001"),
        price(3, "dear", "override", input="0.0001", output="0.0002"),
        price(4, "loud", "listed", input="0.00001", output="0.00002", cache_write="0.00002"),
        *(
            price(at, name, "listed", input=f"0.0000{at}", output="0.00003")
            for at, name in enumerate(MODELS[4:], 10)
        ),
    ],
}
_ROWS = """
insert into chat.completions by name
select
    'chatcmpl-' || i as completion_id,
    timestamptz '2026-01-04 00:00:00+00' + to_seconds(i * 56 * 86400 // $count) as created_at,
    cast(timezone('UTC', created_at) as date) as created_date,
    case when i % 31 <> 0 then $models[cast(1 + hash(i) % len($models) as bigint)] end as model,
    case i % 7 when 0 then 'flex' when 1 then 'default' end as service_tier,
    if(i % 5 = 0, 'eu', 'default') as source,
    to_json({'team': 'team ' || i % 13, 'free': $hostile[1 + i % 3]}) as metadata,
    'load' as _dlt_load_id
from range($count) as numbers (i)
"""
_USAGE = """
insert into chat.usage by name
select
    completion_id,
    created_date,
    cast(100 + hash(completion_id) % 5000 as bigint) as prompt_tokens,
    cast(10 + hash(completion_id || 'o') % 900 as bigint) as completion_tokens,
    prompt_tokens + completion_tokens as total_tokens,
    case when hash(completion_id) % 3 = 0 then cast(hash(completion_id) % 100 as bigint) end as cached_tokens,
    case when hash(completion_id) % 3 = 0 then cast(hash(completion_id) % 9 as bigint) end as reasoning_tokens,
    'load' as _dlt_load_id
from chat.completions
where hash(completion_id) % 17 <> 0
"""
_CHOICES = """
insert into chat.choices by name
select
    completion_id,
    created_date,
    0 as choice_index,
    case hash(completion_id) % 11 when 0 then 'length' when 1 then $hostile[1] when 2 then null else 'stop' end
        as finish_reason,
    $secret || $hostile[1] as content,
    $secret || ' refused' as refusal,
    $secret || ' spoken' as audio_transcript,
    $secret || ' arguments' as function_call_arguments,
    'load' as _dlt_load_id
from chat.completions
"""
_MESSAGES = """
insert into chat.messages by name
select completion_id, created_date, 0 as message_index, 'user' as role, $secret || ' asked' as content
from chat.completions
"""
_METADATA = """
insert into chat.metadata by name
select completion_id, created_date, key, metadata ->> ('$."' || key || '"') as value, 'load' as _dlt_load_id
from chat.completions, (values ('team'), ('free')) as keys (key)
where hash(completion_id) % 4 <> 0
"""


def account(count: int = 1_000, *, rollups: bool = True, hostile_key: bool = True) -> DuckDBPyConnection:
    """Eight weeks of completions to 28 February 2026: priced in every way and not at all, hostile in every text."""
    connection = warehouse(**PRICES, sources=[{"source": "default"}, {"source": "eu"}])
    known = {"count": count, "models": list(MODELS), "hostile": list(HOSTILE), "secret": SECRET}
    for sql in (
        _ROWS,
        _USAGE,
        _CHOICES,
        _METADATA,
        *([_MESSAGES] if "messages" in _tables(connection) else []),
    ):
        connection.execute(sql, {name: value for name, value in known.items() if f"${name}" in sql})
    if hostile_key:
        connection.execute("update chat.metadata set key = ? where key = 'free'", [HOSTILE[0]])
    models.create_views(connection)
    if rollups:
        rollup.refresh(connection)
    return connection


def page(
    connection: DuckDBPyConnection, period: Period = FEBRUARY, timezone: str = "UTC", **asked: Any
) -> str:
    scope = {name: asked.pop(name) for name in ("top", "metadata_keys") if name in asked}
    title = asked.pop("title", "A page")
    return dashboard(connection, Scope(period, timezone, **scope), title=title, now=NOW, **asked)


def _tables(connection: DuckDBPyConnection) -> set[str]:
    return {row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()}
