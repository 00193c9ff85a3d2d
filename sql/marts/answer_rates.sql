-- How often answers are cut off, filtered or refused, per UTC day and model; each answer of a completion counts.
-- A refusal is known only where the API sent a refusal field, which listed completions often lack: refusals and their
-- share are over refusal_known answers, and NULL where there is none. Completions without an answer are not in.
-- Deleted completions are in.
-- grain: created_date, model
-- columns:
--   created_date     UTC day the completions were created; NULL where the API sent no usable time
--   model            the model that answered
--   choices          number of answers
--   truncated        answers that ran into the token limit (finish_reason length)
--   truncated_share  their part of all answers, 0 to 1
--   filtered         answers that a content filter ended (content_filter)
--   filtered_share   their part of all answers, 0 to 1
--   unfinished       answers without a finish_reason
--   refusal_known    answers for which the API sent a refusal field at all
--   refusals         of these, refusals; NULL where none is known: unknown is not none
--   refusal_share    their part of refusal_known, 0 to 1; NULL where that is 0
with finish_reasons as (
    select * from marts.finish_reasons
)
select
    finish_reasons.created_date,
    finish_reasons.model,
    cast(sum(finish_reasons.choices) as bigint) as choices,
    cast(sum(case when finish_reasons.finish_reason = 'length' then finish_reasons.choices else 0 end) as bigint) as truncated,
    cast(sum(case when finish_reasons.finish_reason = 'length' then finish_reasons.choices else 0 end) as double precision)
    / sum(finish_reasons.choices) as truncated_share,
    cast(sum(case when finish_reasons.finish_reason = 'content_filter' then finish_reasons.choices else 0 end) as bigint) as filtered,
    cast(sum(case when finish_reasons.finish_reason = 'content_filter' then finish_reasons.choices else 0 end) as double precision)
    / sum(finish_reasons.choices) as filtered_share,
    cast(sum(case when finish_reasons.finish_reason is null then finish_reasons.choices else 0 end) as bigint) as unfinished,
    cast(sum(finish_reasons.refusal_known) as bigint) as refusal_known,
    cast(sum(finish_reasons.refusals) as bigint) as refusals,
    cast(sum(finish_reasons.refusals) as double precision) / nullif(sum(finish_reasons.refusal_known), 0) as refusal_share
from finish_reasons
group by
    finish_reasons.created_date,
    finish_reasons.model
