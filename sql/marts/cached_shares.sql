-- Which part of the input was read from or written to the prompt cache, as the organization's bill says.
-- Stored completions seldom tell; marts.completion_costs makes its estimate with these shares. They are of every
-- request of that day, project, model and tier, stored or not; of the standard tier Batch API jobs included, since a
-- completion does not show them.
-- grain: source, usage_date, model, price_tier
-- columns:
--   source                    the source whose completions they are applied to
--   usage_date                UTC day
--   model                     the model
--   price_tier                standard, flex, priority, or batch (applied to what a rule says ran in a batch)
--   input_tokens              input tokens billed, cached ones included
--   input_cached_tokens       of these, read from the prompt cache
--   input_cache_write_tokens  of these, written to it
--   cached_share              input_cached_tokens as a part of input_tokens, to 15 places
--   cache_write_share         input_cache_write_tokens as a part of them
with bills as (
    select * from chat.organization_bills
),
bill_projects as (
    select * from marts.bill_projects
),
billed as (
    select
        bills.source,
        organization_usage.usage_date,
        organization_usage.model,
        case
            when organization_usage.price_tier in ('flex', 'priority') then organization_usage.price_tier
            else 'standard'
        end as price_tier,
        coalesce(organization_usage.batch, false) as batch,
        organization_usage.input_tokens,
        coalesce(organization_usage.input_cached_tokens, 0) as cached,
        coalesce(organization_usage.input_cache_write_tokens, 0) as cache_writes
    from bills
    inner join chat.organization_usage on organization_usage.source = bills.bill_source
    inner join bill_projects
        on bill_projects.bill_source = organization_usage.source
        and bill_projects.project_id is not distinct from organization_usage.project_id
        and bill_projects.compared_project_id is not distinct from bills.project_id
    where organization_usage.input_tokens > 0
),
pooled as (
    select
        billed.source,
        billed.usage_date,
        billed.model,
        billed.price_tier,
        billed.input_tokens,
        billed.cached,
        billed.cache_writes
    from billed
    union all
    select
        billed.source,
        billed.usage_date,
        billed.model,
        'batch',
        billed.input_tokens,
        billed.cached,
        billed.cache_writes
    from billed
    where billed.batch
),
added as (
    select
        pooled.source,
        pooled.usage_date,
        pooled.model,
        pooled.price_tier,
        sum(pooled.input_tokens) as input_tokens,
        sum(pooled.cached) as input_cached_tokens,
        sum(pooled.cache_writes) as input_cache_write_tokens
    from pooled
    group by
        pooled.source,
        pooled.usage_date,
        pooled.model,
        pooled.price_tier
)
-- rounded to whole 1e-15 first: a double that is cast to a decimal is rounded by each engine in its own way
select
    added.source,
    added.usage_date,
    added.model,
    added.price_tier,
    added.input_tokens,
    added.input_cached_tokens,
    added.input_cache_write_tokens,
    cast(
        cast(floor(cast(added.input_cached_tokens as double precision) / added.input_tokens * 1e15 + 0.5) as decimal(16, 0))
        * 0.000000000000001 as decimal(16, 15)
    ) as cached_share,
    cast(
        cast(floor(cast(added.input_cache_write_tokens as double precision) / added.input_tokens * 1e15 + 0.5) as decimal(16, 0))
        * 0.000000000000001 as decimal(16, 15)
    ) as cache_write_share
from added
where added.input_cached_tokens + added.input_cache_write_tokens <= added.input_tokens
