-- At which tokens was another one likelier, and by how much?
-- about: marts.token_confidence
select
    token_confidence.completion_id,
    token_confidence.token_index,
    token_confidence.token,
    round(token_confidence.probability, 4) as probability,
    round(token_confidence.margin, 4) as margin,
    round(token_confidence.entropy, 4) as entropy
from marts.token_confidence
where token_confidence.margin < 0
order by token_confidence.margin, token_confidence.completion_id, token_confidence.token_index
limit 5
