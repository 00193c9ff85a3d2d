"""Every table of schema `chat`, once: name, key, columns with type and meaning.

Nothing else in the package spells out a table: the loader's Arrow schemas, dlt's hints,
DuckDB's comments and the checks of `sql/` headers are all read from here.
"""

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

LOAD_ID = "_dlt_load_id"

_ARROW = {
    "text": pa.string(),
    "json": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "binary": pa.binary(),
}


@dataclass(frozen=True)
class Column:
    """One column; `type` is text, json (text that holds valid JSON), bigint, double, bool,
    timestamp (UTC), date (UTC) or binary."""

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
    """A table from lines of `name type meaning`; the load id that every table carries is added."""
    parsed = [Column(*line.split(maxsplit=2)) for line in columns.strip().splitlines()]
    load_id = Column(LOAD_ID, "text", "dlt's load package that wrote the row, see _dlt_loads")
    return Table(name, description, tuple(key.split()), (*parsed, load_id))


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
audio_id                 text       id of the audio answer
audio_expires_at         timestamp  when the audio answer can no longer be referred to
audio_transcript         text       what the audio says
audio_data               binary     the audio itself
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
name             text    the tool's name
arguments        text    the arguments as text exactly as sent (a custom tool's input); need not be JSON
arguments_valid  bool    whether the arguments are strict JSON; NULL for custom tools
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
rows_quarantined  bigint     objects set aside in quarantine
outcome           text       running, done, nothing_new, stopped, failed or interrupted
detail            text       a sentence: what stopped it, which seconds may be incomplete
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
