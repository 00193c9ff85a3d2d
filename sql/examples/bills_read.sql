-- From which day on is the bill known, and which project are the completions in?
-- about: chat.organization_bills
select
    organization_bills.source,
    organization_bills.project_id,
    organization_bills.first_date
from chat.organization_bills
order by organization_bills.source
