-- Were all hashes of messages made with one key, so that threads go through, and is it the warehouse's own?
-- about: chat.hash_keys
select
    count(*) as keys,
    count(hash_keys.salt) as made_by_the_warehouse
from chat.hash_keys
