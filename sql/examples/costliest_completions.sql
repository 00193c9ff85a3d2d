-- Which completions cost the most?
-- about: marts.completions_wide
select
    completions_wide.completion_id,
    completions_wide.model,
    completions_wide.completion_tokens,
    round(completions_wide.cost_usd, 4) as cost_usd
from marts.completions_wide
order by completions_wide.cost_usd desc nulls last, completions_wide.completion_id
limit 5
