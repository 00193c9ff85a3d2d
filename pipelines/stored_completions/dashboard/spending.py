"""The sections on money: what was spent, on what, how firm that is, and what has no price."""

from stored_completions.dashboard import basis, summaries
from stored_completions.dashboard.asked import NO_COMPLETIONS, Asked
from stored_completions.dashboard.folding import folded
from stored_completions.dashboard.section import Column, Section, Stack


def spend_over_time(asked: Asked) -> Section:
    return Section(
        id="spend-over-time",
        title="Spend over time by model",
        sql="""
select page_usage.day, page_usage.model as series, sum(page_usage.cost_usd) as value
from page_usage
where page_usage.is_current
group by page_usage.day, page_usage.model
""",
        stack=Stack("usd", asked.models),
        summary=summaries.spend_over_time,
        empty=NO_COMPLETIONS,
    )


def spend_by_model(asked: Asked) -> Section:
    per_model = """
select
    page_usage.model as name,
    sum(page_usage.completions) filter (page_usage.is_current) as completions,
    sum(page_usage.prompt_tokens) filter (page_usage.is_current) as prompt_tokens,
    sum(page_usage.completion_tokens) filter (page_usage.is_current) as completion_tokens,
    sum(page_usage.cost_usd) filter (page_usage.is_current) as cost_usd,
    sum(page_usage.cost_usd) filter (not page_usage.is_current) as cost_before
from page_usage
group by page_usage.model
having completions > 0
"""
    sums = ("completions", "prompt_tokens", "completion_tokens", "cost_usd", "cost_before")
    return Section(
        id="spend-by-model",
        title="Spend by model",
        sql=f"""
select *, cost_usd / nullif(cost_before, 0) - 1 as change, cost_usd / nullif(sum(cost_usd) over (), 0) as share
from ({folded(per_model, sums, asked.top)})
order by is_rest, cost_usd desc nulls last, completions desc, name
""",
        columns=(
            Column("name", "Model", is_name=True),
            Column("cost_usd", "Spend", "usd", bar=True),
            Column("share", "Share", "share"),
            Column("change", "Change", "change"),
            Column("completions", "Completions", "count"),
            Column("prompt_tokens", "Input tokens", "count"),
            Column("completion_tokens", "Output tokens", "count"),
        ),
        summary=summaries.spend_by_model,
        empty=NO_COMPLETIONS,
    )


def spend_by_metadata(key: str, at: int, asked: Asked) -> Section:
    by_value = """
with pairs as (
    select metadata_value as name, completions, unpriced_completions, cost_usd
    from page_metadata
    where metadata_key = $key
),
given as (
    select sum(completions) as completions, sum(unpriced_completions) as unpriced, sum(cost_usd) as cost_usd
    from pairs
),
whole as (
    select
        sum(completions) as completions,
        coalesce(sum(completions) filter (unpriced_reason is not null), 0) as unpriced,
        sum(cost_usd) as cost_usd
    from page_usage
    where is_current
),
missing as (
    select
        null as name,
        whole.completions - coalesce(given.completions, 0) as completions,
        whole.unpriced - coalesce(given.unpriced, 0) as unpriced_completions,
        whole.cost_usd - coalesce(given.cost_usd, 0) as cost_usd
    from whole cross join given
)
select * from pairs
union all
select * replace (case when completions > unpriced_completions then cost_usd end as cost_usd)
from missing
where completions > 0
"""
    sums = ("completions", "unpriced_completions", "cost_usd")
    return Section(
        id=f"spend-by-metadata-{at}",
        title=f"Spend by metadata: {key}",
        sql=f"""
select *, cost_usd / nullif(sum(cost_usd) over (), 0) as share
from ({folded(by_value, sums, asked.top)})
order by is_rest, cost_usd desc nulls last, completions desc, name
""",
        parameters={"key": key},
        columns=(
            Column("name", key),
            Column("cost_usd", "Spend", "usd", bar=True),
            Column("share", "Share", "share"),
            Column("completions", "Completions", "count"),
            Column("unpriced_completions", "Without a price", "count"),
        ),
        summary=summaries.spend_by_metadata,
        empty=NO_COMPLETIONS,
        note="(none): completions without this key.",
    )


def what_costs_rest_on() -> Section:
    return Section(
        id="what-costs-rest-on",
        title="How firm the spend is",
        sql=f"""
select
    page_usage.day,
    {basis.sql("page_usage")} as series,
    sum(page_usage.cost_usd) as value
from page_usage
where page_usage.is_current and page_usage.cost_usd is not null
group by 1, 2
""",
        stack=Stack("usd", basis.SERIES),
        summary=summaries.what_costs_rest_on,
        empty="No completion of this period has a price.",
        note=basis.NOTE,
    )


def without_a_price(asked: Asked) -> Section:
    groups = """
select
    page_usage.unpriced_reason as reason,
    page_usage.model as name,
    page_usage.service_tier,
    sum(page_usage.completions) as completions,
    sum(page_usage.prompt_tokens) as prompt_tokens,
    sum(page_usage.completion_tokens) as completion_tokens
from page_usage
where page_usage.is_current and page_usage.unpriced_reason is not null
group by all
"""
    return Section(
        id="without-a-price",
        title="Without a price",
        sql=f"""
select *, count(*) over () as groups, sum(completions) over () as all_completions
from ({groups})
order by completions desc, reason, name, service_tier
limit {asked.top}
""",
        columns=(
            Column("name", "Model", is_name=True),
            Column("completions", "Completions", "count", bar=True),
            Column("reason", "Reason", "reason"),
            Column("service_tier", "Tier"),
            Column("prompt_tokens", "Input tokens", "count"),
            Column("completion_tokens", "Output tokens", "count"),
        ),
        summary=summaries.without_a_price,
        empty="Every completion of this period has a price: nothing is left out of the sums.",
    )


def costliest(asked: Asked) -> Section:
    content = (
        ", (select left(choices.content, 500) from chat.choices where choices.choice_index = 0"
        " and choices.completion_id = page_costliest.completion_id) as content"
        if asked.with_content
        else ""
    )
    return Section(
        id="costliest-completions",
        title="Costliest completions",
        sql=f"""
select *, {basis.sql("page_costliest")} as basis{content}
from page_costliest
order by cost_usd desc, completion_id
""",
        columns=(
            Column("model", "Model", is_name=True),
            Column("cost_usd", "Cost", "usd", bar=True),
            Column("basis", "Basis", "basis"),
            Column("service_tier", "Tier"),
            Column("created_at", "Time", "time"),
            Column("prompt_tokens", "Input", "count"),
            Column("completion_tokens", "Output", "count"),
            Column("metadata", "Metadata", "pairs"),
            Column("completion_id", "Completion", "id"),
            *((Column("content", "Answer"),) if asked.with_content else ()),
        ),
        summary=summaries.costliest,
        empty="No completion of this period has a price.",
    )
