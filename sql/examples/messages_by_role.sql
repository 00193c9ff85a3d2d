-- Who speaks in the requests, and how often with more than text?
-- about: chat.messages
select
    messages.role,
    count(*) as messages,
    count(distinct messages.completion_id) as completions,
    count(messages.content_parts) as with_parts
from chat.messages
group by messages.role
order by messages desc
