-- Which projects of an organization's bill are compared with which: a supporting view of marts.reconciliation.
-- A completion does not say its project; its source's is known only where it is configured. While one of the sources
-- that a bill is compared with has no known project, the bill's projects that no source claims count as one, NULL:
-- its completions are in one of them.
-- grain: bill_source, project_id
-- columns:
--   bill_source           the source that the bill's rows stand under
--   project_id            a project that the bill names
--   compared_project_id   the project it is compared as; NULL: one of those that no source claims
with bills as (
    select * from chat.organization_bills
),
projects as (
    select
        organization_usage.source as bill_source,
        organization_usage.project_id
    from chat.organization_usage
    union
    select
        organization_costs.source,
        organization_costs.project_id
    from chat.organization_costs
),
claimed as (
    select distinct
        bills.bill_source,
        bills.project_id
    from bills
    where bills.project_id is not null
),
unknown as (
    select distinct bills.bill_source
    from bills
    where bills.project_id is null
)
select
    projects.bill_source,
    projects.project_id,
    case
        when claimed.project_id is not null or unknown.bill_source is null then projects.project_id
    end as compared_project_id
from projects
left join claimed
    on claimed.bill_source = projects.bill_source
    and claimed.project_id = projects.project_id
left join unknown on unknown.bill_source = projects.bill_source
