-- For how many completions did the API say how much was cached or spent on reasoning?
-- about: chat.usage
select
    count(*) as completions_with_usage,
    count(usage.cached_tokens) as say_cached,
    count(usage.reasoning_tokens) as say_reasoning,
    sum(usage.cached_tokens) as cached_tokens,
    sum(usage.reasoning_tokens) as reasoning_tokens
from chat.usage
