"""Input messages."""

from stored_completions.tables.table import kept

MESSAGES = kept(
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

PROMPTS = kept(
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

ATTACHMENTS = kept(
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
