"""Long lists in SQL: the first rows, and what all the others add up to."""

from collections.abc import Sequence


def folded(sql: str, sums: Sequence[str], top: int, by: str = "cost_usd") -> str:
    """The first `top` names by `by`, and one row `is_rest` with the sums of all others: `names` says how many.

    A single other is shown by its name.
    """
    added = ", ".join(f"sum({name}) as {name}" for name in sums)
    return f"""
select case when not is_rest then name end as name, is_rest, count(*) as names, {added}
from (select *, place > {top} and places > {top} + 1 as is_rest from (
    select *, row_number() over (order by {by} desc nulls last, {sums[0]} desc, name) as place, count(*) over () as places
    from ({sql})
))
group by case when not is_rest then place end, 1, 2
"""
