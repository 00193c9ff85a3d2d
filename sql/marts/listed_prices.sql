-- The list prices of every model that answered or was billed: which name leads to which prices, and what they are.
-- US dollars per token. The first rule of chat.model_price_rules that fits a name wins; a name that no rule fits is
-- not here. Where a rate is not listed, the one that is charged in its place stands.
-- grain: model, price_no
-- columns:
--   model             the model's name, as completions and the bill have it
--   price_model_id    the prices that the name stands for
--   price_no          the row of chat.model_prices; NULL: there are no prices by the token under that id
--   tier              standard, flex, priority or batch
--   first_date        first UTC day it holds; -infinity: since ever
--   end_date          first UTC day it holds no more; infinity: until now
--   more_than_tokens  it holds for requests with more prompt_tokens than this
--   up_to_tokens      and with no more than this
--   input             a token of input
--   cached_input      a token of input read from the prompt cache
--   cache_write       a token of input written to the prompt cache
--   audio_input       a token of audio input; NULL: not known
--   output            a token of output
--   reasoning_output  a token of reasoning
--   audio_output      a token of audio output; NULL: not known
--   per_request       a request, whatever its tokens
--   price_basis       listed, override or tier_backdated
--   has_dearer_rates  whether some kind of token costs more than the input or output it is part of
--   has_dearer_parts  the same, but for cache writes
with rules as (
    select * from chat.model_price_rules
),
models as (
    select
        completions.model,
        lower(completions.model) as name
    from chat.completions
    where completions.model is not null
    union
    select
        organization_usage.model,
        lower(organization_usage.model) as name
    from chat.organization_usage
    where organization_usage.model is not null
),
-- some gateways write 20251211 for 2025-12-11: tried where the name as it stands fits no rule
names as (
    select
        models.model,
        models.name,
        false as is_rewritten
    from models
    union all
    select
        models.model,
        regexp_replace(
            models.name,
            '-(20[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(-|:|$)',
            '-\1-\2-\3\4',
            'g'
        ),
        true
    from models
),
first_rules as (
    select
        names.model,
        coalesce(min(case when not names.is_rewritten then rules.rule_no end), min(rules.rule_no)) as rule_no
    from names
    inner join rules
        on case rules.kind
            when 'equals' then names.name = rules.pattern
            when 'starts_with' then left(names.name, length(rules.pattern)) = rules.pattern
            when 'ends_with' then right(names.name, length(rules.pattern)) = rules.pattern
            when 'contains' then position(rules.pattern in names.name) > 0
            when 'regex' then regexp_matches(names.name, rules.pattern)
        end
    group by names.model
),
price_models as (
    select
        first_rules.model,
        rules.price_model_id
    from first_rules
    inner join rules on rules.rule_no = first_rules.rule_no
)
-- open ends as values, so that a range is two comparisons
select
    price_models.model,
    price_models.price_model_id,
    model_prices.price_no,
    model_prices.tier,
    coalesce(model_prices.valid_from, cast('-infinity' as date)) as first_date,
    coalesce(model_prices.valid_to, cast('infinity' as date)) as end_date,
    coalesce(model_prices.min_input_tokens, -1) as more_than_tokens,
    coalesce(model_prices.max_input_tokens, 9223372036854775807) as up_to_tokens,
    model_prices.input,
    coalesce(model_prices.cached_input, model_prices.input) as cached_input,
    coalesce(model_prices.cache_write, model_prices.input) as cache_write,
    model_prices.audio_input,
    model_prices.output,
    coalesce(model_prices.reasoning_output, model_prices.output) as reasoning_output,
    model_prices.audio_output,
    coalesce(model_prices.per_request, 0) as per_request,
    model_prices.price_basis,
    coalesce(model_prices.cached_input > model_prices.input, false)
    or coalesce(model_prices.cache_write > model_prices.input, false)
    or coalesce(model_prices.audio_input > model_prices.input, false)
    or coalesce(model_prices.reasoning_output > model_prices.output, false)
    or coalesce(model_prices.audio_output > model_prices.output, false) as has_dearer_rates,
    coalesce(model_prices.audio_input > model_prices.input, false)
    or coalesce(model_prices.reasoning_output > model_prices.output, false)
    or coalesce(model_prices.audio_output > model_prices.output, false) as has_dearer_parts
from price_models
left join chat.model_prices on model_prices.price_model_id = price_models.price_model_id
