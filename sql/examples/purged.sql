-- How many completions had their content erased on request?
-- about: chat.purges
select count(*) as purged
from chat.purges
