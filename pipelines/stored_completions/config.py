"""Settings: everything a sync of one source is told, put together from wherever it stands."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stored_completions.billing.settings import Billing, billing
from stored_completions.client import Patience
from stored_completions.configuration import Configuration
from stored_completions.content.policy import KEPT, Policy, policy
from stored_completions.deletions import DELETION_LIMIT
from stored_completions.destinations.kinds import Target, chosen
from stored_completions.endpoint import Endpoint
from stored_completions.errors import UsageError
from stored_completions.messages.asking import Asking
from stored_completions.reader import Filter
from stored_completions.values import duration, file, flag, pairs, share, short_name, since, whole, with_unit
from stored_completions.walk import Pace


@dataclass(frozen=True)
class Settings:
    """Everything a sync of one source is told."""

    endpoint: Endpoint
    patience: Patience
    pace: Pace
    query: Filter
    publish_min_interval: int
    source: str = "default"
    max_pages: int | None = None
    since: int | None = None
    chains: int = 4
    prices: Path | None = None
    views: Path | None = None
    billing: Billing | None = None
    content: Policy = KEPT
    deletion_limit: float = DELETION_LIMIT
    messages: Asking | None = None
    requests_per_second: float | None = None
    destination: Target | None = None
    content_key: str | None = field(default=None, repr=False)


def accounts(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path | None) -> list[Settings]:
    """The settings of every source that has a part of its own, of the one that flag `source` names, or of the only one.

    UsageError for a name that no part has, unless flag `base_url` says where that one is.
    """
    values = Configuration(flags, environ, folder)
    if flags.get("source") and values.names and not flags.get("base_url"):
        check_is_configured(str(flags["source"]), values.names, " and no --base-url")
    if flags.get("source") or not values.names:
        found = [settings(flags, environ, folder)]
    elif len(values.names) > 1 and flags.get("base_url"):
        raise UsageError(f"--base-url is for one source: name it with --source ({', '.join(values.names)}).")
    else:
        found = [_of_one(values.of(name), folder) for name in values.names]
    _check_of_use(flags, found)
    return found


def _check_of_use(flags: Mapping[str, Any], found: list[Settings]) -> None:
    """Raises UsageError for a flag that would do nothing, in none of the accounts."""
    if flags.get("max_messages") and not any(each.messages for each in found):
        raise UsageError("--max-messages is for --messages, without which no message is read: add it.")
    if flags.get("billing_since") and not any(each.billing for each in found):
        raise UsageError("--billing-since is for --billing, without which no bill is read: add it.")


def check_is_configured(name: str, names: list[str], nor: str = "") -> None:
    """Raises UsageError unless a source of this name has a part of its own; `nor` is what else would do."""
    if name not in names:
        letters = {"".join(sorted(each)): each for each in names}  # ue is nearer to eu than to us
        close = difflib.get_close_matches("".join(sorted(name)), letters, 1)
        hint = (
            f"did you mean {letters[close[0]]!r}?"
            if close
            else f"configured are {', '.join(names) or 'none'}."
        )
        raise UsageError(
            f"--source is {name!r}, but there is no [sources.stored_completions.{name}]{nor}: {hint}"
        )


def settings(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path | None) -> Settings:
    """What the flags, the files and the environment say together; UsageError for what cannot be right."""
    values = Configuration(flags, environ, folder)
    name = flags.get("source")
    return _of_one(values.of(name), folder) if name in values.names else _settings(values, folder)


def _of_one(values: Configuration, folder: Path | None) -> Settings:
    try:
        return _settings(values, folder)
    except UsageError as error:
        raise UsageError(f"Source {values.text('source')}: {error}") from None


def _settings(values: Configuration, folder: Path | None) -> Settings:
    long = _lookback(values)
    short = min(long, duration("short_lookback", values.get("short_lookback", "10m")))
    most_pages = values.get("max_pages")
    account = endpoint(values)
    with_bill = flag("billing", values.get("billing", False))
    return Settings(
        endpoint=account,
        patience=Patience(
            max_attempts=whole("max_attempts", values.get("max_attempts", 8)),
            max_wait=duration("max_wait", values.get("max_wait", "120s")),
            timeout=duration("timeout", values.get("timeout", "60s")),
            answer_timeout=duration("answer_timeout", values.get("answer_timeout", "10m")),
        ),
        pace=Pace(
            page_size=whole("page_size", values.get("page_size", 100)),
            short=short,
            long=long,
            long_every=min(long, Pace.long_every),
        ),
        query=Filter(values.text("model"), pairs(values.get("metadata", {}))),
        publish_min_interval=duration("publish_min_interval", values.get("publish_min_interval", 0)),
        source=short_name("source", values.text("source") or "default"),
        max_pages=None if most_pages is None else whole("max_pages", most_pages),
        since=since(values.text("since")),
        chains=whole("chains", values.get("chains", Settings.chains)),
        prices=file(values.text("prices"), folder),
        views=file(values.text("views"), folder),
        billing=billing(values, account) if with_bill else None,
        content=policy(values.weakest_first("content"), values.text("logprobs"), values.text("content_key")),
        deletion_limit=share("deletion_limit", values.get("deletion_limit", DELETION_LIMIT)),
        messages=_asking(values),
        requests_per_second=_rate(values),
        destination=_destination(values),
        content_key=values.text("content_key"),
    )


def parts(environ: Mapping[str, str], folder: Path | None) -> list[str]:
    """The sources that have a part of their own, for what needs no account."""
    return Configuration({}, environ, folder).names


def destination(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path | None) -> Target | None:
    """The destination alone, for what needs no account."""
    return _destination(Configuration(flags, environ, folder))


def _destination(values: Configuration) -> Target | None:
    names = ("destination", "dataset", "table_format", "loader")
    return chosen(*(values.text(name) for name in names))


def _lookback(values: Configuration) -> int:
    said = values.flag("lookback")
    if isinstance(said, str):
        return with_unit("--lookback", said)
    return duration("lookback", values.get("lookback", "1h"))


def _asking(values: Configuration) -> Asking | None:
    """How input messages are asked for; None: not at all."""
    most = values.get("max_messages")
    asking = Asking(
        in_flight=whole("in_flight", values.get("in_flight", 8)),
        images=(values.text("images") or "keep").lower(),
        most=None if most is None else whole("max_messages", most),
    )
    return asking if flag("messages", values.get("messages", False)) else None


def _rate(values: Configuration) -> float | None:
    said = values.text("requests_per_second")
    if said is not None and not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", said):
        raise UsageError(
            f"requests_per_second is {said!r}, but it must be a number above 0, such as 5 or 0.5."
        )
    return None if said is None else float(said)


def endpoint(values: Configuration) -> Endpoint:
    return Endpoint(
        api_key=values.text("api_key") or "",
        base_url=values.text("base_url") or Endpoint.base_url,
        organization=values.text("organization"),
        project=values.text("project"),
        api_version=values.text("api_version"),
        insecure_http=flag("insecure_http", values.get("insecure_http", False)),
    )
