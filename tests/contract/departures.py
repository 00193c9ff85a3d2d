"""Where the live service departs from OpenAI's own OpenAPI file: each by name, with the reason.

A departure changes the specification by exactly what was recorded. A test shows that every one of
them is needed by recorded answers, and that with all of them those answers conform. What is unsaid
narrows the requests that the specification calls valid.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]

ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


@dataclass(frozen=True)
class Departure:
    """`amend` changes a specification in place."""

    name: str
    reason: str
    amend: Callable[[Spec], None]


def _errors(spec: Spec) -> None:
    for path in spec["paths"].values():
        for operation in path.values():
            for status in ("400", "401", "404", "405"):
                operation["responses"][status] = {
                    "description": "An error",
                    "content": {"application/json": {"schema": ERROR}},
                }


def _empty_pages(spec: Spec) -> None:
    for name in ("ChatCompletionList", "ChatCompletionMessageList"):
        for end in ("first_id", "last_id"):
            spec["components"]["schemas"][name]["properties"][end]["type"] = ["string", "null"]


def _no_refusal(spec: Spec) -> None:
    spec["components"]["schemas"]["ChatCompletionResponseMessage"]["required"].remove("refusal")


def _null_calls(spec: Spec) -> None:
    properties = spec["components"]["schemas"]["ChatCompletionResponseMessage"]["properties"]
    for name in ("tool_calls", "function_call"):
        properties[name] = {"anyOf": [properties[name], {"type": "null"}]}


def _input_messages(spec: Spec) -> None:
    """Beside, not in, the schema of answers: those are still held to their own role."""
    items = spec["components"]["schemas"]["ChatCompletionMessageList"]["properties"]["data"]["items"]
    answer = deepcopy(spec["components"]["schemas"]["ChatCompletionResponseMessage"])
    answer["properties"]["role"] = {"enum": ["system", "developer", "user", "assistant", "tool", "function"]}
    items["allOf"][0] = answer


def _part_fields(spec: Spec) -> None:
    schemas = spec["components"]["schemas"]
    detail = schemas["ChatCompletionRequestMessageContentPartImage"]["properties"]["image_url"]["properties"][
        "detail"
    ]
    detail["enum"] = [*detail["enum"], None]
    detail["type"] = ["string", "null"]


def _limits(spec: Spec) -> None:
    for path in spec["paths"].values():
        for parameter in path["get"].get("parameters", []):
            if parameter["name"] == "limit":
                parameter["schema"]["minimum"] = 1


def _metadata(spec: Spec) -> None:
    update = spec["paths"]["/chat/completions/{completion_id}"]["post"]["requestBody"]["content"]
    pairs = {
        "type": "object",
        "maxProperties": 16,
        "propertyNames": {"maxLength": 64},
        "additionalProperties": {"type": "string", "maxLength": 512},
    }
    schema = update["application/json"]["schema"]
    schema["properties"]["metadata"] = {"anyOf": [pairs, {"type": "null"}]}


def _filter(spec: Spec) -> None:
    for parameter in spec["paths"]["/chat/completions"]["get"]["parameters"]:
        if parameter["name"] == "metadata":
            schema = {
                "type": "object",
                "propertyNames": {"minLength": 1, "pattern": r"^[^\[\]]+$"},
                "additionalProperties": {"type": "string"},
            }
            parameter.update(style="deepObject", explode=True, schema=schema)


DEPARTURES = (
    Departure(
        "errors", "the file lists no answer but 200; 404 and 401 are recorded, 400 and 405 known", _errors
    ),
    Departure("empty pages", "first_id and last_id are null on a page without rows", _empty_pages),
    Departure("no refusal", "stored rows and stored messages lack the required field refusal", _no_refusal),
    Departure(
        "null calls", "tool_calls and function_call are sent as null where there are none", _null_calls
    ),
    Departure(
        "input messages",
        "the messages are those that were sent in: most are not the assistant's",
        _input_messages,
    ),
    Departure(
        "image detail", "an image part that was sent without detail comes back with null", _part_fields
    ),
)
UNSAID = (
    Departure("limits", "a page of less than one row is refused; the file gives limit no minimum", _limits),
    Departure("metadata", "16 pairs, 64 and 512 characters: the file says so in words only", _metadata),
    Departure(
        "metadata filter",
        "it is sent as metadata[key]=value, so that a key cannot be empty nor have brackets; the file says so in "
        "words only",
        _filter,
    ),
)


def amended(spec: Spec, departures: Iterable[Departure]) -> Spec:
    """A copy of the specification with these departures."""
    copy = deepcopy(spec)
    for departure in departures:
        departure.amend(copy)
    return copy
