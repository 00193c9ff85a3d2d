"""What a cost rests on, in one word and in others: the least firm thing about it decides.

As in `stored-completions report costs`, exact is what was counted in full at listed prices.
"""

from stored_completions.dashboard.section import Series

SERIES = (
    Series("exact", "Exact", "basis"),
    Series("override", "At a corrected price", "reckoned"),
    Series("backdated", "At a tier price reckoned back", "reckoned", "hatched"),
    Series("upper_bound", "Upper bound", "basis", "hatched"),
    Series("unbounded", "Not even bounded", "basis", "crossed"),
)
PHRASES = {
    "exact": "exact",
    "override": "at a corrected price",
    "backdated": "at a tier price reckoned back",
    "upper_bound": "an upper bound",
    "unbounded": "not even bounded",
}
NOTE = (
    "Exact: counted in full, at listed prices. At a corrected price: the list is wrong or lacks it, or your price file "
    "says otherwise. At a tier price reckoned back: the tier's price from before it was listed. An upper bound: only "
    "totals were stored, so every input token is priced as not cached. Not even bounded: the same, of a model that "
    "bills some tokens dearer. Completions without a price are in no sum; the next section lists them."
)


def sql(table: str) -> str:
    """The word for a row of a table with price_basis, usage_basis and cost_usd; NULL without a cost."""
    return f"""case
        when {table}.usage_basis = 'no_details' then 'upper_bound'
        when {table}.usage_basis = 'no_details_unbounded' then 'unbounded'
        when {table}.price_basis = 'tier_backdated' then 'backdated'
        when {table}.price_basis = 'override' then 'override'
        when {table}.cost_usd is not null then 'exact'
    end"""
