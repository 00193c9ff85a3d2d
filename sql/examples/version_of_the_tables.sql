-- Of which version are the tables of this file?
-- about: chat.publication
select publication.schema_version
from chat.publication
