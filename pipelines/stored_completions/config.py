"""Settings: flags beat dlt's configuration, which beats the variables of the official SDK.

Read here without dlt, whose import alone costs more than a sync with nothing new: the same places
in the same order (environment, secrets.toml, config.toml; the project's `.dlt`, then the home's).
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stored_completions.client import Endpoint, Patience
from stored_completions.errors import UsageError
from stored_completions.reader import Filter
from stored_completions.walk import Pace

SECTION = ("sources", "stored_completions")

_KNOWN = (
    "api_key base_url api_version organization project model metadata lookback short_lookback page_size "
    "timeout max_attempts max_wait publish_min_interval insecure_http"
).split()
_SDK = {
    "api_key": "OPENAI_API_KEY",
    "base_url": "OPENAI_BASE_URL",
    "organization": "OPENAI_ORG_ID",
    "project": "OPENAI_PROJECT_ID",
}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Settings:
    """Everything a sync of one source is told."""

    endpoint: Endpoint
    patience: Patience
    pace: Pace
    query: Filter
    publish_min_interval: int
    source: str = "default"


class Configuration:
    """One lookup for every setting; an empty value counts as not set."""

    def __init__(self, flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> None:
        """`folder` is the project's, where `.dlt/` is looked for."""
        self._flags = flags
        self._environ = environ
        self._files = [dict(_section(path)) for path in _paths(folder, environ)]

    def get(self, name: str, default: Any = None) -> Any:
        return next((value for value in self._candidates(name) if value not in (None, "", (), {})), default)

    def _candidates(self, name: str) -> Iterator[Any]:
        yield self._flags.get(name)
        yield self._environ.get("__".join((*SECTION, name)).upper())
        for file in self._files:
            yield file.get(name)
        yield self._environ.get(_SDK.get(name, ""))


def settings(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Settings:
    """What the flags, the files and the environment say together; UsageError for what cannot be right."""
    values = Configuration(flags, environ, folder)
    long = duration("lookback", values.get("lookback", "1h"))
    short = min(long, duration("short_lookback", values.get("short_lookback", "10m")))
    return Settings(
        endpoint=endpoint(values),
        patience=Patience(
            max_attempts=_whole("max_attempts", values.get("max_attempts", 8)),
            max_wait=duration("max_wait", values.get("max_wait", "120s")),
            timeout=duration("timeout", values.get("timeout", "60s")),
        ),
        pace=Pace(
            page_size=_whole("page_size", values.get("page_size", 100)),
            short=short,
            long=long,
            long_every=long,
        ),
        query=Filter(values.get("model"), _pairs(values.get("metadata", {}))),
        publish_min_interval=duration("publish_min_interval", values.get("publish_min_interval", 0)),
    )


def endpoint(values: Configuration) -> Endpoint:
    return Endpoint(
        api_key=str(values.get("api_key", "")),
        base_url=str(values.get("base_url", Endpoint.base_url)),
        organization=values.get("organization"),
        project=values.get("project"),
        api_version=values.get("api_version"),
        insecure_http=str(values.get("insecure_http", "false")).lower() in ("1", "true", "yes"),
    )


def duration(name: str, value: Any) -> int:
    """Seconds from a number or from text such as 90s, 10m, 2h or 30d."""
    match = re.fullmatch(r"(\d+)\s*([smhd]?)", str(value).strip().lower())
    if match is None:
        raise UsageError(f"{name} is {value!r}, which is no duration: write 90s, 10m, 2h or 30d.")
    return int(match[1]) * _UNITS[match[2]]


def _whole(name: str, value: Any) -> int:
    if not re.fullmatch(r"[1-9]\d*", str(value)):
        raise UsageError(f"{name} is {value!r}, but it must be a whole number above 0.")
    return int(value)


def _pairs(value: Any) -> dict[str, str]:
    """Metadata to filter on: a table in a file, or `key=value` texts."""
    if isinstance(value, Mapping):
        return {str(name): str(item) for name, item in value.items()}
    texts = value.split(",") if isinstance(value, str) else value
    pairs = [text.partition("=") for text in texts]
    wrong = next((name for name, equals, _ in pairs if not equals or not name), None)
    if wrong is not None:
        raise UsageError(f"--metadata takes key=value, not {wrong!r}.")
    return {name: item for name, _, item in pairs}


def _paths(folder: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    home = [Path(environ["HOME"])] if environ.get("HOME") else []
    for place in (folder, *home):
        for name in ("secrets.toml", "config.toml"):
            yield place / ".dlt" / name


def _section(path: Path) -> Mapping[str, Any]:
    try:
        section: Any = tomllib.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None
    for name in SECTION:
        section = section.get(name, {}) if isinstance(section, dict) else {}
    unknown = [name for name, value in section.items() if name not in _KNOWN and not isinstance(value, dict)]
    if unknown:
        close = difflib.get_close_matches(unknown[0], _KNOWN, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(_KNOWN)}."
        raise UsageError(f"{path} sets {unknown[0]!r} in [{'.'.join(SECTION)}], which is no setting: {hint}")
    return dict(section)
