"""A page of the organization's usage or costs: days, and what each reports. Digits stay as sent."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from stored_completions.errors import ServiceError

Result = dict[str, Any]

_DAY = 86_400
_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


@dataclass(frozen=True)
class Page:
    """`days` maps each UTC day of the page to what is reported of it; `next` names the next page."""

    days: dict[date, list[Result]]
    next: str | None


def read_page(body: bytes) -> Page:
    """ValueError for what is no JSON object, as msgspec's; ServiceError for JSON of something else."""
    said = _decoder.decode(body)
    buckets = said.get("data")
    if not isinstance(buckets, list) or not all(_is_bucket(bucket) for bucket in buckets):
        raise ServiceError(
            "The answer is no page of a bill (an object with a list of buckets in data): the base URL leads to "
            "something else, or a proxy answers in its place."
        )
    days: dict[date, list[Result]] = {}
    for bucket in buckets:
        days.setdefault(_day(bucket["start_time"]), []).extend(bucket["results"])
    following = said.get("next_page")
    return Page(days, following if said.get("has_more") and isinstance(following, str) else None)


def _is_bucket(bucket: Any) -> bool:
    if not isinstance(bucket, dict) or type(bucket.get("start_time")) is not int:
        return False
    results = bucket.get("results")
    return isinstance(results, list) and all(isinstance(result, dict) for result in results)


def _day(second: int) -> date:
    """The UTC day that begins at this unix second."""
    if second % _DAY:
        at = datetime.fromtimestamp(second, UTC)
        raise ServiceError(
            f"The bill is cut into days that begin at {at:%H:%M:%S} UTC and not at midnight: it cannot be "
            f"compared with completions by UTC day."
        )
    return datetime.fromtimestamp(second, UTC).date()
