"""The API itself: a request in, an answer out, no sockets."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from random import Random
from typing import Any
from urllib.parse import unquote

from . import answers, listing, organization
from .account import Account
from .answers import Answer, RequestError
from .bill import Bill, bill
from .clock import Clock
from .messages import stored_messages
from .rows import Row
from .rules import Rules

_COMPLETIONS = r"(?:/openai)?/v1/chat/completions"
_ENDPOINTS: tuple[tuple[re.Pattern[str], dict[str, str]], ...] = (
    (re.compile(_COMPLETIONS), {"GET": "list"}),
    (re.compile(_COMPLETIONS + "/([^/]+)"), {"GET": "get", "POST": "update", "DELETE": "delete"}),
    (re.compile(_COMPLETIONS + "/([^/]+)/messages"), {"GET": "messages"}),
)
_METADATA_PAIRS = 16
_METADATA_KEY = 64
_METADATA_VALUE = 512


@dataclass(frozen=True)
class Request:
    """An HTTP request; `path` as sent, `query` decoded (`repeated` with every value of a parameter), header
    names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)


def kind(method: str, path: str) -> str:
    """What is asked for: list, get, update, delete, messages, organization, or other."""
    if organization.is_asked(path):
        return "organization"
    kinds = (kinds.get(method) for pattern, kinds in _ENDPOINTS if pattern.fullmatch(path))
    return next(kinds, None) or "other"


class Api:
    """The stored-completions endpoints of an account, under `/v1` and, as on Azure, `/openai/v1`."""

    def __init__(self, account: Account, clock: Clock, seed: int) -> None:
        self._account = account
        self._clock = clock
        self._seed = seed
        self._lists = count()
        self._actions: dict[str, Callable[..., Answer]] = {
            "list": self._list,
            "get": self._get,
            "update": self._update,
            "delete": self._delete,
            "messages": self._messages,
        }

    def answer(self, request: Request, rules: Rules) -> Answer:
        try:
            if organization.is_asked(request.path):
                return self._organization(request, rules)
            _admit(request.headers, rules.api_key)
            action, completion_id = _endpoint(request)
            return self._actions[action](request, rules, *completion_id)
        except RequestError as refused:
            return refused.answer

    @cached_property
    def bill(self) -> Bill:
        """The bill of what is in the account when it is first asked for."""
        return bill(self._account.completions())

    def _organization(self, request: Request, rules: Rules) -> Answer:
        _admit(request.headers, None)
        if request.method != "GET":
            raise RequestError(answers.method_not_allowed(["GET"]))
        key = _key(request.headers)
        return organization.answer(request.path, request.repeated, key, self.bill, rules, self._clock.now())

    def _list(self, request: Request, rules: Rules) -> Answer:
        dice = Random(f"{self._seed} {next(self._lists)}")
        return listing.list_completions(self._account, request.query, rules, self._clock.now(), dice)

    def _get(self, request: Request, rules: Rules, completion_id: str) -> Answer:
        return Answer(200, self._row(completion_id).body)

    def _update(self, request: Request, rules: Rules, completion_id: str) -> Answer:
        metadata = _metadata(request.body)
        with self._account.lock:
            self._row(completion_id)
            self._account.update_metadata(completion_id, metadata)
            return Answer(200, self._row(completion_id).body)

    def _delete(self, request: Request, rules: Rules, completion_id: str) -> Answer:
        with self._account.lock:
            self._row(completion_id)
            self._account.delete(completion_id)
        return answers.deleted(completion_id)

    def _messages(self, request: Request, rules: Rules, completion_id: str) -> Answer:
        stored = stored_messages(self._row(completion_id), with_answers=rules.list_answers)
        return listing.list_messages(stored, request.query, rules)

    def _row(self, completion_id: str) -> Row:
        row = self._account.row(completion_id, self._clock.now())
        if row is None:
            raise RequestError(answers.not_found(completion_id))
        return row


def _endpoint(request: Request) -> tuple[str, list[str]]:
    """The action, and the completion's id if the path names one."""
    for pattern, kinds in _ENDPOINTS:
        if match := pattern.fullmatch(request.path):
            if request.method not in kinds:
                raise RequestError(answers.method_not_allowed(list(kinds)))
            return kinds[request.method], [unquote(part) for part in match.groups()]
    raise RequestError(answers.unknown_url(request.method, request.path))


def _admit(headers: Mapping[str, str], api_key: str | None) -> None:
    """Lets in whoever shows the key, or any key where none is set."""
    key = _key(headers)
    if not key:
        raise RequestError(answers.key_missing())
    if api_key is not None and key != api_key:
        raise RequestError(answers.key_wrong(key))


def _key(headers: Mapping[str, str]) -> str:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return headers.get("api-key") or (bearer.strip() if scheme.lower() == "bearer" else "")


def _metadata(body: bytes) -> dict[str, str]:
    """The metadata of an update, held to OpenAI's limits."""
    sent = _object(body)
    if "metadata" not in sent:
        raise RequestError(answers.parameter_missing("metadata"))
    metadata = {} if sent["metadata"] is None else sent["metadata"]
    if not isinstance(metadata, dict):
        raise RequestError(answers.wrong_type("metadata", "an object", metadata))
    if len(metadata) > _METADATA_PAIRS:
        raise RequestError(answers.too_many_properties("metadata", _METADATA_PAIRS, len(metadata)))
    for key, value in metadata.items():
        _check_pair(key, value)
    return metadata


def _check_pair(key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise RequestError(answers.wrong_type(f"metadata.{key}", "a string", value))
    if len(key) > _METADATA_KEY:
        raise RequestError(answers.too_long("metadata", _METADATA_KEY, len(key)))
    if len(value) > _METADATA_VALUE:
        raise RequestError(answers.too_long(f"metadata.{key}", _METADATA_VALUE, len(value)))


def _object(body: bytes) -> dict[str, Any]:
    try:
        sent = json.loads(body)
    except ValueError:
        raise RequestError(answers.body_not_json()) from None
    if not isinstance(sent, dict):
        raise RequestError(answers.body_not_json())
    return sent
