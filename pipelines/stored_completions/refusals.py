"""What each refusal means to a person: an answer other than 200 in, the error to raise out.

Here alone stand the wishes to wait, and the remedies. Pure logic, no I/O.
"""

import re
import time
from collections.abc import Callable, Sequence

import httpx

from stored_completions.errors import (
    AccessError,
    CursorGone,
    LimitTooLarge,
    NotFound,
    OrderRefused,
    ServiceError,
)
from stored_completions.replies import LIST, Reply, unix_seconds

ADMIN_KEY = (
    "an owner of the organization makes one at https://platform.openai.com/settings/organization/admin-keys, and a "
    "restricted one needs the scope api.usage.read"
)
KEPT = "What was synced is kept, and a repeat is safe."

_PASSING = {408, 409, 429, *range(500, 600)} - {501, 505}
_UNPAID = re.compile(
    r"insufficient_quota|credit_balance_exhausted|.*_spend_limit_exceeded"
    r"|organization_usage_limit_exceeded|billing_hard_limit_reached"
)


class PassingError(Exception):
    """A try that failed and may work when repeated, not before `asked` seconds.

    `is_refusal` where the server says that it is asked too often.
    """

    def __init__(self, seen: str, asked: float = 0.0, *, is_refusal: bool = False) -> None:
        super().__init__(seen)
        self.asked = asked
        self.is_refusal = is_refusal


def failure(reply: Reply) -> Exception:
    """The error that an answer without success is to the caller; a PassingError may work when repeated."""
    found = next(filter(None, (judge(reply) for judge in _JUDGES)), None)
    return found or ServiceError(f"{reply.said}. {KEPT}")


def _redirected(reply: Reply) -> Exception | None:
    if not 300 <= reply.status < 400:
        return None
    target = reply.response.next_request
    where = reply.quotable(f"{target.url.scheme}://{target.url.netloc.decode()}") if target else "nowhere"
    return ServiceError(
        f"{reply.url.host} answered {reply.status}, a redirect to {where}. It is not followed, so "
        f"that the key goes to no other place: set the base URL (OPENAI_BASE_URL) to where the API is."
    )


def _unpaid(reply: Reply) -> Exception | None:
    if reply.status != 402 and not any(_UNPAID.fullmatch(reply.error[name]) for name in ("code", "type")):
        return None
    return ServiceError(
        f"{reply.said}: a quota or spend limit of the account is used up. Add credit or raise the limit in "
        f"its billing settings, then repeat. {KEPT}"
    )


def _passing(reply: Reply) -> Exception | None:
    if reply.status not in _PASSING:
        return None
    asked = _asked_wait(reply.response.headers)
    is_refusal = reply.status == 429 or (reply.status == 503 and asked > 0)
    return PassingError(reply.said, asked, is_refusal=is_refusal)


def _denied(reply: Reply) -> Exception | None:
    if reply.error["code"] == "incorrect_hostname":
        remedy = (
            "the key belongs to another region. Set the base URL (OPENAI_BASE_URL) to the regional host that "
            "the answer names, such as https://eu.api.openai.com/v1 or https://us.api.openai.com/v1"
        )
    elif reply.status in {401, 403} and reply.ask.is_of_organization:
        remedy = f"the bill is shown to admin keys only. Set OPENAI_ADMIN_KEY (or admin_key in .dlt/secrets.toml): {ADMIN_KEY}"
    elif reply.status == 403 or (reply.status == 401 and "scopes" in reply.error["message"]):
        remedy = (
            "the key may not do this. A restricted key needs the permission to read chat completions "
            "(Chat completions: Read), and its owner a role in the project"
        )
    elif reply.status == 401:
        remedy = (
            "the key is not accepted. Check OPENAI_API_KEY (or api_key in .dlt/secrets.toml), and that the "
            f"key was made for {reply.url.host}"
        )
    else:
        return None
    return AccessError(f"{reply.said}: {remedy}.")


def _not_served(reply: Reply) -> Exception | None:
    if reply.ask.is_of_organization and reply.status in {404, 405, 501}:
        return ServiceError(
            f"{reply.said}: {reply.url} has no bill to read ({reply.ask.path}); of the services with stored "
            f"completions OpenAI's own has one. Leave --billing out here."
        )
    if reply.status not in {405, 501}:
        return None
    return ServiceError(
        f"{reply.said}: this server, or a proxy in between, has no endpoint for stored completions. Set the "
        f"base URL (now {reply.url}) to a service that stores them."
    )


def _missing(reply: Reply) -> Exception | None:
    if reply.status != 404:
        return None
    after, of_list = reply.ask.after, reply.ask.path == LIST
    if after is not None and (of_list or reply.names("after", "cursor", after)):
        return CursorGone(f"{reply.said}: the cursor is not known any more.")
    if of_list:
        return ServiceError(
            f"{reply.said}: there is no list of stored completions at {reply.url}{LIST}. The base "
            f"URL (OPENAI_BASE_URL) is probably wrong; OpenAI's is https://api.openai.com/v1."
        )
    return NotFound(f"{reply.said}: it was deleted, has expired, or belongs to another project.")


def _malformed(reply: Reply) -> Exception | None:
    """A cursor is suspected before a limit: the walk's last step back asks without one, so a wrong
    guess comes out there, while a walk that shrinks its pages for nothing is stuck."""
    if reply.status not in {400, 422}:
        return None
    after = reply.ask.after
    if after is not None and reply.names("after", "cursor", "not found", after):
        return CursorGone(f"{reply.said}: the cursor is not known any more.")
    if "limit" in reply.ask.query and reply.names("limit"):
        return LimitTooLarge(f"{reply.said}: a page of {reply.ask.query['limit']} is refused.")
    if after is not None and reply.error["param"] in {"", "id"}:
        return CursorGone(f"{reply.said}: perhaps the cursor is not known any more.")
    if reply.ask.query.get("order") == "desc":
        return OrderRefused(f"{reply.said}: perhaps it does not list newest first.")
    return None


_JUDGES: Sequence[Callable[[Reply], Exception | None]] = (
    _redirected,
    _unpaid,
    _passing,
    _denied,
    _not_served,
    _missing,
    _malformed,
)


def _asked_wait(headers: httpx.Headers) -> float:
    """The seconds a server asks to wait, 0 when it does not say; a date counts from the server's own clock."""
    milliseconds, wish = _number(headers.get("retry-after-ms")), headers.get("retry-after")
    if milliseconds is not None:
        return milliseconds / 1000
    seconds, until = _number(wish), unix_seconds(wish)
    if seconds is None and until is not None:
        seconds = until - (unix_seconds(headers.get("date")) or time.time())
    return max(seconds or 0.0, 0.0)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if number >= 0 else None
