-- Which answers are long, and how sure was the model of them?
-- about: marts.choices_wide
select
    choices_wide.completion_id,
    choices_wide.model,
    choices_wide.content_length,
    choices_wide.tokens,
    round(choices_wide.perplexity, 3) as perplexity
from marts.choices_wide
where choices_wide.tokens is not null
order by choices_wide.content_length desc nulls last, choices_wide.completion_id
limit 5
