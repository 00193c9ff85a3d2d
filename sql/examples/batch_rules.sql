-- Which completions are taken to have run in a batch, at its price?
-- about: chat.batch_rules
select
    batch_rules.rule_no,
    batch_rules.source,
    batch_rules.model,
    batch_rules.metadata_key,
    batch_rules.metadata_value,
    batch_rules.reason
from chat.batch_rules
order by batch_rules.rule_no
