"""What a sync notes of itself and of what it was told."""

from stored_completions.tables.table import kept, loaded

SYNC_RUNS = loaded(
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

PURGES = kept(
    "purges",
    "A completion whose content was erased on request; its content and messages are never loaded again.",
    "completion_id",
    """
completion_id  text       the completion; its usage stays
purged_at      timestamp  when its content was erased
""",
)

CONTENT_POLICIES = kept(
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

HASH_KEYS = kept(
    "hash_keys",
    "A key that hashes of messages and answers were made with; several: threads do not go on from one to the next.",
    "key_check",
    """
key_check      text       tells the key, and does not give it away
salt           text       the key itself where the warehouse made it; NULL: the configured content_key, kept nowhere
first_used_at  timestamp  when syncs began to use it; the newest is in use
""",
)

SOURCES = kept(
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

PUBLICATION = kept(
    "publication",
    "When this copy of the warehouse was published; one row.",
    "generation",
    """
generation      text       tells this copy from every other
published_at    timestamp  when it was published
schema_version  bigint     version of the program's own tables
""",
)

DEFINITIONS = kept(
    "definitions",
    "What the views and costs of this file are of; one row.",
    "fingerprint",
    """
fingerprint  text  changes with the program's SQL, with prices and with your own views, and with nothing else
""",
)
