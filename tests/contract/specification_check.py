"""The sandbox, and the recorded service, held against OpenAI's OpenAPI file and its named departures.

Runs in an environment of its own: `make test-contract`, which has schemathesis.
"""

import gzip
import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import schemathesis
from departures import DEPARTURES, UNSAID, amended
from hypothesis import HealthCheck, settings
from schemathesis import Case, HookContext

from stored_completions.sandbox import Account, Sandbox

Spec = dict[str, Any]

SHARED = Path(os.environ.get("STORED_COMPLETIONS_SHARED", Path(__file__).parents[3] / "shared"))
SPECIFICATION = SHARED / "openapi" / "stored-completions.json"
ACCOUNT = Account.generate(2000, logprob_share=0.1)
IDS = ACCOUNT.ids()
KEY = {"Authorization": "Bearer sk-sandbox"}


if not SPECIFICATION.is_file():
    pytest.skip(
        f"NO SPECIFICATION at {SPECIFICATION}: the sandbox was NOT held against OpenAI's OpenAPI file. "
        "Name the folder that has it in STORED_COMPLETIONS_SHARED.",
        allow_module_level=True,
    )


@pytest.fixture(scope="module")
def specification() -> Spec:
    spec: Spec = json.loads(SPECIFICATION.read_text())
    return spec


@pytest.fixture(scope="module")
def exchanges(corpus: Path) -> list[dict[str, Any]]:
    """Recorded exchanges with the endpoints that the specification describes."""
    with gzip.open(corpus / "http_exchanges.ndjson.gz") as lines:
        rows = [json.loads(line) for line in lines]
    return [row for row in rows if operation(row) is not None]


def operation(row: dict[str, Any]) -> tuple[str, str] | None:
    """Path and method in the specification; creating a completion is not among them."""
    parts = urlsplit(row["uri"]).path.split("/")[4:]
    path = "/chat/completions" + ("", "/{completion_id}", "/{completion_id}/messages")[len(parts)]
    return (path, row["method"].lower()) if parts or row["method"] == "GET" else None


def problems(spec: Spec, exchanges: list[dict[str, Any]]) -> Iterator[str]:
    """What the specification finds wrong with recorded answers."""
    for row in exchanges:
        path, method = operation(row) or ("", "")
        answers = spec["paths"][path][method]["responses"]
        if str(row["status"]) not in answers:
            yield f"status {row['status']} is not described"
            continue
        schema = answers[str(row["status"])]["content"]["application/json"]["schema"]
        validator = jsonschema_rs.validator_for({**schema, "components": spec["components"]})
        yield from (
            f"{problem.instance_path} {problem.message}"
            for problem in validator.iter_errors(row["response_body"])
        )


def test_recorded_answers_conform_but_for_the_departures(
    specification: Spec, exchanges: list[dict[str, Any]]
) -> None:
    assert len(exchanges) > 80
    assert list(problems(amended(specification, DEPARTURES), exchanges)) == []


@pytest.mark.parametrize("departure", DEPARTURES, ids=lambda departure: departure.name)
def test_each_departure_is_needed(
    departure: Any, specification: Spec, exchanges: list[dict[str, Any]]
) -> None:
    others = tuple(other for other in DEPARTURES if other is not departure)
    assert list(problems(amended(specification, others), exchanges))


# ---------------------------------------------------------------------------- the sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An unknown cursor gets a 404 here: schemathesis takes a 400 to say that the request was malformed."""
    with Sandbox(ACCOUNT, api_key="sk-sandbox", vanished="404") as running:
        yield running


schema = schemathesis.openapi.from_dict(amended(json.loads(SPECIFICATION.read_text()), DEPARTURES + UNSAID))
schema.config.generation.update(allow_extra_parameters=False)
choices = count()


@schema.hook
def map_path_parameters(context: HookContext, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Every other request is about a completion that is there, unless it was deleted meanwhile."""
    number = next(choices)
    return (
        {**parameters, "completion_id": IDS[number % len(IDS)]} if parameters and number % 2 else parameters
    )


@schema.parametrize()
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_sandbox_conforms(case: Case, sandbox: Sandbox) -> None:
    case.call_and_validate(base_url=sandbox.base_url, headers=KEY)
