"""What the API says, in its own recorded words: the list envelope and every error body."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
Item = tuple[str | None, bytes]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `headers` holds what this one has beyond the usual."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class RequestError(Exception):
    """Raised where a request is turned down; carries the answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def ok(value: object) -> Answer:
    return Answer(200, json.dumps(value).encode())


def page(items: Sequence[Item], has_more: bool | None) -> Answer:
    """The list envelope around (id, JSON) pairs; `has_more` None leaves it out."""
    ends = [json.dumps(items[place][0]).encode() if items else b"null" for place in (0, -1)]
    more = b"" if has_more is None else b',"has_more":' + json.dumps(has_more).encode()
    data = b",".join(body for _, body in items)
    return Answer(200, b'{"object":"list","data":[%b],"first_id":%b,"last_id":%b%b}' % (data, *ends, more))


def deleted(completion_id: str) -> Answer:
    return ok({"object": "chat.completion.deleted", "id": completion_id, "deleted": True})


def error(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    kind: str = "invalid_request_error",
    **answer: Any,
) -> Answer:
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Answer(status, json.dumps(body).encode(), **answer)


def not_found(completion_id: str) -> Answer:
    return error(404, f"Completion {completion_id} not found", param="completion_id", code="not_found")


def cursor_not_found(status: int, after: str) -> Answer:
    """OpenAI's own words for this are not recorded; other servers answer 400."""
    return error(status, f"Completion {after} not found", param="after", code="not_found")


def unknown_url(method: str, path: str) -> Answer:
    return error(404, f"Invalid URL ({method} {path})")


def method_not_allowed(allowed: Sequence[str]) -> Answer:
    words = f"Only {' and '.join(allowed)} requests are accepted."
    return error(405, words, code="method_not_supported", headers={"Allow": ", ".join(allowed)})


def key_missing() -> Answer:
    return error(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header "
        "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from "
        "https://platform.openai.com/account/api-keys.",
        content_type="application/json; charset=utf-8",
        headers={"WWW-Authenticate": 'Bearer realm="OpenAI API"'},
    )


def key_wrong(key: str) -> Answer:
    return error(
        401,
        f"Incorrect API key provided: {masked(key)}. "
        "You can find your API key at https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
        content_type="application/json; charset=utf-8",
    )


def masked(key: str) -> str:
    """The first eight and the last four characters; of a short key only the first."""
    if len(key) <= 12:
        return key[:1] + "*" * (len(key) - 1)
    return key[:8] + "*" * (len(key) - 12) + key[-4:]


def limit_too_large(limit: int, maximum: int) -> Answer:
    return error(
        400,
        "Invalid 'limit': integer above maximum value. "
        f"Expected a value <= {maximum}, but got {limit} instead.",
        param="limit",
        code="integer_above_max_value",
    )


def limit_too_small(limit: int) -> Answer:
    return error(
        400,
        f"Invalid 'limit': integer below minimum value. Expected a value >= 1, but got {limit} instead.",
        param="limit",
        code="integer_below_min_value",
    )


def wrong_type(param: str, expected: str, value: object) -> Answer:
    return error(
        400,
        f"Invalid type for '{param}': expected {expected}, but got {_described(value)} instead.",
        param=param,
        code="invalid_type",
    )


def order_unknown(order: str) -> Answer:
    return error(
        400,
        f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'.",
        param="order",
        code="invalid_value",
    )


def value_unknown(param: str, value: str, known: Sequence[str]) -> Answer:
    listed = ", ".join(f"'{each}'" for each in known)
    return error(
        400,
        f"Invalid value: '{value}'. Supported values are: {listed}.",
        param=param,
        code="invalid_value",
    )


def scope_missing(scope: str) -> Answer:
    return error(
        403,
        f"You have insufficient permissions for this operation. Missing scopes: {scope}. Check that you have "
        "the correct role in your organization, and if you're using a restricted API key, that it has the "
        "necessary scopes.",
    )


def body_not_json() -> Answer:
    return error(
        400,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
        "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not "
        "valid JSON.)",
    )


def parameter_missing(param: str) -> Answer:
    return error(
        400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def too_many_properties(param: str, maximum: int, count: int) -> Answer:
    return error(
        400,
        f"Invalid '{param}': too many properties. Expected an object with at most {maximum} properties, "
        f"but got an object with {count} properties instead.",
        param=param,
        code="object_above_max_properties",
    )


def too_long(param: str, maximum: int, length: int) -> Answer:
    return error(
        400,
        f"Invalid '{param}': string too long. Expected a string with maximum length {maximum}, "
        f"but got a string with length {length} instead.",
        param=param,
        code="string_above_max_length",
    )


def _described(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    names = {
        type(None): "null",
        str: "a string",
        int: "an integer",
        float: "a decimal number",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "something else")
