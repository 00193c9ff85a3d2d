"""Completions and what is in them: the tables that pages of the list are loaded into."""

from stored_completions.tables.table import loaded

KINDS = ("content", "refusal")
"""Which text of a choice a token is part of."""

COMPLETIONS = loaded(
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

CHOICES = loaded(
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

TOOL_CALLS = loaded(
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

ANNOTATIONS = loaded(
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

LOGPROBS = loaded(
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

TOP_LOGPROBS = loaded(
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

USAGE = loaded(
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

METADATA = loaded(
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

QUARANTINE = loaded(
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
