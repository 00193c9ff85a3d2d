-- Which rules come from elsewhere than the price library, and which prices do they choose?
-- about: chat.model_price_rules
select
    model_price_rules.rule_no,
    model_price_rules.kind,
    model_price_rules.pattern,
    model_price_rules.price_model_id
from chat.model_price_rules
where model_price_rules.source not like 'genai-prices%'
order by model_price_rules.rule_no
limit 5
