"""Every table of schema `chat`, once: name, key, columns with type and meaning.

Nothing else in the package spells out a table: the loader's Arrow schemas, dlt's hints,
DuckDB's comments and the checks of `sql/` headers are all read from here.
"""

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

LOAD_ID = "_dlt_load_id"
KINDS = ("content", "refusal")
"""Which text of a choice a token is part of."""

_ARROW = {
    "text": pa.string(),
    "json": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "decimal": pa.decimal128(18, 12),
    "money": pa.decimal128(38, 30),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "binary": pa.binary(),
}


@dataclass(frozen=True)
class Column:
    """One column; `type` is text, json (text that holds valid JSON), bigint, double, decimal
    (18 digits, 12 of them after the point), money (38 digits, 30 of them after the point), bool, timestamp (UTC), date (UTC) or binary."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """One table; `key` names the columns that identify a row and are never NULL."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema(
            pa.field(column.name, _ARROW[column.type], nullable=column.name not in self.required)
            for column in self.columns
        )

    @property
    def required(self) -> tuple[str, ...]:
        return (*self.key, LOAD_ID)


def _table(name: str, description: str, key: str, columns: str) -> Table:
    """A table from lines of `name type meaning`; the load id that every loaded table carries is added."""
    own = _own_table(name, description, key, columns)
    load_id = Column(LOAD_ID, "text", "dlt's load package that wrote the row, see _dlt_loads")
    return Table(name, description, own.key, (*own.columns, load_id))


def _own_table(name: str, description: str, key: str, columns: str) -> Table:
    """The same for a table that no load package writes."""
    parsed = [Column(*line.split(maxsplit=2)) for line in columns.strip().splitlines()]
    return Table(name, description, tuple(key.split()), tuple(parsed))


COMPLETIONS = _table(
    "completions",
    "One stored chat completion as the API listed it.",
    "completion_id",
    """
completion_id       text       the API's id; every child table joins on it
created_at          timestamp  when the request started (the API's created, whole seconds)
created_date        date       UTC day of created_at
model               text       the model that answered, e.g. gpt-4o-mini-2024-07-18
service_tier        text       the tier that served it: default, flex, priority, ... (open set)
system_fingerprint  text       the backend configuration the model ran with
request_id          text       the x-request-id of the original request
input_user          text       the user field of the original request
seed                bigint     sampling seed, a signed 64-bit integer chosen by the server if not sent
temperature         double     sampling temperature of the request
top_p               double     nucleus sampling mass of the request
presence_penalty    double     presence penalty of the request
frequency_penalty   double     frequency penalty of the request
tools               json       the tools offered to the model
tool_choice         json       which tool the model was told to use (a string or an object)
response_format     json       the response format asked for
moderation          json       moderation results of input and output
metadata            json       the metadata object; table metadata has one row per pair
extra               json       every field without a column of its own, and values their column cannot hold
source              text       name of the configured source that loaded it
row_hash            text       hash of the object as sent; NULL asks the next sync to write the row again
first_seen_at       timestamp  when a sync first loaded it
last_seen_at        timestamp  when a sync last wrote it, or a full re-list last showed it
deleted_at          timestamp  when a full re-list found it gone; the row is kept
messages_synced_at  timestamp  when its input messages were read; NULL: not yet
""",
)

CHOICES = _table(
    "choices",
    "One answer of a completion; n > 1 gives several.",
    "completion_id choice_index",
    """
completion_id            text       the completion
choice_index             bigint     the API's index of the choice
created_date             date       UTC day of the completion
finish_reason            text       why it ended: stop, length, tool_calls, content_filter, ... (open set)
role                     text       the author's role, assistant
content                  text       the answer's text; NULL with tool calls
refusal                  text       the refusal's text
refusal_sent             bool       whether the API sent a refusal field at all: if not, refusal is unknown, not absent
function_call_name       text       name of the function called (the API's deprecated function_call)
function_call_arguments  text       its arguments, text exactly as sent
function_call_fit        bool       whether these are JSON that fits the schema given in tools, as tool_calls.arguments_fit
function_call_problem    text       what is wrong with them, as tool_calls.arguments_problem
audio_id                 text       id of the audio answer
audio_expires_at         timestamp  when the audio answer can no longer be referred to
audio_transcript         text       what the audio says
audio_data               binary     the audio itself
answer_hash              text       keyed hash of the answer, by which it is found in later requests; NULL: nothing to compare
extra                    json       every field without a column of its own, and values their column cannot hold
""",
)

TOOL_CALLS = _table(
    "tool_calls",
    "One tool call that the model asked for.",
    "completion_id choice_index tool_call_index",
    """
completion_id    text    the completion
choice_index     bigint  the choice
tool_call_index  bigint  position in the choice's list of tool calls
created_date     date    UTC day of the completion
tool_call_id     text    the API's id of the call; repeats across choices
type             text    function, custom, or whatever the API sent
name             text    the tool's name; calls in the older function_call are in choices, and marts.tool_calls_wide has both
arguments        text    the arguments as text exactly as sent (a custom tool's input); need not be JSON
arguments_valid  bool    whether the arguments are strict JSON; NULL for custom tools
arguments_fit    bool    whether they are JSON that fits the schema given in the completion's tools; NULL: no schema to judge by
arguments_problem text   not_json, or the first keyword of the schema that they break: required, type, ...; NULL: none known
extra            json    every field without a column of its own, and values their column cannot hold
""",
)

ANNOTATIONS = _table(
    "annotations",
    "One citation of an answer.",
    "completion_id choice_index annotation_index",
    """
completion_id     text    the completion
choice_index      bigint  the choice
annotation_index  bigint  position in the choice's list of annotations
created_date      date    UTC day of the completion
type              text    url_citation, or whatever the API sent
start_index       bigint  first character of the cited passage in content
end_index         bigint  last character of the cited passage in content
title             text    title of the page
url               text    address of the page
extra             json    every field without a column of its own, and values their column cannot hold
""",
)

LOGPROBS = _table(
    "logprobs",
    "One output token with its log probability.",
    "completion_id choice_index kind token_index",
    """
completion_id  text    the completion
choice_index   bigint  the choice
kind           text    content or refusal: which text the token is part of
token_index    bigint  position of the token in that text
created_date   date    UTC day of the completion
token          text    the token; part of a character where bytes is not valid UTF-8
bytes          binary  the token's bytes, the only exact way to rebuild the text; NULL when not sent
logprob        double  natural logarithm of its probability; -9999 means outside the top
""",
)

TOP_LOGPROBS = _table(
    "top_logprobs",
    "One alternative that the model weighed at a token's position.",
    "completion_id choice_index kind token_index rank",
    """
completion_id  text    the completion
choice_index   bigint  the choice
kind           text    content or refusal: which text the token is part of
token_index    bigint  position of the token in that text
rank           bigint  position in the API's list of alternatives, from 0
created_date   date    UTC day of the completion
token          text    the alternative token
bytes          binary  its bytes; NULL when not sent
logprob        double  natural logarithm of its probability; -9999 means outside the top
""",
)

USAGE = _table(
    "usage",
    "The token counters of a completion; no row when the API sent no usage.",
    "completion_id",
    """
completion_id               text    the completion
created_date                date    UTC day of the completion
prompt_tokens               bigint  input tokens, cached ones included
completion_tokens           bigint  output tokens, reasoning included
total_tokens                bigint  the API's total
cached_tokens               bigint  input tokens read from the prompt cache
cache_write_tokens          bigint  input tokens written to the prompt cache
prompt_audio_tokens         bigint  audio tokens in the input
prompt_text_tokens          bigint  text tokens in the input
prompt_image_tokens         bigint  image tokens in the input
reasoning_tokens            bigint  output tokens spent on reasoning
completion_audio_tokens     bigint  audio tokens in the output
completion_text_tokens      bigint  text tokens in the output
accepted_prediction_tokens  bigint  predicted tokens that were used; part of completion_tokens
rejected_prediction_tokens  bigint  predicted tokens that were not used; part of completion_tokens
extra                       json    every field without a column of its own, and values their column cannot hold
""",
)

METADATA = _table(
    "metadata",
    "One metadata pair of a completion.",
    "completion_id key",
    """
completion_id  text  the completion
key            text  the pair's key
created_date   date  UTC day of the completion
value          text  the pair's value
""",
)

QUARANTINE = _table(
    "quarantine",
    "An object that could not be loaded, kept whole.",
    "sha256",
    """
sha256   text       SHA-256 of body
source   text       name of the configured source that met it
reason   text       why it could not be loaded
body     text       the object as sent
seen_at  timestamp  when it was last met
""",
)

SYNC_RUNS = _table(
    "sync_runs",
    "One run of sync that changed the warehouse; runs that found nothing new enter with the next change.",
    "run_id",
    """
run_id            text       id of the run
source            text       name of the configured source
started_at        timestamp  when the run began
finished_at       timestamp  when it ended; NULL while it works or if it was killed
filter            text       which completions it asked for, as a hash; NULL: all
from_id           text       the cursor it began after; NULL: from the beginning
to_id             text       the newest completion known when it ended
pages             bigint     pages read
requests          bigint     HTTP requests sent
retries           bigint     of these, repeats after a fault
waited_seconds    double     time spent waiting between retries
rows_seen         bigint     completions listed to it
rows_new          bigint     completions the warehouse did not have
rows_changed      bigint     completions that differed from the warehouse's
rows_late         bigint     new ones that were stored behind the cursor
latest_seconds    bigint     how late the latest of them came at least; NULL: none was late
lookback_seconds  bigint     the long look-back: how late a completion may be and is still found
rows_quarantined  bigint     objects set aside in quarantine
messages_synced   bigint     completions whose input messages were read, none and no longer there included
messages_loaded   bigint     input messages loaded
messages_failed   bigint     completions whose input messages could not be read; the next run tries them again
outcome           text       running, done, nothing_new, stopped, failed or interrupted
detail            text       a sentence: what stopped it, which seconds may be incomplete
""",
)

MODEL_PRICE_RULES = _own_table(
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

MODEL_PRICES = _own_table(
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

PRICE_MULTIPLIERS = _own_table(
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

BATCH_RULES = _own_table(
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

PRICE_SETS = _own_table(
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

PURGES = _own_table(
    "purges",
    "A completion whose content was erased on request; its content and messages are never loaded again.",
    "completion_id",
    """
completion_id  text       the completion; its usage stays
purged_at      timestamp  when its content was erased
""",
)

CONTENT_POLICIES = _own_table(
    "content_policies",
    "What syncs keep of content, see --content and --logprobs; each row holds until the next of its group.",
    "content_group changed_at",
    """
content_group  text       answers, tool_arguments, messages, tokens, metadata or logprobs
policy         text       keep, hash or drop; of logprobs all, tokens or none
changed_at     timestamp  when it came to hold; what was read before stays as it was stored
key_check      text       changes with the key of the hashes, and does not give it away; NULL: nothing is hashed
""",
)

MESSAGES = _own_table(
    "messages",
    "One input message of a completion; only where messages are synced. Answers are in choices, never here.",
    "completion_id message_index",
    """
completion_id  text    the completion
message_index  bigint  position in the request
created_date   date    UTC day of the completion
message_id     text    the API's id of the message
role           text    system, developer, user, assistant, tool, ... (open set)
name           text    name of the participant
content        text    the message's text
content_parts  json    its parts where it was sent in parts, as the API lists them: type says which of text, image_url, input_audio, file a part is
tool_calls     json    tool calls of an earlier answer that was sent again
tool_call_id   text    the call that a tool's message answers
extra          json    every field without a column of its own, and values their column cannot hold
message_hash   text    keyed hash of the message, ids aside; as choices.answer_hash; NULL: an assistant says nothing
history_hash   text    keyed hash of all messages before it, as prompts.prompt_hash; NULL for the first
""",
)

PROMPTS = _own_table(
    "prompts",
    "The input messages of a completion as hashes; no row without messages. Made with a key, so nobody can try guesses. What was asked, each prompt once, is marts.prompts.",
    "completion_id",
    """
completion_id       text    the completion
created_date        date    UTC day of the completion
message_count       bigint  input messages
prompt_hash         text    keyed hash of all of them in order, ids aside: the same prompt has the same hash
system_prompt_hash  text    keyed hash of the texts of its system and developer messages; NULL: there is none
""",
)

ATTACHMENTS = _own_table(
    "attachments",
    "An image or a file that messages carried as a data: URL, kept once; only with the setting images = once.",
    "sha256",
    """
sha256         text       SHA-256 of data; the URL in content_parts is data:MEDIA_TYPE;sha256,SHA256
media_type     text       what it was said to be when it was first met, e.g. image/png
data           binary     the image or file itself
first_seen_at  timestamp  when a sync first met it
""",
)

ORGANIZATION_USAGE = _own_table(
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

ORGANIZATION_COSTS = _own_table(
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

ORGANIZATION_BILLS = _own_table(
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

HASH_KEYS = _own_table(
    "hash_keys",
    "A key that hashes of messages and answers were made with; several: threads do not go on from one to the next.",
    "key_check",
    """
key_check      text       tells the key, and does not give it away
salt           text       the key itself where the warehouse made it; NULL: the configured content_key, kept nowhere
first_used_at  timestamp  when syncs began to use it; the newest is in use
""",
)

TABLES: tuple[Table, ...] = (
    COMPLETIONS,
    CHOICES,
    TOOL_CALLS,
    ANNOTATIONS,
    LOGPROBS,
    TOP_LOGPROBS,
    USAGE,
    METADATA,
    QUARANTINE,
    SYNC_RUNS,
)
BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}
BILLING_TABLES: tuple[Table, ...] = (ORGANIZATION_USAGE, ORGANIZATION_COSTS, ORGANIZATION_BILLS)
REFERENCE_TABLES: tuple[Table, ...] = (
    MODEL_PRICE_RULES,
    MODEL_PRICES,
    PRICE_MULTIPLIERS,
    BATCH_RULES,
    PRICE_SETS,
    PURGES,
    CONTENT_POLICIES,
    MESSAGES,
    PROMPTS,
    ATTACHMENTS,
    *BILLING_TABLES,
    HASH_KEYS,
)
"""What no page of completions brings: written outside its rounds."""

SOURCES = _own_table(
    "sources",
    "A configured source: the account that its completions come from.",
    "source",
    """
source           text       its name, `default` when there is one only
base_url         text       where its API is; a name is bound to it
project          text       the project asked for, if one was
organization     text       the organization asked for, if one was
first_synced_at  timestamp  when its first sync began
last_synced_at   timestamp  start of its newest run that read to the end and changed something; NULL: none did
covered_from     timestamp  older completions were not asked for; NULL: all of them were
relisted_at      timestamp  start of the newest full re-list that ended (sync --full); NULL: none did
listed_from      timestamp  created_at of the oldest completion that it listed: older ones have expired
""",
)

PUBLICATION = _own_table(
    "publication",
    "When this copy of the warehouse was published; one row.",
    "generation",
    """
generation      text       tells this copy from every other
published_at    timestamp  when it was published
schema_version  bigint     version of the program's own tables
""",
)

DEFINITIONS = _own_table(
    "definitions",
    "What views and costs are of: a row for the program's SQL, one for prices, and one for your own views, if any.",
    "fingerprint",
    """
fingerprint  text  changes with that part, and with nothing else
""",
)

BOOKKEEPING: tuple[Table, ...] = (SOURCES, PUBLICATION, DEFINITIONS)
"""What a sync notes of itself; made where they are written, described here."""
