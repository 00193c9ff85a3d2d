-- Of which answers was the model least sure, and at which word?
-- about: marts.choice_confidence
select
    choice_confidence.completion_id,
    choice_confidence.tokens,
    round(choice_confidence.perplexity, 3) as perplexity,
    choice_confidence.lowest_token,
    choice_confidence.lowest_token_index
from marts.choice_confidence
where choice_confidence.tokens >= 10
order by choice_confidence.perplexity desc nulls last, choice_confidence.completion_id
limit 5
