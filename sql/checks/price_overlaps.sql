-- No two prices of a model and tier hold for the same request, and no two multipliers of a source on the same day.
-- grain: table_name, name, tier, first_row, second_row
-- columns:
--   table_name  model_prices or price_multipliers
--   name        the price_model_id, or the source
--   tier        the tier; NULL for multipliers
--   first_row   the smaller price_no; for multipliers the day it holds from, as text
--   second_row  the other one
with prices as (
    select
        model_prices.price_no,
        model_prices.price_model_id,
        model_prices.tier,
        coalesce(model_prices.valid_from, cast('-infinity' as date)) as first_date,
        coalesce(model_prices.valid_to, cast('infinity' as date)) as end_date,
        coalesce(model_prices.min_input_tokens, -1) as more_than_tokens,
        coalesce(model_prices.max_input_tokens, 9223372036854775807) as up_to_tokens
    from chat.model_prices
),
multipliers as (
    select
        row_number() over (
            order by price_multipliers.source, price_multipliers.valid_from, price_multipliers.valid_to
        ) as row_no,
        price_multipliers.source,
        coalesce(price_multipliers.valid_from, cast('-infinity' as date)) as first_date,
        coalesce(price_multipliers.valid_to, cast('infinity' as date)) as end_date
    from chat.price_multipliers
)
select
    'model_prices' as table_name,
    earlier.price_model_id as name,
    earlier.tier,
    cast(earlier.price_no as varchar) as first_row,
    cast(later.price_no as varchar) as second_row
from prices as earlier
inner join prices as later
    on later.price_model_id = earlier.price_model_id
    and later.tier = earlier.tier
    and later.price_no > earlier.price_no
    and later.first_date < earlier.end_date
    and earlier.first_date < later.end_date
    and later.more_than_tokens < earlier.up_to_tokens
    and earlier.more_than_tokens < later.up_to_tokens
union all
select
    'price_multipliers',
    earlier.source,
    null,
    cast(earlier.first_date as varchar),
    cast(later.first_date as varchar)
from multipliers as earlier
inner join multipliers as later
    on later.source = earlier.source
    and later.row_no > earlier.row_no
    and later.first_date < earlier.end_date
    and earlier.first_date < later.end_date
