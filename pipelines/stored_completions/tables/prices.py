"""Prices, and the rules that apply them."""

from stored_completions.tables.table import kept

MODEL_PRICE_RULES = kept(
    "model_price_rules",
    "Which prices a model's name stands for; the first rule that matches wins.",
    "rule_no",
    """
rule_no         bigint  order of the rules: the user's overrides, the built-in ones, genai-prices
kind            text    how pattern is compared: equals, starts_with, ends_with, contains or regex
pattern         text    compared with the model's name in lower case
price_model_id  text    the prices that it stands for, see model_prices
source          text    who says so
""",
)

MODEL_PRICES = kept(
    "model_prices",
    "Dated prices in US dollars per token; the ranges of a model and tier never overlap.",
    "price_no",
    """
price_no          bigint   number of the row in this price set
price_model_id    text     the model, as model_price_rules names it
tier              text     standard, flex, priority or batch
valid_from        date     first UTC day it holds; NULL: since ever
valid_to          date     first UTC day it holds no more; NULL: until now
min_input_tokens  bigint   it holds for requests with more prompt_tokens than this; NULL: from 0
max_input_tokens  bigint   and with no more than this; NULL: any number
input             decimal  a token of input
cached_input      decimal  a token of input read from the prompt cache; NULL: as input
cache_write       decimal  a token of input written to the prompt cache; NULL: as input
audio_input       decimal  a token of audio input; NULL: not known
output            decimal  a token of output
reasoning_output  decimal  a token of reasoning; NULL: as output
audio_output      decimal  a token of audio output; NULL: not known
per_request       decimal  a request, whatever its tokens; NULL: nothing
price_basis       text     listed, override, or tier_backdated: reckoned back from when the tier's price was first known
source            text     who says so
""",
)

PRICE_MULTIPLIERS = kept(
    "price_multipliers",
    "What the costs of a source are multiplied by, from the user's price file; 1 where there is no row.",
    "source multiplier",
    """
source      text     name of the configured source
valid_from  date     first UTC day it holds; NULL: since ever
valid_to    date     first UTC day it holds no more; NULL: until now
multiplier  decimal  the factor, with at most 6 digits after the point
reason      text     why, as the file says
""",
)

BATCH_RULES = kept(
    "batch_rules",
    "Which completions ran in a batch, from the user's price file: a completion itself does not show it.",
    "rule_no",
    """
rule_no         bigint  number of the rule
source          text    name of the configured source; NULL: any
model           text    the model that answered; NULL: any
metadata_key    text    key of a metadata pair; NULL: any metadata
metadata_value  text    value of that pair
valid_from      date    first UTC day it holds; NULL: since ever
valid_to        date    first UTC day it holds no more; NULL: until now
reason          text    why, as the file says
""",
)

PRICE_SETS = kept(
    "price_sets",
    "Every set of prices this warehouse has been reported with; the newest is the one in model_prices.",
    "fingerprint loaded_at",
    """
fingerprint                 text       what the set was made of, as one hash
loaded_at                   timestamp  when it came into use
genai_prices_version        text       version of the price data
stored_completions_version  text       version of this program, which carries the built-in overrides
rules                       bigint     rows of model_price_rules
prices                      bigint     rows of model_prices
overrides                   text       the user's price file as it was; NULL: there was none
""",
)
