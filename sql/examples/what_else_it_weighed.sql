-- What else did the model weigh where it did not write its likeliest token?
-- about: chat.top_logprobs
select
    logprobs.token as written,
    top_logprobs.token as likelier,
    count(*) as times
from chat.logprobs
inner join chat.top_logprobs
    on top_logprobs.completion_id = logprobs.completion_id
    and top_logprobs.choice_index = logprobs.choice_index
    and top_logprobs.kind = logprobs.kind
    and top_logprobs.token_index = logprobs.token_index
where top_logprobs.rank = 0
    and top_logprobs.logprob > logprobs.logprob
group by
    logprobs.token,
    top_logprobs.token
order by times desc, written, likelier
limit 5
