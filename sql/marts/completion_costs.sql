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
--   estimated_cost_usd          cost_usd, of which an upper bound is brought down by the cached share that the
--                               organization's bill shows on that day for the model and tier, see
--                               marts.cached_shares; cost_usd itself where no bill says so
--   estimated_usage_basis       cached_share_from_bill where it is, else usage_basis
with multipliers as (
    select * from chat.price_multipliers
),
prices as (
    select * from marts.listed_prices
),
price_models as (
    select
        prices.model,
        prices.price_model_id,
        count(prices.price_no) > 0 as has_prices
    from prices
    group by
        prices.model,
        prices.price_model_id
),
shares as (
    select * from marts.cached_shares
),
-- here and below, rows are joined by day too, so that a filter on created_date reaches every table, and apart where
-- there is no day
batched as (
    select
        completions.completion_id,
        completions.created_date
    from chat.batch_rules
    inner join chat.completions
        on (batch_rules.source is null or batch_rules.source = completions.source)
        and (batch_rules.model is null or batch_rules.model = completions.model)
        and (batch_rules.valid_from is null or batch_rules.valid_from <= completions.created_date)
        and (batch_rules.valid_to is null or batch_rules.valid_to > completions.created_date)
    where batch_rules.metadata_key is null
    union
    select
        completions.completion_id,
        completions.created_date
    from chat.batch_rules
    inner join chat.metadata
        on metadata.key = batch_rules.metadata_key
        and metadata.value = batch_rules.metadata_value
    inner join chat.completions
        on completions.completion_id = metadata.completion_id
        and completions.created_date = metadata.created_date
        and (batch_rules.source is null or batch_rules.source = completions.source)
        and (batch_rules.model is null or batch_rules.model = completions.model)
        and (batch_rules.valid_from is null or batch_rules.valid_from <= completions.created_date)
        and (batch_rules.valid_to is null or batch_rules.valid_to > completions.created_date)
    union
    select
        completions.completion_id,
        completions.created_date
    from chat.batch_rules
    inner join chat.metadata
        on metadata.key = batch_rules.metadata_key
        and metadata.value = batch_rules.metadata_value
        and metadata.created_date is null
    inner join chat.completions
        on completions.completion_id = metadata.completion_id
        and completions.created_date is null
        and (batch_rules.source is null or batch_rules.source = completions.source)
        and (batch_rules.model is null or batch_rules.model = completions.model)
        and (batch_rules.valid_from is null or batch_rules.valid_from <= completions.created_date)
        and (batch_rules.valid_to is null or batch_rules.valid_to > completions.created_date)
),
used as (
    select
        completions.*,
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
        batched.completion_id is not null as is_batched
    from chat.completions
    left join chat.usage
        on usage.completion_id = completions.completion_id
        and usage.created_date = completions.created_date
    left join batched
        on batched.completion_id = completions.completion_id
        and batched.created_date = completions.created_date
    where completions.created_date is not null
    union all
    select
        completions.*,
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
        batched.completion_id is not null as is_batched
    from chat.completions
    left join chat.usage
        on usage.completion_id = completions.completion_id
        and usage.created_date is null
    left join batched
        on batched.completion_id = completions.completion_id
        and batched.created_date is null
    where completions.created_date is null
),
-- a detail that was not sent counts as 0, and 20 digits hold whatever a few 64-bit counters add up to
counted as (
    select
        used.completion_id,
        used.source,
        used.created_at,
        used.created_date,
        used.model,
        used.service_tier,
        used.request_id,
        used.input_user,
        used.metadata,
        used.deleted_at,
        case
            when used.service_tier is null or used.service_tier in ('default', 'auto')
                then case when not used.is_batched then 'standard' else 'batch' end
            when used.service_tier = 'flex' then 'flex'
            when used.service_tier in ('priority', 'fast') then 'priority'
        end as price_tier,
        used.prompt_tokens,
        used.completion_tokens,
        used.total_tokens,
        used.cached_tokens,
        used.cache_write_tokens,
        used.prompt_audio_tokens,
        used.prompt_text_tokens,
        used.prompt_image_tokens,
        used.reasoning_tokens,
        used.completion_audio_tokens,
        used.completion_text_tokens,
        used.accepted_prediction_tokens,
        used.rejected_prediction_tokens,
        coalesce(used.cached_tokens, 0) as cached_input,
        coalesce(used.cache_write_tokens, 0) as cache_write,
        coalesce(used.prompt_audio_tokens, 0) as audio_input,
        coalesce(used.reasoning_tokens, 0) as reasoning_output,
        coalesce(used.completion_audio_tokens, 0) as audio_output,
        cast(used.prompt_tokens as decimal(20, 0))
        - coalesce(used.cached_tokens, 0)
        - coalesce(used.cache_write_tokens, 0)
        - coalesce(used.prompt_audio_tokens, 0) as plain_input,
        cast(used.completion_tokens as decimal(20, 0))
        - coalesce(used.reasoning_tokens, 0)
        - coalesce(used.completion_audio_tokens, 0) as plain_output,
        coalesce(
            used.cached_tokens,
            used.cache_write_tokens,
            used.prompt_audio_tokens,
            used.prompt_text_tokens,
            used.prompt_image_tokens,
            used.reasoning_tokens,
            used.completion_audio_tokens,
            used.completion_text_tokens,
            used.accepted_prediction_tokens,
            used.rejected_prediction_tokens
        ) is not null as has_details
    from used
),
priced as (
    select
        counted.*,
        price_models.price_model_id,
        coalesce(cast(multipliers.multiplier as decimal(9, 6)), 1.000000) as multiplier,
        prices.price_no,
        prices.price_basis,
        prices.has_dearer_rates,
        shares.cached_share is not null
        and not counted.has_details
        and not prices.has_dearer_parts as is_estimable,
        -- what the cached part of a token, as the bill has it, takes off the full rate
        cast(
            shares.cached_share * (prices.input - prices.cached_input)
            + shares.cache_write_share * (prices.input - prices.cache_write)
            as decimal(21, 15)
        ) as saved_rate,
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
    left join shares
        on shares.source = counted.source
        and shares.usage_date = counted.created_date
        and shares.model = counted.model
        and shares.price_tier = counted.price_tier
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
    priced.deleted_at,
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
                - case when priced.is_estimable then priced.plain_input * priced.saved_rate else 0 end
            ) * priced.multiplier
    end as estimated_cost_usd,
    case
        when priced.unpriced_reason is not null then null
        when priced.is_estimable then 'cached_share_from_bill'
        when priced.has_details then 'full'
        when priced.has_dearer_rates then 'no_details_unbounded'
        else 'no_details'
    end as estimated_usage_basis
from priced
