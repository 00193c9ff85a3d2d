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
with choices as (
    select * from chat.choices
),
undated_completions as (
    select * from chat.completions
    where completions.created_date is null
),
-- joined by day too, so that a filter on created_date reaches both tables, and apart where there is no day
answers as (
    select
        choices.*,
        coalesce(completions.model, undated_completions.model) as model
    from choices
    left join chat.completions
        on completions.completion_id = choices.completion_id
        and completions.created_date = choices.created_date
    left join undated_completions
        on undated_completions.completion_id = choices.completion_id
        and choices.created_date is null
),
reasons as (
    select
        answers.created_date,
        answers.model,
        answers.finish_reason,
        count(*) as choices,
        count(case when answers.refusal_sent and answers.refusal <> '' then 1 end) as refusals,
        count(case when answers.refusal_sent then 1 end) as refusal_known
    from answers
    group by
        answers.created_date,
        answers.model,
        answers.finish_reason
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
