-- Which completions are in no cost, and why?
-- about: marts.unpriced_models
select
    unpriced_models.model,
    unpriced_models.service_tier,
    unpriced_models.unpriced_reason,
    unpriced_models.completions
from marts.unpriced_models
order by unpriced_models.completions desc, unpriced_models.model, unpriced_models.service_tier
limit 5
