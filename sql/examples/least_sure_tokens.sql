-- Where was the model least sure of what it wrote?
-- about: chat.logprobs
select
    logprobs.completion_id,
    logprobs.token_index,
    logprobs.token,
    logprobs.logprob
from chat.logprobs
where logprobs.logprob > -9999
order by logprobs.logprob, logprobs.completion_id, logprobs.token_index
limit 5
