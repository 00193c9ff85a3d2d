"""The organization's usage and costs."""

from stored_completions.tables.table import kept

ORGANIZATION_USAGE = kept(
    "organization_usage",
    "What the organization's bill says was used on one UTC day by one group of requests, stored or not.",
    "source usage_date group_id",
    """
source                    text       name of the configured source whose admin key read it
usage_date                date       UTC day that the API dates the usage to
group_id                  text       names the group: a hash of project, key, model, batch and tier
project_id                text       the project; NULL where the API names none
api_key_id                text       the API key; NULL where the API names none
model                     text       the model, as a completion names it
billed_model              text       the same as chat.organization_costs names it: fine-tuned models under ft- and their base
batch                     bool       whether it ran in the Batch API
service_tier              text       the tier as sent: default, flex-tier, incentivized-tier, ... (open set)
price_tier                text       standard, flex, priority, or incentivized (free of charge); NULL: a word not known here
num_model_requests        bigint     requests
input_tokens              bigint     input tokens: cached, cache-write and audio included
input_cached_tokens       bigint     input tokens read from the prompt cache
input_cache_write_tokens  bigint     input tokens written to the prompt cache
input_audio_tokens        bigint     audio tokens in the input that were not cached
output_tokens             bigint     output tokens: reasoning and audio included
output_audio_tokens       bigint     audio tokens in the output
extra                     json       every field without a column of its own, and values their column cannot hold
read_at                   timestamp  when a sync read it last and found it changed
""",
)

ORGANIZATION_COSTS = kept(
    "organization_costs",
    "What the organization's bill charges on one UTC day for one line item of one project and key.",
    "source cost_date group_id",
    """
source         text       name of the configured source whose admin key read it
cost_date      date       UTC day that the API dates the cost to
group_id       text       names the group: a hash of project, key and line item
project_id     text       the project; NULL where the API names none
api_key_id     text       the API key; NULL where the API names none
line_item      text       the line as sent, e.g. gpt-4o-mini-2024-07-18, cached input
billed_model   text       the model in it; NULL where it names none
kind           text       input, cached input, cache writes, output, audio input, audio output, requests, or tool; NULL: not understood
prefix         text       what stands before the model, e.g. priority or evals
long_context   bool       whether it is charged at the rates of long prompts; NULL: not understood
amount_usd     money      the amount in US dollars, to 30 places; NULL where the currency is another or the amount no number
amount         text       the amount exactly as sent, every digit
currency       text       its currency, as sent
quantity       double     how much was charged for
quantity_unit  text       in which unit
extra          json       every field without a column of its own, and values their column cannot hold
read_at        timestamp  when a sync read it last and found it changed
""",
)

ORGANIZATION_BILLS = kept(
    "organization_bills",
    "Which bill a source's completions are compared with, and how far it was read; no row: coverage is unknown.",
    "source",
    """
source       text       name of the configured source
bill_source  text       the source that the bill's rows stand under: itself, or another that reads the same organization's
project_id   text       project that the source's completions belong to, as configured (billing_project or project); NULL: not said
first_date   date       first UTC day that was read
last_date    date       last UTC day that was read; it and the three before it are read again by the next sync
read_at      timestamp  when that was
""",
)
