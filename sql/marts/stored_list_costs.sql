-- What the stored completions say they used, beside what they cost by the list: a supporting view of
-- marts.reconciliation. Only sources that a bill was read for are here, and only completions with a usable time.
-- engine: duckdb
-- grain: bill_source, created_date, project_id, model, price_tier, measure
-- columns:
--   bill_source        the source that the bill's rows stand under
--   created_date       UTC day the completions were created
--   project_id         the project of their source; NULL: not known
--   model              the model as the costs name it: fine-tuned ones under ft- and their base
--   price_tier         standard, flex, priority, batch (a rule says so), or other: a word that names no tier known here
--   measure            input, output (in tokens) or request
--   quantity           how much they used
--   unpriced_quantity  of this, what completions without a cost used
--   full_usd           what the priced ones cost at the full rates of their tier
--   details_usd        what the details that they do tell (cached input, cache writes, audio) take off that
--   listed_usd         request: what the priced ones cost by the list in all; else 0
--   cost_usd           request: their cost_usd in marts.completion_costs, multipliers applied; else 0
--   silent_requests    request: completions without any counters; else 0
with bills as (
    select * from chat.organization_bills
),
prices as (
    select * from marts.listed_prices
    where listed_prices.more_than_tokens = -1
),
added as (
    select
        bills.bill_source,
        bills.project_id,
        daily_costs.created_date,
        daily_costs.model,
        coalesce(daily_costs.price_tier, 'other') as price_tier,
        daily_costs.unpriced_reason is null as is_priced,
        sum(daily_costs.completions) as requests,
        sum(daily_costs.silent_completions) as silent_requests,
        coalesce(sum(daily_costs.prompt_tokens), 0) as prompt_tokens,
        coalesce(sum(daily_costs.completion_tokens), 0) as completion_tokens,
        coalesce(sum(daily_costs.cached_tokens), 0) as cached_tokens,
        coalesce(sum(daily_costs.cache_write_tokens), 0) as cache_write_tokens,
        coalesce(sum(daily_costs.prompt_audio_tokens), 0) as prompt_audio_tokens,
        coalesce(sum(daily_costs.completion_audio_tokens), 0) as completion_audio_tokens,
        sum(daily_costs.cost_usd) as cost_usd,
        sum(cast(daily_costs.cost_usd as double precision) / daily_costs.multiplier) as listed_usd
    from bills
    inner join reports.daily_costs on daily_costs.source = bills.source
    where daily_costs.created_date is not null
    group by
        bills.bill_source,
        bills.project_id,
        daily_costs.created_date,
        daily_costs.model,
        coalesce(daily_costs.price_tier, 'other'),
        daily_costs.unpriced_reason is null
),
rated as (
    select
        added.*,
        case when added.model like 'ft:%' then 'ft-' || split_part(added.model, ':', 2) else added.model end as billed_model,
        prices.input,
        prices.cached_input,
        prices.cache_write,
        coalesce(prices.audio_input, prices.input) as audio_input,
        prices.output,
        coalesce(prices.audio_output, prices.output) as audio_output,
        prices.per_request
    from added
    left join prices
        on added.is_priced
        and prices.model = added.model
        and prices.tier = added.price_tier
        and prices.first_date <= added.created_date
        and prices.end_date > added.created_date
),
measured as (
    select
        rated.*,
        'input' as measure,
        rated.prompt_tokens as quantity,
        rated.prompt_tokens * cast(rated.input as double precision) as full_usd,
        rated.cached_tokens * cast(rated.input - rated.cached_input as double precision)
        + rated.cache_write_tokens * cast(rated.input - rated.cache_write as double precision)
        + rated.prompt_audio_tokens * cast(rated.input - rated.audio_input as double precision) as details_usd
    from rated
    union all
    select
        rated.*,
        'output',
        rated.completion_tokens,
        rated.completion_tokens * cast(rated.output as double precision),
        rated.completion_audio_tokens * cast(rated.output - rated.audio_output as double precision)
    from rated
    union all
    select
        rated.*,
        'request',
        rated.requests - rated.silent_requests,
        (rated.requests - rated.silent_requests) * cast(rated.per_request as double precision),
        0
    from rated
)
select
    measured.bill_source,
    measured.created_date,
    measured.project_id,
    measured.billed_model as model,
    measured.price_tier,
    measured.measure,
    sum(measured.quantity) as quantity,
    sum(case when measured.is_priced then 0 else measured.quantity end) as unpriced_quantity,
    coalesce(sum(measured.full_usd), 0) as full_usd,
    coalesce(sum(measured.details_usd), 0) as details_usd,
    coalesce(sum(case when measured.measure = 'request' then measured.listed_usd end), 0) as listed_usd,
    coalesce(sum(case when measured.measure = 'request' then measured.cost_usd end), 0) as cost_usd,
    sum(case when measured.measure = 'request' then measured.silent_requests else 0 end) as silent_requests
from measured
group by
    measured.bill_source,
    measured.created_date,
    measured.project_id,
    measured.billed_model,
    measured.price_tier,
    measured.measure
