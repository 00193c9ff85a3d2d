-- Why is the bill not what the stored completions cost, model by model?
-- about: marts.reconciliation
select
    reconciliation.model,
    round(sum(reconciliation.billed_usd), 4) as billed_usd,
    round(sum(reconciliation.stored_usd), 4) as stored_usd,
    round(sum(reconciliation.not_stored_usd), 4) as not_stored_usd,
    round(sum(reconciliation.cached_share_usd), 4) as cached_share_usd,
    round(sum(reconciliation.tier_usd + reconciliation.batch_usd), 4) as tier_and_batch_usd,
    round(sum(reconciliation.unpriced_usd), 4) as unpriced_usd,
    round(sum(reconciliation.discount_usd), 4) as discount_usd
from marts.reconciliation
where reconciliation.comparison = 'compared'
group by reconciliation.model
order by billed_usd desc, reconciliation.model
