-- Which images were sent, how large are they, and in how many messages?
-- about: chat.attachments
select
    attachments.media_type,
    octet_length(attachments.data) as bytes,
    count(*) as messages
from chat.attachments
inner join chat.messages on messages.content_parts like '%;sha256,' || attachments.sha256 || '%'
group by
    attachments.sha256,
    attachments.media_type,
    octet_length(attachments.data)
order by messages desc, bytes desc
limit 5
