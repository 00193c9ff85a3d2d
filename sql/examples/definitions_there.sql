-- Were the views ever built in this file?
-- about: chat.definitions
select count(*) > 0 as views_were_built
from chat.definitions
