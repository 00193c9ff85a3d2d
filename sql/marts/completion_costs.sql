-- What each completion used and what that cost, part by part, in US dollars, and what the figure rests on.
-- Each kind of token is taken out of the total it is part of and priced at the rate in force on the UTC day, of the
-- tier that served the request and of the band its prompt_tokens fall in; no part is rounded, and the parts add up to
-- the whole exactly. Where a cost cannot be known, it and its parts are NULL and unpriced_reason says why: never 0.
-- Deleted completions are in: they were billed.
-- grain: completion_id
-- columns:
--   completion_id               the API's id; joins to every table of schema chat
--   source                      name of the configured source that loaded it
--   created_at                  when the request started
--   created_date                UTC day of created_at; NULL where the API sent no usable time
--   model                       the model that answered
--   service_tier                the tier that served it
--   request_id                  the x-request-id of the original request
--   input_user                  the user field of the original request
--   metadata                    the metadata object, JSON; chat.metadata has one row per pair
--   prompt_tokens               input tokens, cached ones included
--   completion_tokens           output tokens, reasoning included
--   total_tokens                the API's total, as sent
--   cached_tokens               input tokens read from the prompt cache
--   cache_write_tokens          input tokens written to the prompt cache
--   prompt_audio_tokens         audio tokens in the input
--   prompt_text_tokens          text tokens in the input
--   prompt_image_tokens         image tokens in the input
--   reasoning_tokens            output tokens spent on reasoning
--   completion_audio_tokens     audio tokens in the output
--   completion_text_tokens      text tokens in the output
--   accepted_prediction_tokens  predicted tokens that were used, part of completion_tokens
--   rejected_prediction_tokens  predicted tokens that were not used, part of completion_tokens
--   cost_usd                    what it cost, the multiplier applied; NULL: not known
--   input_usd                   part of it for input tokens that are none of the next three
--   cached_input_usd            for input read from the prompt cache
--   cache_write_usd             for input written to the prompt cache
--   audio_input_usd             for audio input
--   output_usd                  for output tokens that are none of the next two
--   reasoning_usd               for reasoning
--   audio_output_usd            for audio output
--   request_usd                 for the request itself, whatever its tokens
--   multiplier                  what the source's costs are multiplied by, see chat.price_multipliers; 1 if
--                               nothing is said
--   price_model_id              the prices that the model's name stands for, see chat.model_price_rules;
--                               NULL: unknown model
--   price_tier                  standard, flex, priority or batch; NULL: a word that names no tier known here
--   price_no                    the row of chat.model_prices in force; NULL if there is none
--   price_basis                 listed, override (somebody corrected the list), or tier_backdated (the tier's
--                               price from before it was listed, at its ratio to standard); NULL without a
--                               cost
--   has_details                 whether any counter below the totals was sent
--   usage_basis                 full, no_details (totals only, the rule for stored rows: an upper bound) or
--                               no_details_unbounded (the model has special rates above its base rates, so it
--                               is not even that); NULL without a cost
--   unpriced_reason             NULL with a cost, else no_usage, unknown_model, no_token_price (billed by the
--                               hour, or not at all), no_created_date, inconsistent_usage (parts exceed their
--                               total or are negative), no_price_for_tier or no_audio_price
--   deleted_at                  when a full re-list found it gone; NULL: still there
with completions as (
    select * from chat.completions
),
usage as (
    select * from chat.usage
),
rules as (
    select * from chat.model_price_rules
),
multipliers as (
    select * from chat.price_multipliers
),
models as (
    select distinct
        completions.model,
        lower(completions.model) as name
    from chat.completions
    where completions.model is not null
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
        rules.price_model_id,
        exists (
            select 1 from chat.model_prices
            where model_prices.price_model_id = rules.price_model_id
        ) as has_prices
    from first_rules
    inner join rules on rules.rule_no = first_rules.rule_no
),
-- open ends as values, so that a range is two comparisons
prices as (
    select
        price_models.model,
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
        or coalesce(model_prices.audio_output > model_prices.output, false) as has_dearer_rates
    from price_models
    inner join chat.model_prices on model_prices.price_model_id = price_models.price_model_id
),
batched as (
    select completions.completion_id
    from chat.batch_rules
    inner join chat.completions
        on (batch_rules.source is null or batch_rules.source = completions.source)
        and (batch_rules.model is null or batch_rules.model = completions.model)
        and (batch_rules.valid_from is null or batch_rules.valid_from <= completions.created_date)
        and (batch_rules.valid_to is null or batch_rules.valid_to > completions.created_date)
    where batch_rules.metadata_key is null
    union
    select completions.completion_id
    from chat.batch_rules
    inner join chat.metadata
        on metadata.key = batch_rules.metadata_key
        and metadata.value = batch_rules.metadata_value
    inner join chat.completions
        on completions.completion_id = metadata.completion_id
        and (batch_rules.source is null or batch_rules.source = completions.source)
        and (batch_rules.model is null or batch_rules.model = completions.model)
        and (batch_rules.valid_from is null or batch_rules.valid_from <= completions.created_date)
        and (batch_rules.valid_to is null or batch_rules.valid_to > completions.created_date)
),
-- a detail that was not sent counts as 0, and 20 digits hold whatever a few 64-bit counters add up to
counted as (
    select
        completions.completion_id,
        completions.source,
        completions.created_at,
        completions.created_date,
        completions.model,
        completions.service_tier,
        completions.request_id,
        completions.input_user,
        completions.metadata,
        completions.deleted_at,
        case
            when completions.service_tier is null or completions.service_tier in ('default', 'auto')
                then case when batched.completion_id is null then 'standard' else 'batch' end
            when completions.service_tier = 'flex' then 'flex'
            when completions.service_tier in ('priority', 'fast') then 'priority'
        end as price_tier,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.prompt_audio_tokens,
        usage.prompt_text_tokens,
        usage.prompt_image_tokens,
        usage.reasoning_tokens,
        usage.completion_audio_tokens,
        usage.completion_text_tokens,
        usage.accepted_prediction_tokens,
        usage.rejected_prediction_tokens,
        coalesce(usage.cached_tokens, 0) as cached_input,
        coalesce(usage.cache_write_tokens, 0) as cache_write,
        coalesce(usage.prompt_audio_tokens, 0) as audio_input,
        coalesce(usage.reasoning_tokens, 0) as reasoning_output,
        coalesce(usage.completion_audio_tokens, 0) as audio_output,
        cast(usage.prompt_tokens as decimal(20, 0))
        - coalesce(usage.cached_tokens, 0)
        - coalesce(usage.cache_write_tokens, 0)
        - coalesce(usage.prompt_audio_tokens, 0) as plain_input,
        cast(usage.completion_tokens as decimal(20, 0))
        - coalesce(usage.reasoning_tokens, 0)
        - coalesce(usage.completion_audio_tokens, 0) as plain_output,
        coalesce(
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.prompt_audio_tokens,
            usage.prompt_text_tokens,
            usage.prompt_image_tokens,
            usage.reasoning_tokens,
            usage.completion_audio_tokens,
            usage.completion_text_tokens,
            usage.accepted_prediction_tokens,
            usage.rejected_prediction_tokens
        ) is not null as has_details
    from completions
    left join usage on usage.completion_id = completions.completion_id
    left join batched on batched.completion_id = completions.completion_id
),
priced as (
    select
        counted.*,
        price_models.price_model_id,
        coalesce(cast(multipliers.multiplier as decimal(9, 6)), 1.000000) as multiplier,
        prices.price_no,
        prices.price_basis,
        prices.has_dearer_rates,
        case
            when counted.prompt_tokens is null or counted.completion_tokens is null then 'no_usage'
            when price_models.price_model_id is null then 'unknown_model'
            when not price_models.has_prices then 'no_token_price'
            when counted.created_date is null then 'no_created_date'
            when least(
                counted.plain_input,
                counted.plain_output,
                counted.cached_input,
                counted.cache_write,
                counted.audio_input,
                counted.reasoning_output,
                counted.audio_output
            ) < 0 then 'inconsistent_usage'
            when prices.price_no is null then 'no_price_for_tier'
            when counted.audio_input > 0 and prices.audio_input is null then 'no_audio_price'
            when counted.audio_output > 0 and prices.audio_output is null then 'no_audio_price'
        end as unpriced_reason,
        counted.plain_input * prices.input as input_cost,
        counted.cached_input * prices.cached_input as cached_input_cost,
        counted.cache_write * prices.cache_write as cache_write_cost,
        counted.audio_input * coalesce(prices.audio_input, 0) as audio_input_cost,
        counted.plain_output * prices.output as output_cost,
        counted.reasoning_output * prices.reasoning_output as reasoning_cost,
        counted.audio_output * coalesce(prices.audio_output, 0) as audio_output_cost,
        prices.per_request as request_cost
    from counted
    left join price_models on price_models.model = counted.model
    left join prices
        on prices.model = counted.model
        and prices.tier = counted.price_tier
        and prices.first_date <= counted.created_date
        and prices.end_date > counted.created_date
        and prices.more_than_tokens < counted.prompt_tokens
        and prices.up_to_tokens >= counted.prompt_tokens
    left join multipliers
        on multipliers.source = counted.source
        and coalesce(multipliers.valid_from, cast('-infinity' as date)) <= counted.created_date
        and coalesce(multipliers.valid_to, cast('infinity' as date)) > counted.created_date
)
select
    priced.completion_id,
    priced.source,
    priced.created_at,
    priced.created_date,
    priced.model,
    priced.service_tier,
    priced.request_id,
    priced.input_user,
    priced.metadata,
    priced.prompt_tokens,
    priced.completion_tokens,
    priced.total_tokens,
    priced.cached_tokens,
    priced.cache_write_tokens,
    priced.prompt_audio_tokens,
    priced.prompt_text_tokens,
    priced.prompt_image_tokens,
    priced.reasoning_tokens,
    priced.completion_audio_tokens,
    priced.completion_text_tokens,
    priced.accepted_prediction_tokens,
    priced.rejected_prediction_tokens,
    case
        when priced.unpriced_reason is null
            then (
                priced.input_cost
                + priced.cached_input_cost
                + priced.cache_write_cost
                + priced.audio_input_cost
                + priced.output_cost
                + priced.reasoning_cost
                + priced.audio_output_cost
                + priced.request_cost
            ) * priced.multiplier
    end as cost_usd,
    case when priced.unpriced_reason is null then priced.input_cost * priced.multiplier end as input_usd,
    case when priced.unpriced_reason is null then priced.cached_input_cost * priced.multiplier end as cached_input_usd,
    case when priced.unpriced_reason is null then priced.cache_write_cost * priced.multiplier end as cache_write_usd,
    case when priced.unpriced_reason is null then priced.audio_input_cost * priced.multiplier end as audio_input_usd,
    case when priced.unpriced_reason is null then priced.output_cost * priced.multiplier end as output_usd,
    case when priced.unpriced_reason is null then priced.reasoning_cost * priced.multiplier end as reasoning_usd,
    case when priced.unpriced_reason is null then priced.audio_output_cost * priced.multiplier end as audio_output_usd,
    case when priced.unpriced_reason is null then priced.request_cost * priced.multiplier end as request_usd,
    priced.multiplier,
    priced.price_model_id,
    priced.price_tier,
    priced.price_no,
    case when priced.unpriced_reason is null then priced.price_basis end as price_basis,
    priced.has_details,
    case
        when priced.unpriced_reason is not null then null
        when priced.has_details then 'full'
        when priced.has_dearer_rates then 'no_details_unbounded'
        else 'no_details'
    end as usage_basis,
    priced.unpriced_reason,
    priced.deleted_at
from priced
