"""Whose content each column holds: said here once, for every text, JSON and binary column of every table.

Identifiers, enumerations and numbers are exempt: they say that something was asked, by which request
and at what cost, not what. So are the names of tools and the keys of metadata: their author is the
program that was written, not whoever used it.
"""

from collections.abc import Mapping

from stored_completions.tables import LOAD_ID, Column, Table

ANSWERS = "answers"
TOOL_ARGUMENTS = "tool_arguments"
MESSAGES = "messages"
TOKENS = "tokens"
METADATA = "metadata"

GROUPS = {
    ANSWERS: "what the model said: text, refusals, audio, citations, moderation, fields without a column",
    TOOL_ARGUMENTS: "the arguments that it called tools with",
    MESSAGES: "what it was given: input messages, tools, the response format asked for",
    TOKENS: "the tokens of logprobs, their numbers aside",
    METADATA: "the values of metadata, their keys aside, and the user field",
}

EXTRA = "extra"
"""Of a column that holds fields without a column: each belongs to the group that `MEMBERS` says."""
WHOLE = "whole"
"""Of a column that holds an object whole: it belongs to every group."""
EXEMPT = "exempt"

_DECLARED = {
    "completions": """
        exempt    completion_id model service_tier system_fingerprint request_id source row_hash
        messages  tools tool_choice response_format
        answers   moderation
        metadata  input_user metadata
        extra     extra
    """,
    "choices": """
        exempt          completion_id finish_reason role function_call_name function_call_problem audio_id
        answers         content refusal audio_transcript audio_data answer_hash
        tool_arguments  function_call_arguments
        extra           extra
    """,
    "tool_calls": """
        exempt          completion_id tool_call_id type name arguments_problem
        tool_arguments  arguments
        extra           extra
    """,
    "annotations": """
        exempt   completion_id type
        answers  title url
        extra    extra
    """,
    "logprobs": """
        exempt  completion_id kind
        tokens  token bytes
    """,
    "top_logprobs": """
        exempt  completion_id kind
        tokens  token bytes
    """,
    "usage": """
        exempt  completion_id
        extra   extra
    """,
    "metadata": """
        exempt    completion_id key
        metadata  value
    """,
    "messages": """
        exempt    completion_id message_id role tool_call_id
        messages  name content content_parts tool_calls message_hash history_hash
        extra     extra
    """,
    "prompts": """
        exempt    completion_id
        messages  prompt_hash system_prompt_hash
    """,
    "hash_keys": "exempt  key_check salt",
    "attachments": """
        exempt    sha256 media_type
        messages  data
    """,
    "quarantine": """
        exempt  sha256 source reason
        whole   body
    """,
    "sync_runs": "exempt  run_id source filter from_id to_id outcome detail",
    "organization_usage": "exempt  source group_id project_id api_key_id model billed_model service_tier price_tier extra",
    "organization_costs": """
        exempt  source group_id project_id api_key_id line_item billed_model kind prefix amount currency
        exempt  quantity_unit extra
    """,
    "organization_bills": "exempt  source bill_source project_id",
    "model_price_rules": "exempt  kind pattern price_model_id source",
    "model_prices": "exempt  price_model_id tier price_basis source",
    "price_multipliers": "exempt  source reason",
    "batch_rules": "exempt  source model metadata_key metadata_value reason",
    "price_sets": "exempt  fingerprint genai_prices_version stored_completions_version overrides",
    "purges": "exempt  completion_id",
    "sources": "exempt  source base_url project organization",
    "publication": "exempt  generation",
    "definitions": "exempt  fingerprint",
    "content_policies": "exempt  content_group policy key_check",
}

COLUMNS: dict[str, dict[str, str]] = {
    table: {
        column: group
        for group, *columns in map(str.split, declared.strip().splitlines())
        for column in columns
    }
    for table, declared in _DECLARED.items()
}
"""By table and column: a group, `EXTRA`, `WHOLE` or `EXEMPT`."""

_TYPES = ("text", "json", "binary")


def group_of(table: str, column: Column) -> str:
    """What is not declared is treated as if it held anything."""
    if column.type not in _TYPES or column.name == LOAD_ID:
        return EXEMPT
    return COLUMNS.get(table, {}).get(column.name, WHOLE)


def undeclared(table: Table) -> list[str]:
    """The columns of a table that could hold content, but of which nothing is said here."""
    said = {**COLUMNS.get(table.name, {}), LOAD_ID: EXEMPT}
    return [column.name for column in table.columns if column.type in _TYPES and column.name not in said]


HASHES = {
    "answer_hash": (ANSWERS, TOOL_ARGUMENTS),
    **dict.fromkeys(("message_hash", "history_hash", "prompt_hash", "system_prompt_hash"), (MESSAGES,)),
}
"""Keyed hashes of content already, and the groups that it belongs to: they stay, but where the content is dropped and the warehouse's own key could
tell it: then they are NULL."""
JSON_TEXT = frozenset(("arguments", "function_call_arguments"))
"""Text that its readers take for JSON: what stands in place of it must be JSON too."""

Rules = Mapping[str, "tuple[str, ...] | Rules"]

_ANSWER = {"content": (ANSWERS,), "refusal": (ANSWERS,), "annotations": (ANSWERS,), "audio": (ANSWERS,)}
_CALL = {"arguments": (TOOL_ARGUMENTS,), "input": (TOOL_ARGUMENTS,)}

MEMBERS: dict[str, tuple[str, Rules]] = {
    "completions": (
        ANSWERS,
        {
            **{name: (group,) for name, group in COLUMNS["completions"].items() if group in GROUPS},
            **dict.fromkeys(("messages", "prompt", "input"), (MESSAGES,)),
            "choices": (ANSWERS, TOOL_ARGUMENTS, TOKENS),
        },
    ),
    "choices": (
        ANSWERS,
        {
            "message": {
                **_ANSWER,
                "function_call": (TOOL_ARGUMENTS,),
                "tool_calls": (ANSWERS, TOOL_ARGUMENTS),
            },
            "logprobs": (TOKENS,),
        },
    ),
    "tool_calls": (TOOL_ARGUMENTS, {"function": _CALL, "custom": _CALL}),
    "annotations": (ANSWERS, {"url_citation": {}}),
    "messages": (MESSAGES, {}),
    "usage": (ANSWERS, {"prompt_tokens_details": {}, "completion_tokens_details": {}}),
}
"""Of `extra`, by table: the group of fields that nobody knows, and those of the fields that have a column
which could not hold them, or that are known to hold content."""
