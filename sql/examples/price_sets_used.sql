-- With how many sets of prices has this warehouse been reported, and had the newest overrides of our own?
-- about: chat.price_sets
select
    count(*) as price_sets,
    count(price_sets.overrides) as with_own_price_file
from chat.price_sets
