"""Where an engine means something else by the same SQL, and sqlglot does not know.

Each rewrite takes a node of a typed tree and returns the one to stand in its place.
"""

from collections.abc import Callable

from sqlglot import exp

Rewrite = Callable[[exp.Expression], exp.Expression]

_WHOLE = (*exp.DataType.INTEGER_TYPES,)


def postgres(node: exp.Expression) -> exp.Expression:
    return _bytewise_extreme(node)


def spark(node: exp.Expression) -> exp.Expression:
    for rewrite in (_wide_sum, _finite_date, _java_replacement, _plain_with):
        node = rewrite(node)
    return node


DIALECTS: dict[str, Rewrite] = {"postgres": postgres, "spark": spark}


def _bytewise_extreme(node: exp.Expression) -> exp.Expression:
    """The least and the greatest text by its bytes, whatever the database's collation."""
    if isinstance(node, exp.Min | exp.Max) and node.this.is_type(*exp.DataType.TEXT_TYPES):
        collated = exp.Collate(this=node.this.copy(), expression=exp.to_identifier("C", quoted=True))
        return type(node)(this=collated)
    return node


def _wide_sum(node: exp.Expression) -> exp.Expression:
    """Whole numbers add up to more than 64 bits, which Spark's sum of BIGINT has no room for."""
    if isinstance(node, exp.Sum) and node.this.is_type(*_WHOLE):
        return exp.Sum(this=exp.cast(node.this.copy(), "decimal(38, 0)"))
    return node


def _finite_date(node: exp.Expression) -> exp.Expression:
    """Spark has no infinite dates: its first and its last one, which is what Python's clients make of them."""
    if isinstance(node, exp.Cast) and node.is_type("date") and isinstance(node.this, exp.Literal):
        ends = {"-infinity": "0001-01-01", "infinity": "9999-12-31"}
        if node.this.this in ends:
            return exp.cast(exp.Literal.string(ends[node.this.this]), "date")
    return node


def _java_replacement(node: exp.Expression) -> exp.Expression:
    r"""Java calls a group $1, where DuckDB and PostgreSQL write \1; it replaces all there are anyway."""
    if isinstance(node, exp.RegexpReplace):
        groups = node.args["replacement"].this.replace("\\", "$")
        return exp.RegexpReplace(
            this=node.this.copy(),
            expression=node.expression.copy(),
            replacement=exp.Literal.string(groups),
        )
    return node


def _plain_with(node: exp.Expression) -> exp.Expression:
    """Spark never keeps what stands in a with, and has no words to ask for it or against it."""
    if isinstance(node, exp.CTE) and node.args.get("materialized") is not None:
        node.set("materialized", None)
    return node
