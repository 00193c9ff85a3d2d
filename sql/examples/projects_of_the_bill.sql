-- Which projects does the bill name, and how is each compared?
-- about: marts.bill_projects
select
    bill_projects.project_id,
    bill_projects.compared_project_id
from marts.bill_projects
order by bill_projects.project_id
