"""With which key the bill is read, and from which day on. The ordinary key is never used for it."""

import re
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from stored_completions.endpoint import Endpoint
from stored_completions.errors import UsageError
from stored_completions.refusals import ADMIN_KEY


class Values(Protocol):
    """Where settings are looked up by name."""

    def text(self, name: str) -> str | None: ...


@dataclass(frozen=True)
class Billing:
    """`endpoint` carries the admin key; `since` is the first UTC day to read, None: the day of the oldest
    stored completion; `project` is where the source's completions belong, None: not said."""

    endpoint: Endpoint
    since: date | None = None
    project: str | None = None


def billing(values: Values, endpoint: Endpoint) -> Billing:
    """The settings of `sync --billing`; UsageError for what cannot work, before anything is sent."""
    if endpoint.is_azure:
        raise UsageError("--billing reads OpenAI's organization API, which Azure has not: leave it out here.")
    return Billing(
        replace(endpoint, api_key=_admin_key(values.text("admin_key")), project=None),
        _day(values.text("billing_since")),
        values.text("billing_project") or endpoint.project,
    )


def _admin_key(key: str | None) -> str:
    if key is None:
        raise UsageError(
            f"--billing needs an admin key: set OPENAI_ADMIN_KEY, or admin_key in .dlt/secrets.toml; {ADMIN_KEY}. "
            f"The ordinary key is never used for it."
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise UsageError(
            "The admin key contains a space, a line break or a character that is not ASCII, as a copy can leave "
            "behind: set OPENAI_ADMIN_KEY, or admin_key in .dlt/secrets.toml, to the key alone."
        )
    return key


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"billing_since is {text!r}, but it must be a day such as 2026-01-31.") from None
