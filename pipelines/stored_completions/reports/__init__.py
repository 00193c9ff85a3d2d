"""Cost and token reports: a question, the SQL that answers it, and the rows as people want them.

The way of the data: `periods` and `dimensions` (what is asked) -> `sql` -> `sums` -> `asking` (the report) ->
`notes` (what its sums rest on) -> `cells`, `table`, `formats`. `rollup` keeps sums by day; `budget` compares
them with what may be spent.
"""
