-- How answers ended, per UTC day and model; each answer of a completion counts, so n = 3 counts three times.
-- Completions without an answer are not in. Deleted completions are in.
-- grain: created_date, model, finish_reason
-- columns:
--   created_date   UTC day the completions were created; NULL where the API sent no usable time
--   model          the model that answered
--   finish_reason  stop, length, tool_calls, content_filter, ... as sent; NULL where none was sent
--   choices        number of answers that ended so
--   share          their part of all answers of that day and model, 0 to 1
--   refusals       answers with a refusal, among refusal_known; NULL where refusal_known is 0: unknown is not none
--   refusal_known  answers for which the API sent a refusal field at all (listed completions often lack it)
with completions as (
    select * from chat.completions
),
choices as (
    select * from chat.choices
),
reasons as (
    select
        choices.created_date,
        completions.model,
        choices.finish_reason,
        count(*) as choices,
        count(case when choices.refusal_sent and choices.refusal <> '' then 1 end) as refusals,
        count(case when choices.refusal_sent then 1 end) as refusal_known
    from choices
    left join completions on completions.completion_id = choices.completion_id
    group by
        choices.created_date,
        completions.model,
        choices.finish_reason
)
select
    reasons.created_date,
    reasons.model,
    reasons.finish_reason,
    reasons.choices,
    cast(reasons.choices as double precision)
    / sum(reasons.choices) over (partition by reasons.created_date, reasons.model) as share,
    case when reasons.refusal_known > 0 then reasons.refusals end as refusals,
    reasons.refusal_known
from reasons
