-- Are the costs of any source multiplied, say by a negotiated discount?
-- about: chat.price_multipliers
select
    price_multipliers.source,
    price_multipliers.multiplier,
    price_multipliers.valid_from,
    price_multipliers.valid_to,
    price_multipliers.reason
from chat.price_multipliers
order by price_multipliers.source, price_multipliers.valid_from nulls first
