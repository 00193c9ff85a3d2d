"""Every table of schema `chat`, once: name, key, columns with type and meaning.

Nothing else in the package spells out a table: the loader's Arrow schemas, dlt's hints,
DuckDB's comments and the checks of `sql/` headers are all read from here.
"""

from stored_completions.tables.billing import (
    ORGANIZATION_BILLS,
    ORGANIZATION_COSTS,
    ORGANIZATION_USAGE,
)
from stored_completions.tables.bookkeeping import (
    CONTENT_POLICIES,
    DEFINITIONS,
    HASH_KEYS,
    PUBLICATION,
    PURGES,
    SOURCES,
    SYNC_RUNS,
)
from stored_completions.tables.completions import (
    ANNOTATIONS,
    CHOICES,
    COMPLETIONS,
    KINDS,
    LOGPROBS,
    METADATA,
    QUARANTINE,
    TOOL_CALLS,
    TOP_LOGPROBS,
    USAGE,
)
from stored_completions.tables.messages import (
    ATTACHMENTS,
    MESSAGES,
    PROMPTS,
)
from stored_completions.tables.prices import (
    BATCH_RULES,
    MODEL_PRICE_RULES,
    MODEL_PRICES,
    PRICE_MULTIPLIERS,
    PRICE_SETS,
)
from stored_completions.tables.table import LOAD_ID, Column, Table

__all__ = [
    "ANNOTATIONS",
    "ATTACHMENTS",
    "BATCH_RULES",
    "BILLING_TABLES",
    "BOOKKEEPING",
    "BY_NAME",
    "CHOICES",
    "COMPLETIONS",
    "CONTENT_POLICIES",
    "DEFINITIONS",
    "HASH_KEYS",
    "KINDS",
    "LOAD_ID",
    "LOGPROBS",
    "MESSAGES",
    "METADATA",
    "MODEL_PRICES",
    "MODEL_PRICE_RULES",
    "ORGANIZATION_BILLS",
    "ORGANIZATION_COSTS",
    "ORGANIZATION_USAGE",
    "PRICE_MULTIPLIERS",
    "PRICE_SETS",
    "PROMPTS",
    "PUBLICATION",
    "PURGES",
    "QUARANTINE",
    "REFERENCE_TABLES",
    "SOURCES",
    "SYNC_RUNS",
    "TABLES",
    "TOOL_CALLS",
    "TOP_LOGPROBS",
    "USAGE",
    "Column",
    "Table",
]

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
BOOKKEEPING: tuple[Table, ...] = (SOURCES, PUBLICATION, DEFINITIONS)
"""What a sync notes of itself; made where they are written, described here."""
