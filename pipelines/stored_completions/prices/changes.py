"""What other prices would change in the totals of a warehouse, before they do."""

import re
from dataclasses import dataclass
from decimal import Decimal

import duckdb

from stored_completions import models
from stored_completions.prices import sets as prices
from stored_completions.prices.rows import PriceSet

_TABLES = ("model_price_rules", "model_prices", "price_multipliers", "batch_rules")


@dataclass(frozen=True)
class PriceChange:
    """A model whose total would change; a cost is None where no completion of it has one, and
    `difference_usd` takes that for 0."""

    model: str | None
    completions: int
    old_usd: Decimal | None
    new_usd: Decimal | None
    old_unpriced: int
    new_unpriced: int

    @property
    def difference_usd(self) -> Decimal:
        return (self.new_usd or Decimal(0)) - (self.old_usd or Decimal(0))


def diff(connection: duckdb.DuckDBPyConnection, new: PriceSet) -> list[PriceChange]:
    """The models whose totals differ between the warehouse's prices and `new`, the largest difference first.

    Works on a connection that may only read: the new prices are temporary tables, gone with it.
    """
    prices.write(connection, new, temporary=True)
    sql = _inlined("completion_costs")
    before = _totals(connection, sql)
    after = _totals(connection, re.sub(rf"\bchat\.({'|'.join(_TABLES)})\b", r"temp.\1", sql))
    changes = [
        PriceChange(model, completions, old_usd, after[model][1], old_unpriced, after[model][2])
        for model, (completions, old_usd, old_unpriced) in before.items()
        if after[model] != before[model]
    ]
    return sorted(changes, key=lambda change: abs(change.difference_usd), reverse=True)


def _inlined(name: str) -> str:
    """The SQL of a view with that of every view it reads in its place, down to the tables."""
    *below, view = models.behind(name)
    sql = view.sql
    for model in reversed(below):
        sql = sql.replace(model.relation, f"(\n{model.sql}\n)")
    return sql


def _totals(
    connection: duckdb.DuckDBPyConnection, sql: str
) -> dict[str | None, tuple[int, Decimal | None, int]]:
    rows = connection.execute(
        f"select model, count(*), sum(cost_usd), count(unpriced_reason) from (\n{sql}\n) group by model order by model"
    ).fetchall()
    return {model: (completions, usd, unpriced) for model, completions, usd, unpriced in rows}
