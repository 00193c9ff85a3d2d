-- The organization's bill beside what is stored, by UTC day, project and model: coverage, and the difference between
-- what was billed and what the stored completions cost by the list, taken apart into causes that add up to it exactly.
-- How the causes are found, each step starting where the one before ends:
--   1. Stored completions at their cost_usd: list prices, full rates where only totals were stored.
--   2. unpriced_usd adds the completions without a cost, at the full rates of the tier that the bill puts them in.
--   3. tier_usd: the bill names fewer tokens of a tier than were stored under it. The rest is looked for among what it
--      names of other tiers and was not stored, of standard first; the difference of the full rates is the cause, as is
--      use free of charge.
--   4. batch_usd: the part of them that ran in the Batch API, as in all of that day's use of the model and tier.
--   5. cached_share_usd: the part that was read from or written to the prompt cache, or was audio, as in all of it,
--      beyond what the completions tell themselves.
--   6. discount_usd: the bill's price level, applied to the list's. It is the middle one of the ratios of cost to list
--      of the fifteen days around, so that a single odd day is no discount; configured multipliers are taken out.
--   7. not_stored_usd adds what was billed beyond what is stored, at the bill's unit costs.
--   8. day_shift_usd: a cost that is dated a day before its usage, or usage that is dated the day after its completion.
--   9. rest_usd is what is left; divisions leave less than a billionth of a dollar in it.
-- Completions do not show which of them ran in a batch or read from the cache: the shares of all requests of their day,
-- model and tier are taken for theirs. Dollars are compared only where coverage allows it, else comparison says why
-- not and the causes are NULL. Rows add up to the whole bill.
-- engine: duckdb
-- grain: bill_source, usage_date, project_id, model
-- columns:
--   bill_source           the source whose admin key read the bill
--   usage_date            UTC day
--   project_id            the project; NULL: one of those that no source is configured to be in
--   model                 the model as the costs name it: fine-tuned ones under ft- and their base; NULL: lines that
--                         name no model
--   comparison            compared, or why not: not_read (the bill was not read for this day), not_billed (stored, but
--                         in no bill yet), no_cost_yet (used, but not charged yet), no_usage (charged, but no
--                         completions: other APIs), no_model (a line of the bill that names none), or more_stored
--                         (the stored completions used over 5 percent more than the bill knows of)
--   is_settled            whether the day was read again three days later: its figures should move no more
--   billed_requests       requests billed
--   stored_completions    completions stored
--   coverage              stored_completions as a part of billed_requests, at most 1; NULL: nothing billed
--   billed_input_tokens   input tokens billed
--   stored_input_tokens   input tokens of the stored completions
--   billed_cached_tokens  input tokens billed that were read from the prompt cache
--   billed_output_tokens  output tokens billed
--   stored_output_tokens  output tokens of the stored completions
--   price_level           what is charged for a dollar of the list; NULL: unknown
--   billed_usd            what the bill charges
--   billed_list_usd       what its usage costs by the list; NULL: the list has no price
--   stored_usd            what the stored completions cost (their cost_usd); 0 where none has a price
--   difference_usd        billed_usd less stored_usd
--   not_stored_usd        part of it for requests that are not stored
--   cached_share_usd      for cached input, cache writes and audio that the completions do not tell
--   tier_usd              for another tier than the completion names
--   batch_usd             for the Batch API
--   unpriced_usd          for completions that have no cost here
--   discount_usd          for discounts and multipliers
--   day_shift_usd         for what is dated another day
--   rest_usd              what none of these explains
with bills as (
    select * from chat.organization_bills
),
billed as (
    select * from marts.billed_list_costs
),
stored as (
    select * from marts.stored_list_costs
),
bill_projects as (
    select * from marts.bill_projects
),
costs as (
    select
        organization_costs.source as bill_source,
        organization_costs.cost_date as usage_date,
        bill_projects.compared_project_id as project_id,
        organization_costs.billed_model as model,
        cast(sum(organization_costs.amount_usd) as decimal(38, 18)) as billed_usd,
        cast(
            sum(case when organization_costs.kind like '%output' then organization_costs.amount_usd else 0 end)
            as double precision
        ) as output_usd
    from chat.organization_costs
    inner join bill_projects
        on bill_projects.bill_source = organization_costs.source
        and bill_projects.project_id is not distinct from organization_costs.project_id
    group by
        organization_costs.source,
        organization_costs.cost_date,
        bill_projects.compared_project_id,
        organization_costs.billed_model
),
-- what is stored and what is billed under one tier
tiers as (
    select
        coalesce(billed.bill_source, stored.bill_source) as bill_source,
        coalesce(billed.usage_date, stored.created_date) as usage_date,
        coalesce(billed.project_id, stored.project_id) as project_id,
        coalesce(billed.model, stored.model) as model,
        coalesce(billed.price_tier, stored.price_tier) as price_tier,
        coalesce(billed.measure, stored.measure) as measure,
        cast(coalesce(billed.quantity, 0) as double precision) as billed,
        cast(coalesce(stored.quantity, 0) as double precision) as stored,
        cast(coalesce(stored.unpriced_quantity, 0) as double precision) as unpriced,
        least(coalesce(billed.quantity, 0), coalesce(stored.quantity, 0)) as matched,
        cast(coalesce(billed.cached_tokens, 0) as double precision) as cached_tokens,
        cast(billed.tier_usd as double precision) as tier_usd,
        cast(billed.billed_usd as double precision) as billed_usd,
        cast(billed.batch_usd as double precision) as batch_usd,
        cast(billed.list_usd as double precision) as list_usd,
        coalesce(stored.full_usd, 0) as full_usd,
        coalesce(stored.details_usd, 0) as details_usd,
        coalesce(stored.listed_usd, 0) as listed_usd,
        coalesce(stored.cost_usd, 0) as cost_usd,
        coalesce(stored.silent_requests, 0) as silent_requests
    from billed
    full join stored
        on stored.bill_source = billed.bill_source
        and stored.created_date = billed.usage_date
        and stored.project_id is not distinct from billed.project_id
        and stored.model is not distinct from billed.model
        and stored.price_tier = billed.price_tier
        and stored.measure = billed.measure
),
-- spare is billed under this tier and not stored, excess is stored under it and not billed
spared as (
    select
        tiers.*,
        tiers.billed - tiers.matched as spare,
        tiers.stored - tiers.matched as excess,
        tiers.tier_usd / nullif(tiers.billed, 0) as tier_rate,
        tiers.billed_usd / nullif(tiers.billed, 0) as billed_rate,
        tiers.batch_usd / nullif(tiers.billed, 0) as batch_rate,
        tiers.list_usd / nullif(tiers.billed, 0) as list_rate,
        tiers.unpriced / nullif(tiers.stored, 0) as unpriced_share
    from tiers
),
pools as (
    select
        spared.bill_source,
        spared.usage_date,
        spared.project_id,
        spared.model,
        spared.measure,
        sum(spared.spare) as spare,
        sum(case when spared.price_tier = 'standard' then spared.spare else 0 end) as spare_standard,
        sum(spared.excess) as excess,
        least(sum(spared.spare), sum(spared.excess)) as absorbed
    from spared
    group by
        spared.bill_source,
        spared.usage_date,
        spared.project_id,
        spared.model,
        spared.measure
),
-- a tier that is not served is billed as standard: looked for there first
taken as (
    select
        spared.*,
        pools.absorbed as absorbed_of_all,
        pools.excess as excess_of_all,
        case
            when spared.price_tier = 'standard' then least(pools.absorbed, pools.spare_standard)
            else coalesce(
                greatest(pools.absorbed - pools.spare_standard, 0)
                * spared.spare
                / nullif(pools.spare - pools.spare_standard, 0),
                0
            )
        end as taken
    from spared
    inner join pools
        on pools.bill_source = spared.bill_source
        and pools.usage_date = spared.usage_date
        and pools.project_id is not distinct from spared.project_id
        and pools.model is not distinct from spared.model
        and pools.measure = spared.measure
),
rates as (
    select
        taken.bill_source,
        taken.usage_date,
        taken.project_id,
        taken.model,
        taken.measure,
        sum(taken.spare - taken.taken) as unstored,
        max(taken.excess_of_all - taken.absorbed_of_all) as unmatched,
        coalesce(sum(taken.taken * taken.tier_rate) / nullif(sum(taken.taken), 0), 0) as taken_tier_rate,
        coalesce(
            sum((taken.spare - taken.taken) * taken.list_rate) / nullif(sum(taken.spare - taken.taken), 0), 0
        ) as unstored_list_rate
    from taken
    group by
        taken.bill_source,
        taken.usage_date,
        taken.project_id,
        taken.model,
        taken.measure
),
-- assigned: what of the bill's tier the stored rows stand for, those that were stored under another one included
assigned as (
    select
        taken.*,
        taken.matched + taken.taken as assigned,
        coalesce(taken.absorbed_of_all * taken.excess / nullif(taken.excess_of_all, 0), 0) as absorbed,
        rates.taken_tier_rate
    from taken
    inner join rates
        on rates.bill_source = taken.bill_source
        and rates.usage_date = taken.usage_date
        and rates.project_id is not distinct from taken.project_id
        and rates.model is not distinct from taken.model
        and rates.measure = taken.measure
),
measures as (
    select
        assigned.bill_source,
        assigned.usage_date,
        assigned.project_id,
        assigned.model,
        assigned.measure,
        sum(assigned.billed) as billed,
        sum(assigned.stored) as stored,
        sum(assigned.cached_tokens) as cached_tokens,
        sum(assigned.listed_usd) as listed_usd,
        sum(assigned.cost_usd) as cost_usd,
        sum(assigned.silent_requests) as silent_requests,
        sum(assigned.list_usd) as list_usd,
        coalesce(sum(assigned.assigned * assigned.list_rate), 0) as assigned_list_usd,
        coalesce(
            sum(
                assigned.unpriced_share
                * (
                    coalesce(assigned.matched * assigned.tier_rate, 0)
                    + assigned.absorbed * assigned.taken_tier_rate
                )
            ),
            0
        ) as unpriced_usd,
        coalesce(
            sum(
                (1 - assigned.unpriced_share)
                * (
                    coalesce(assigned.matched * assigned.tier_rate, 0)
                    + assigned.absorbed * assigned.taken_tier_rate
                )
                - assigned.full_usd * (assigned.matched + assigned.absorbed) / assigned.stored
            ),
            0
        )
        + coalesce(sum(assigned.assigned * (assigned.billed_rate - assigned.tier_rate)), 0) as tier_usd,
        coalesce(sum(assigned.assigned * (assigned.batch_rate - assigned.billed_rate)), 0) as batch_usd,
        coalesce(sum(assigned.assigned * (assigned.list_rate - assigned.batch_rate)), 0)
        + coalesce(
            sum(assigned.details_usd * (assigned.matched + assigned.absorbed) / nullif(assigned.stored, 0)), 0
        ) as cached_share_usd,
        coalesce(
            sum(
                (assigned.full_usd - assigned.details_usd)
                * (assigned.stored - assigned.matched - assigned.absorbed)
                / nullif(assigned.stored, 0)
            ),
            0
        ) as unmatched_usd
    from assigned
    group by
        assigned.bill_source,
        assigned.usage_date,
        assigned.project_id,
        assigned.model,
        assigned.measure
),
-- what was stored on one day and is in no usage of it can be in that of the day after
neighbours as (
    select
        measures.*,
        rates.unmatched,
        rates.unstored_list_rate,
        case
            when lead(measures.usage_date) over days = measures.usage_date + 1
                then least(rates.unmatched, lead(rates.unstored) over days)
            else 0
        end as found_next_day,
        case
            when lag(measures.usage_date) over days = measures.usage_date - 1
                then least(lag(rates.unmatched) over days, rates.unstored)
            else 0
        end as of_the_day_before
    from measures
    inner join rates
        on rates.bill_source = measures.bill_source
        and rates.usage_date = measures.usage_date
        and rates.project_id is not distinct from measures.project_id
        and rates.model is not distinct from measures.model
        and rates.measure = measures.measure
    window days as (
        partition by measures.bill_source, measures.project_id, measures.model, measures.measure
        order by measures.usage_date
    )
),
models as (
    select
        neighbours.bill_source,
        neighbours.usage_date,
        neighbours.project_id,
        neighbours.model,
        sum(case when neighbours.measure = 'request' then neighbours.billed else 0 end) as requests,
        sum(case when neighbours.measure = 'request' then neighbours.stored + neighbours.silent_requests else 0 end) as completions,
        sum(neighbours.silent_requests) as silent_requests,
        sum(case when neighbours.measure = 'input' then neighbours.billed else 0 end) as billed_input_tokens,
        sum(case when neighbours.measure = 'input' then neighbours.stored else 0 end) as stored_input_tokens,
        sum(neighbours.cached_tokens) as billed_cached_tokens,
        sum(case when neighbours.measure = 'output' then neighbours.billed else 0 end) as billed_output_tokens,
        sum(case when neighbours.measure = 'output' then neighbours.stored else 0 end) as stored_output_tokens,
        sum(neighbours.cost_usd) as stored_usd,
        sum(neighbours.listed_usd) as listed_usd,
        sum(neighbours.list_usd) as billed_list_usd,
        sum(neighbours.assigned_list_usd) as assigned_list_usd,
        sum(neighbours.unpriced_usd) as unpriced_usd,
        sum(neighbours.tier_usd) as tier_usd,
        sum(neighbours.batch_usd) as batch_usd,
        sum(neighbours.cached_share_usd) as cached_share_usd,
        sum(coalesce(neighbours.unmatched_usd * neighbours.found_next_day / nullif(neighbours.unmatched, 0), 0)) as found_usd,
        sum(neighbours.of_the_day_before * neighbours.unstored_list_rate) as arrived_usd,
        max((neighbours.unmatched - neighbours.found_next_day) / nullif(neighbours.stored, 0)) as unmatched_share
    from neighbours
    group by
        neighbours.bill_source,
        neighbours.usage_date,
        neighbours.project_id,
        neighbours.model
),
keyed as (
    select
        coalesce(models.bill_source, costs.bill_source) as bill_source,
        coalesce(models.usage_date, costs.usage_date) as usage_date,
        coalesce(models.project_id, costs.project_id) as project_id,
        coalesce(models.model, costs.model) as model,
        models.bill_source is not null as has_usage,
        costs.bill_source is not null as has_costs,
        coalesce(costs.billed_usd, 0) as billed_usd,
        coalesce(costs.output_usd, 0) as output_usd,
        models.requests,
        models.completions,
        models.silent_requests,
        models.billed_input_tokens,
        models.stored_input_tokens,
        models.billed_cached_tokens,
        models.billed_output_tokens,
        models.stored_output_tokens,
        models.stored_usd,
        models.listed_usd,
        models.billed_list_usd,
        models.assigned_list_usd,
        models.unpriced_usd,
        models.tier_usd,
        models.batch_usd,
        models.cached_share_usd,
        models.found_usd,
        models.arrived_usd,
        models.unmatched_share,
        cast(costs.billed_usd as double precision) / nullif(models.billed_list_usd, 0) as ratio
    from models
    full join costs
        on costs.bill_source = models.bill_source
        and costs.usage_date = models.usage_date
        and costs.project_id is not distinct from models.project_id
        and costs.model is not distinct from models.model
),
levelled as (
    select
        keyed.*,
        cast(
            round(
                coalesce(
                    median(case when keyed.ratio > 0 then keyed.ratio end) over nearby,
                    median(case when keyed.ratio > 0 then keyed.ratio end) over always,
                    1
                ),
                6
            ) as double precision
        ) as level
    from keyed
    window
        nearby as (
            partition by keyed.bill_source, keyed.project_id, keyed.model
            order by keyed.usage_date
            range between interval 7 days preceding and interval 7 days following
        ),
        always as (partition by keyed.bill_source, keyed.project_id, keyed.model)
),
residuals as (
    select
        levelled.*,
        cast(levelled.billed_usd as double precision) - levelled.level * coalesce(levelled.billed_list_usd, 0) as residual
    from levelled
),
-- more cost than usage on one day and less on the next: dated apart, so much of it
shifted as (
    select
        residuals.*,
        case
            when lead(residuals.usage_date) over days = residuals.usage_date + 1
                then greatest(least(residuals.residual, -lead(residuals.residual) over days), 0)
            else 0
        end
        - case
            when lag(residuals.usage_date) over days = residuals.usage_date - 1
                then greatest(least(lag(residuals.residual) over days, -residuals.residual), 0)
            else 0
        end as shift_usd
    from residuals
    window days as (
        partition by residuals.bill_source, residuals.project_id, residuals.model
        order by residuals.usage_date
    )
),
compared as (
    select
        shifted.*,
        shifted.usage_date <= own.last_date - 3 as is_settled,
        shifted.billed_list_usd is not null as has_list,
        case
            when shifted.model is null then 'no_model'
            when shifted.usage_date < own.first_date or shifted.usage_date > own.last_date then 'not_read'
            when coalesce(shifted.requests + shifted.billed_input_tokens + shifted.billed_output_tokens, 0) = 0
                then case
                    when not shifted.has_costs then 'not_billed'
                    when abs(shifted.residual - shifted.shift_usd) > 0.05 * shifted.residual then 'no_usage'
                    when coalesce(shifted.completions, 0) > 0 then 'more_stored'
                    else 'compared'
                end
            when shifted.level * coalesce(shifted.billed_list_usd, 1) > 0
            and shifted.billed_usd - shifted.shift_usd < 0.05 * shifted.level * coalesce(shifted.billed_list_usd, 0)
                then 'no_cost_yet'
            when not shifted.has_costs and shifted.billed_list_usd is null then 'no_cost_yet'
            when shifted.unmatched_share > 0.05 then 'more_stored'
            else 'compared'
        end as comparison,
        -- requests without counters are among those that seem not to be stored
        least(
            1,
            coalesce(
                shifted.silent_requests / nullif(shifted.requests - shifted.completions + shifted.silent_requests, 0), 0
            )
        ) as silent_share,
        shifted.output_usd
        * least(1, coalesce(shifted.stored_output_tokens / nullif(shifted.billed_output_tokens, 0), 0))
        + (cast(shifted.billed_usd as double precision) - shifted.output_usd)
        * least(1, coalesce(shifted.stored_input_tokens / nullif(shifted.billed_input_tokens, 0), 0)) as unlisted_usd,
        shifted.level
        * coalesce(shifted.billed_list_usd - shifted.assigned_list_usd - shifted.arrived_usd, 0) as unstored_usd
    from shifted
    inner join bills as own on own.source = shifted.bill_source
),
causes as (
    select
        compared.*,
        compared.comparison = 'compared' as is_compared,
        compared.billed_usd - coalesce(compared.stored_usd, 0) as difference,
        cast(
            case
                when compared.has_list then compared.unstored_usd * (1 - compared.silent_share)
                when compared.has_usage
                    then (cast(compared.billed_usd as double precision) - compared.unlisted_usd) * (1 - compared.silent_share)
                else 0
            end as decimal(38, 12)
        ) as not_stored,
        cast(case when compared.has_list then compared.cached_share_usd else 0 end as decimal(38, 12)) as cached_share,
        cast(case when compared.has_list then compared.tier_usd else 0 end as decimal(38, 12)) as tier,
        cast(case when compared.has_list then compared.batch_usd else 0 end as decimal(38, 12)) as batch,
        cast(
            case
                when compared.has_list then compared.unpriced_usd + compared.unstored_usd * compared.silent_share
                when compared.has_usage
                    then compared.unlisted_usd
                    + (cast(compared.billed_usd as double precision) - compared.unlisted_usd) * compared.silent_share
                else 0
            end as decimal(38, 12)
        ) as unpriced,
        cast(
            case
                when compared.has_list
                    then (compared.level - 1) * compared.assigned_list_usd
                    + compared.listed_usd - cast(compared.stored_usd as double precision)
                else 0
            end as decimal(38, 12)
        ) as discount,
        cast(
            compared.shift_usd
            + case
                when compared.has_list then compared.level * compared.arrived_usd - compared.found_usd
                else 0
            end as decimal(38, 12)
        ) as day_shift
    from compared
)
select
    causes.bill_source,
    causes.usage_date,
    causes.project_id,
    causes.model,
    causes.comparison,
    causes.is_settled,
    cast(coalesce(causes.requests, 0) as decimal(38, 0)) as billed_requests,
    cast(coalesce(causes.completions, 0) as decimal(38, 0)) as stored_completions,
    case when causes.requests > 0 then least(1, causes.completions / causes.requests) end as coverage,
    cast(coalesce(causes.billed_input_tokens, 0) as decimal(38, 0)) as billed_input_tokens,
    cast(coalesce(causes.stored_input_tokens, 0) as decimal(38, 0)) as stored_input_tokens,
    cast(coalesce(causes.billed_cached_tokens, 0) as decimal(38, 0)) as billed_cached_tokens,
    cast(coalesce(causes.billed_output_tokens, 0) as decimal(38, 0)) as billed_output_tokens,
    cast(coalesce(causes.stored_output_tokens, 0) as decimal(38, 0)) as stored_output_tokens,
    case when causes.is_compared and causes.has_list then causes.level end as price_level,
    causes.billed_usd,
    cast(causes.billed_list_usd as decimal(38, 12)) as billed_list_usd,
    coalesce(causes.stored_usd, 0) as stored_usd,
    case when causes.is_compared then causes.difference end as difference_usd,
    case when causes.is_compared then causes.not_stored end as not_stored_usd,
    case when causes.is_compared then causes.cached_share end as cached_share_usd,
    case when causes.is_compared then causes.tier end as tier_usd,
    case when causes.is_compared then causes.batch end as batch_usd,
    case when causes.is_compared then causes.unpriced end as unpriced_usd,
    case when causes.is_compared then causes.discount end as discount_usd,
    case when causes.is_compared then causes.day_shift end as day_shift_usd,
    case
        when causes.is_compared
            then causes.difference
            - causes.not_stored
            - causes.cached_share
            - causes.tier
            - causes.batch
            - causes.unpriced
            - causes.discount
            - causes.day_shift
    end as rest_usd
from causes
