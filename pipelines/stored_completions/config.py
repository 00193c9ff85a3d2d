"""Settings: flags beat dlt's configuration, which beats the variables of the official SDK.

Read here without dlt, whose import alone costs more than a sync with nothing new: the same places
in the same order (environment, secrets.toml, config.toml; of each file the project's before the
user's). Only an empty value, which dlt takes as it is, counts as not set here.
"""

import difflib
import json
import os
import re
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stored_completions.billing.settings import Billing, billing
from stored_completions.client import Endpoint, Patience
from stored_completions.content.policy import KEPT, Policy, policy
from stored_completions.deletions import DELETION_LIMIT
from stored_completions.errors import UsageError
from stored_completions.messages.asking import Asking
from stored_completions.reader import Filter
from stored_completions.walk import Pace

SECTION = ("sources", "stored_completions")
_PREFIX = "SOURCES__STORED_COMPLETIONS__"

_KNOWN = (
    "api_key base_url api_version organization project source model metadata lookback short_lookback page_size "
    "max_pages since chains timeout answer_timeout max_attempts max_wait publish_min_interval prices views "
    "insecure_http "
    "admin_key billing billing_since billing_project "
    "content content_key logprobs "
    "deletion_limit messages max_messages in_flight images requests_per_second"
).split()
_FOR_DLT = ("max_table_nesting", "schema_contract", "root_key", "section")
_SDK = {
    "api_key": "OPENAI_API_KEY",
    "base_url": "OPENAI_BASE_URL",
    "organization": "OPENAI_ORG_ID",
    "project": "OPENAI_PROJECT_ID",
    "admin_key": "OPENAI_ADMIN_KEY",
}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_CENTURY = 36_525 * 86_400
_FLAGS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


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
    content_key: str | None = field(default=None, repr=False)


class Configuration:
    """One lookup for every setting; an empty value counts as not set.

    `names` are the sources that have a part of their own, [sources.stored_completions.NAME] or
    SOURCES__STORED_COMPLETIONS__NAME__…; what such a part does not say is looked for in the common one.
    """

    def __init__(self, flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path | None) -> None:
        """`folder` is the project's, where `.dlt/` is looked for; None: no file is read."""
        self._flags = flags
        self._environ = environ
        self._files = [] if folder is None else [_section(path) for path in _paths(folder, environ)]
        self._source: str | None = None
        _check_variables(environ)
        self.names = list(
            dict.fromkeys(
                [*(name for file in self._files for name in _named(file)), *_named_variables(environ)]
            )
        )

    def of(self, source: str) -> "Configuration":
        """The same lookup for one of `names`."""
        one = copy(self)
        one._source = source
        return one

    def get(self, name: str, default: Any = None) -> Any:
        return next(_given(self._candidates(name)), default)

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return None if value is None else str(value).strip()

    def weakest_first(self, name: str) -> list[Any]:
        """What each place says of a setting that is a table, so that one can be laid over the other.

        A variable for each member is a place too.
        """
        said = [self._flags.get(name)]
        for part in (f"{self._source}__", "") if self._source else ("",):
            variable = f"{_PREFIX}{part}{name}".upper()
            said += [self._members(f"{variable}__"), self._environ.get(variable)]
        return [*_given((*said, *self._in_files(name)))][::-1]

    def _candidates(self, name: str) -> Iterator[Any]:
        yield self._flags.get(name)
        if self._source:
            yield (
                self._source
                if name == "source"
                else self._environ.get(f"{_PREFIX}{self._source}__{name}".upper())
            )
        yield self._environ.get(_PREFIX + name.upper())
        yield from self._in_files(name)
        yield self._environ.get(_SDK.get(name, ""))

    def _in_files(self, name: str) -> Iterator[Any]:
        for file in self._files:
            if self._source:
                yield file.get(self._source, {}).get(name)
            yield file.get(name)

    def _members(self, prefix: str) -> dict[str, str]:
        return {
            name.removeprefix(prefix): value
            for name, value in self._environ.items()
            if name.startswith(prefix) and value
        }


def _given(candidates: Iterable[Any]) -> Iterator[Any]:
    return (value for value in candidates if value not in (None, "", (), {}))


def accounts(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path | None) -> list[Settings]:
    """The settings of every source that has a part of its own, of the one that flag `source` names, or of the only one."""
    values = Configuration(flags, environ, folder)
    if flags.get("source") or not values.names:
        return [settings(flags, environ, folder)]
    if len(values.names) > 1 and flags.get("base_url"):
        raise UsageError(f"--base-url is for one source: name it with --source ({', '.join(values.names)}).")
    return [_of_one(values.of(name), folder) for name in values.names]


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
    long = duration("lookback", values.get("lookback", "1h"))
    short = min(long, duration("short_lookback", values.get("short_lookback", "10m")))
    most_pages = values.get("max_pages")
    account = endpoint(values)
    with_bill = _flag("billing", values.get("billing", False))
    return Settings(
        endpoint=account,
        patience=Patience(
            max_attempts=_whole("max_attempts", values.get("max_attempts", 8)),
            max_wait=duration("max_wait", values.get("max_wait", "120s")),
            timeout=duration("timeout", values.get("timeout", "60s")),
            answer_timeout=duration("answer_timeout", values.get("answer_timeout", "10m")),
        ),
        pace=Pace(
            page_size=_whole("page_size", values.get("page_size", 100)),
            short=short,
            long=long,
            long_every=long,
        ),
        query=Filter(values.text("model"), pairs(values.get("metadata", {}))),
        publish_min_interval=duration("publish_min_interval", values.get("publish_min_interval", 0)),
        source=_name("source", values.text("source") or "default"),
        max_pages=None if most_pages is None else _whole("max_pages", most_pages),
        since=_since(values.text("since")),
        chains=_whole("chains", values.get("chains", Settings.chains)),
        prices=_file(values.text("prices"), folder),
        views=_file(values.text("views"), folder),
        billing=billing(values, account) if with_bill else None,
        content=policy(values.weakest_first("content"), values.text("logprobs"), values.text("content_key")),
        deletion_limit=_share("deletion_limit", values.get("deletion_limit", DELETION_LIMIT)),
        messages=_asking(values),
        requests_per_second=_rate(values),
        content_key=values.text("content_key"),
    )


def _asking(values: Configuration) -> Asking | None:
    """How input messages are asked for; None: not at all."""
    most = values.get("max_messages")
    asking = Asking(
        in_flight=_whole("in_flight", values.get("in_flight", 8)),
        images=(values.text("images") or "keep").lower(),
        most=None if most is None else _whole("max_messages", most),
    )
    return asking if _flag("messages", values.get("messages", False)) else None


def _rate(values: Configuration) -> float | None:
    said = values.text("requests_per_second")
    if said is not None and not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", said):
        raise UsageError(
            f"requests_per_second is {said!r}, but it must be a number above 0, such as 5 or 0.5."
        )
    return None if said is None else float(said)


def _file(name: str | None, folder: Path | None) -> Path | None:
    """A file named in the settings, as seen from the project's folder."""
    return None if name is None else (folder or Path()) / Path(name).expanduser()


def endpoint(values: Configuration) -> Endpoint:
    return Endpoint(
        api_key=values.text("api_key") or "",
        base_url=values.text("base_url") or Endpoint.base_url,
        organization=values.text("organization"),
        project=values.text("project"),
        api_version=values.text("api_version"),
        insecure_http=_flag("insecure_http", values.get("insecure_http", False)),
    )


def duration(name: str, value: Any) -> int:
    """Seconds from a number or from text such as 90s, 10m, 2h or 30d; at most a hundred years."""
    match = re.fullmatch(r"(\d{1,10})\s*([smhd]?)", str(value).strip().lower())
    seconds = int(match[1]) * _UNITS[match[2]] if match else None
    if seconds is None or seconds > _CENTURY:
        raise UsageError(f"{name} is {value!r}, which is no duration: write 90s, 10m, 2h or 30d.")
    return seconds


def _since(text: str | None) -> int | None:
    """Unix seconds of a UTC day or time, or of so long ago: 2026-01-31, 2026-01-31T12:00, 30d."""
    if text is None:
        return None
    now = int(time.time())
    try:
        at = datetime.fromisoformat(text)
        second = int(at.replace(tzinfo=at.tzinfo or UTC).timestamp())
    except (ValueError, OverflowError):
        if not re.fullmatch(r"\d{1,10}\s*[smhd]", text.lower()):
            raise UsageError(
                f"since is {text!r}, but it must be a day such as 2026-01-31 (UTC), or so long ago: 30d."
            ) from None
        second = now - duration("since", text)
    if second > now:
        raise UsageError(f"since is {text!r}, which is in the future: no completion is that new.")
    return max(second, 0)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"[1-9]\d{0,8}", str(value)):
        raise UsageError(f"{name} is {value!r}, but it must be a whole number above 0.")
    return int(value)


def _share(name: str, value: Any) -> float:
    try:
        share = float(str(value))
    except ValueError:
        share = -1.0
    if isinstance(value, bool) or not 0 <= share <= 1:
        raise UsageError(f"{name} is {value!r}, but it must be a share from 0 to 1, such as 0.05.")
    return share


def _flag(name: str, value: Any) -> bool:
    said = _FLAGS.get(str(value).strip().lower())
    if said is None:
        raise UsageError(f"{name} is {value!r}, but it must be true or false.")
    return said


def _name(name: str, value: str) -> str:
    if not re.fullmatch(r"\w[\w.-]{0,63}", value):
        raise UsageError(
            f"{name} is {value!r}, but it must be a short name of letters, digits, dots or dashes."
        )
    return value


def pairs(value: Any) -> dict[str, str]:
    """Metadata to filter on: a table in a file, a JSON object in a variable, or `key=value` texts."""
    if isinstance(value, str):
        value = _object(value) or value.split(",")
    if isinstance(value, Mapping):
        return {str(name): str(item) for name, item in value.items()}
    pairs = [str(text).partition("=") for text in (value if isinstance(value, list | tuple) else [value])]
    wrong = next((name for name, equals, _ in pairs if not equals or not name), None)
    if wrong is not None:
        raise UsageError(f"metadata takes key=value, not {wrong!r}.")
    return {name: item for name, _, item in pairs}


def _object(text: str) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _paths(folder: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """The files in the order in which dlt lets one beat the next."""
    project = Path(environ.get("DLT_PROJECT_DIR") or folder, environ.get("DLT_CONFIG_FOLDER") or ".dlt")
    places = [project, *_shared_folder(environ)]
    for name in ("secrets.toml", "config.toml"):
        for place in places:
            yield place / name


def _shared_folder(environ: Mapping[str, str]) -> list[Path]:
    """Where dlt keeps what all projects of a user share; root's is the machine's."""
    if os.geteuid() == 0:
        return [Path("/var/dlt")]
    home = environ.get("HOME")
    own = Path(home, ".dlt") if home else None
    if environ.get("XDG_DATA_HOME") and not (own and own.is_dir()):
        return [Path(environ["XDG_DATA_HOME"], "dlt")]
    return [own] if own else []


def _section(path: Path) -> dict[str, Any]:
    if not os.path.isfile(path):
        return {}
    try:
        section: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None
    for name in SECTION:
        section = section.get(name, {}) if isinstance(section, dict) else {}
    if not isinstance(section, dict):
        raise UsageError(f"{path} must have {SECTION[1]} as a table: [{'.'.join(SECTION)}].")
    own = [name for name, value in section.items() if not isinstance(value, dict) or name in _KNOWN]
    _check_names(own, f"{path} sets {{}} in [{'.'.join(SECTION)}]")
    for name in _named(section):
        _name("the name of a source", name)
        _check_names(section[name], f"{path} sets {{}} in [{'.'.join((*SECTION, name))}]")
    return section


def _named(section: Mapping[str, Any]) -> list[str]:
    """The sources that have a part of their own in a file; dlt itself may look into one of the source's own name."""
    return [
        name
        for name, value in section.items()
        if isinstance(value, dict) and name not in (*_KNOWN, *_FOR_DLT, SECTION[1])
    ]


def _named_variables(environ: Mapping[str, str]) -> list[str]:
    parts = [name[len(_PREFIX) :].lower().split("__") for name in sorted(environ) if name.startswith(_PREFIX)]
    return [part[0] for part in parts if len(part) > 1 and part[0] not in (*_KNOWN, *_FOR_DLT, SECTION[1])]


def _check_variables(environ: Mapping[str, str]) -> None:
    names = [name[len(_PREFIX) :].lower() for name in environ if name.startswith(_PREFIX)]
    _check_names([name for name in names if "__" not in name], f"The environment sets {{}} after {_PREFIX}")
    for name in _named_variables(environ):
        own = [each.removeprefix(f"{name}__") for each in names if each.startswith(f"{name}__")]
        plain = [each.partition("__")[0] for each in own]
        _check_names(plain, f"The environment sets {{}} after {_PREFIX}{name.upper()}__")


def _check_names(names: Iterable[str], said: str) -> None:
    for name in names:
        if name not in _KNOWN and name not in _FOR_DLT:
            close = difflib.get_close_matches(name, _KNOWN, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(_KNOWN)}."
            raise UsageError(f"{said.format(repr(name))}, which is no setting: {hint}")
