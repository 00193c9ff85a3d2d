-- What do syncs keep of content, and since when?
-- about: chat.content_policies
select content_group, policy, changed_at
from chat.content_policies
order by changed_at desc, content_group
