-- What the organization's bill says was used, at the prices of the list: a supporting view of marts.reconciliation.
-- The four costs differ by one step each, so that the steps between them are what tier, batch and cache make of them.
-- Requests with long prompts are priced as others: the bill's usage does not tell them apart.
-- engine: duckdb
-- grain: bill_source, usage_date, project_id, model, price_tier, measure
-- columns:
--   bill_source    the source that the bill's rows stand under
--   usage_date     UTC day that the usage is dated to
--   project_id     the project it is compared as, see marts.bill_projects
--   model          the model as the costs name it: fine-tuned ones under ft- and their base
--   price_tier     standard (free of charge and words not known here included), flex or priority
--   measure        input, output (in tokens) or request
--   quantity       how much was used
--   cached_tokens  of input tokens: how many were read from the prompt cache; else 0
--   tier_usd       at the full rates of price_tier
--   billed_usd     what was free of charge taken out
--   batch_usd      and Batch API jobs at their rates
--   list_usd       and cached input, cache writes and audio at theirs: what the list says it costs; NULL: no price
with bill_projects as (
    select * from marts.bill_projects
),
prices as (
    select * from marts.listed_prices
    where listed_prices.more_than_tokens = -1
),
used as (
    select
        organization_usage.source as bill_source,
        organization_usage.usage_date,
        bill_projects.compared_project_id as project_id,
        organization_usage.model,
        organization_usage.billed_model,
        case
            when organization_usage.price_tier in ('flex', 'priority') then organization_usage.price_tier
            else 'standard'
        end as price_tier,
        coalesce(organization_usage.price_tier = 'incentivized', false) as is_free,
        coalesce(organization_usage.batch, false) as is_batch,
        coalesce(organization_usage.num_model_requests, 0) as requests,
        coalesce(organization_usage.input_tokens, 0) as input_tokens,
        coalesce(organization_usage.input_cached_tokens, 0) as cached_tokens,
        coalesce(organization_usage.input_cache_write_tokens, 0) as cache_write_tokens,
        coalesce(organization_usage.input_audio_tokens, 0) as audio_input_tokens,
        coalesce(organization_usage.output_tokens, 0) as output_tokens,
        coalesce(organization_usage.output_audio_tokens, 0) as audio_output_tokens
    from chat.organization_usage
    inner join bill_projects
        on bill_projects.bill_source = organization_usage.source
        and bill_projects.project_id is not distinct from organization_usage.project_id
),
-- a tier or batch without a price of its own is charged as standard
rated as (
    select
        used.*,
        coalesce(own.input, standard.input) as input,
        coalesce(own.output, standard.output) as output,
        coalesce(own.per_request, standard.per_request) as per_request,
        coalesce(batch.input, own.input, standard.input) as last_input,
        coalesce(batch.cached_input, own.cached_input, standard.cached_input) as last_cached_input,
        coalesce(batch.cache_write, own.cache_write, standard.cache_write) as last_cache_write,
        coalesce(batch.audio_input, own.audio_input, standard.audio_input, standard.input) as last_audio_input,
        coalesce(batch.output, own.output, standard.output) as last_output,
        coalesce(batch.audio_output, own.audio_output, standard.audio_output, standard.output) as last_audio_output,
        coalesce(batch.per_request, own.per_request, standard.per_request) as last_per_request
    from used
    left join prices as own
        on own.model = used.model
        and own.tier = used.price_tier
        and own.first_date <= used.usage_date
        and own.end_date > used.usage_date
    left join prices as standard
        on standard.model = used.model
        and standard.tier = 'standard'
        and standard.first_date <= used.usage_date
        and standard.end_date > used.usage_date
    left join prices as batch
        on used.is_batch
        and batch.model = used.model
        and batch.tier = 'batch'
        and batch.first_date <= used.usage_date
        and batch.end_date > used.usage_date
),
measured as (
    select
        rated.*,
        'input' as measure,
        rated.input_tokens as quantity,
        rated.cached_tokens as cached,
        rated.input_tokens * rated.input as full_usd,
        rated.input_tokens * rated.last_input as last_full_usd,
        (rated.input_tokens - rated.cached_tokens - rated.cache_write_tokens - rated.audio_input_tokens) * rated.last_input
        + rated.cached_tokens * rated.last_cached_input
        + rated.cache_write_tokens * rated.last_cache_write
        + rated.audio_input_tokens * rated.last_audio_input as last_usd
    from rated
    union all
    select
        rated.*,
        'output',
        rated.output_tokens,
        0,
        rated.output_tokens * rated.output,
        rated.output_tokens * rated.last_output,
        (rated.output_tokens - rated.audio_output_tokens) * rated.last_output
        + rated.audio_output_tokens * rated.last_audio_output
    from rated
    union all
    select
        rated.*,
        'request',
        rated.requests,
        0,
        rated.requests * rated.per_request,
        rated.requests * rated.last_per_request,
        rated.requests * rated.last_per_request
    from rated
)
select
    measured.bill_source,
    measured.usage_date,
    measured.project_id,
    measured.billed_model as model,
    measured.price_tier,
    measured.measure,
    sum(measured.quantity) as quantity,
    sum(measured.cached) as cached_tokens,
    sum(measured.full_usd) as tier_usd,
    sum(case when measured.is_free then 0 else measured.full_usd end) as billed_usd,
    sum(case when measured.is_free then 0 else measured.last_full_usd end) as batch_usd,
    sum(case when measured.is_free then 0 else measured.last_usd end) as list_usd
from measured
group by
    measured.bill_source,
    measured.usage_date,
    measured.project_id,
    measured.billed_model,
    measured.price_tier,
    measured.measure
