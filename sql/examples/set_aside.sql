-- What could not be loaded, and why?
-- about: chat.quarantine
select
    quarantine.reason,
    count(*) as objects
from chat.quarantine
group by quarantine.reason
order by objects desc, quarantine.reason
