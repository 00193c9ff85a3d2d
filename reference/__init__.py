"""`make reference`: writes sql/README.md, what an analyst reads beside the published file.

Everything on it is taken from where it is true: tables and columns with their meaning from `tables/`
and the headers under `sql/`, types from a warehouse that was really synced, and answers from running
each file under `sql/examples/` on the demo account (its seed and its clock stand still).

So whoever adds a table or a view adds, besides its description, one file `sql/examples/NAME.sql`:

    -- Which tools are called most, and how often with arguments that are not JSON?
    -- about: marts.tool_usage
    select
        tool_usage.tool_name,
        ...
    from marts.tool_usage
    group by tool_usage.tool_name
    order by calls desc, tool_usage.tool_name

The header is the question in words, `about` the one relation that it is shown under. The select orders
its rows fully, gives 15 at most, and names no time of the run itself (synced_at, run_id): its answer is
kept on the page. Then `make reference` renews the page. A relation may have several examples and must
have one; tests/test_reference.py says which has none, and whether the page is behind.
"""
