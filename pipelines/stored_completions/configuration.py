"""Where a setting stands: flags beat dlt's configuration, which beats the variables of the official SDK.

Read here without dlt, whose import alone costs more than a sync with nothing new: the same places
in the same order (environment, secrets.toml, config.toml; of each file the project's before the
user's). Only an empty value, which dlt takes as it is, counts as not set here.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any

from stored_completions.errors import UsageError
from stored_completions.values import short_name

SECTION = ("sources", "stored_completions")
_PREFIX = "SOURCES__STORED_COMPLETIONS__"
KNOWN = (
    "api_key base_url api_version organization project source model metadata lookback short_lookback page_size "
    "max_pages since chains timeout answer_timeout max_attempts max_wait publish_min_interval prices views "
    "insecure_http "
    "admin_key billing billing_since billing_project "
    "content content_key logprobs "
    "destination dataset table_format loader "
    "deletion_limit messages max_messages in_flight images requests_per_second"
).split()
TABLES = ("content",)
"""Settings of which one place can be laid over another; a variable for each member is a place too."""
_FOR_DLT = ("max_table_nesting", "schema_contract", "root_key", "section")
_NEAR = (0.85, 0.93)  # how alike the two names of the section are at least, of 1: a letter or two are wrong
_SDK = {
    "api_key": "OPENAI_API_KEY",
    "base_url": "OPENAI_BASE_URL",
    "organization": "OPENAI_ORG_ID",
    "project": "OPENAI_PROJECT_ID",
    "admin_key": "OPENAI_ADMIN_KEY",
}


class Configuration:
    """One lookup for every setting; an empty value counts as not set.

    `names` are the sources that have a part of their own, [sources.stored_completions.NAME] or
    SOURCES__STORED_COMPLETIONS__NAME__…; what such a part does not say is looked for in the common one.
    """

    def __init__(self, flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path | None) -> None:
        """`folder` is the project's, where `.dlt/` is looked for; None: no file is read."""
        self._flags = flags
        self._environ = environ
        self._files = [] if folder is None else [(path, _section(path)) for path in paths(folder, environ)]
        self._source: str | None = None
        _check_variables(environ)
        self.names = list(
            dict.fromkeys(
                [*(name for _, file in self._files for name in _named(file)), *_named_variables(environ)]
            )
        )

    def of(self, source: str) -> "Configuration":
        """The same lookup for one of `names`."""
        one = copy(self)
        one._source = source
        return one

    def flag(self, name: str) -> Any:
        """What the flag alone says."""
        return self._flags.get(name)

    def get(self, name: str, default: Any = None) -> Any:
        return next(_given(value for value, _ in self._candidates(name)), default)

    def said(self, name: str) -> list[tuple[Any, str]]:
        """What counts of a setting, and the file or variable that says it; of a table each place, the strongest first."""
        found = [(value, place) for value, place in self._candidates(name) if not _is_empty(value)]
        return found if name in TABLES else found[:1]

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return None if value is None else str(value).strip()

    def weakest_first(self, name: str) -> list[Any]:
        """What each place says of a setting that is a table, so that one can be laid over the other."""
        return [value for value, _ in self.said(name)][::-1]

    def _candidates(self, name: str) -> Iterator[tuple[Any, str]]:
        """Values and where they stand, those that win first."""
        yield self._flags.get(name), f"--{name.replace('_', '-')}"
        if self._source and name == "source":
            yield self._source, f"[{'.'.join((*SECTION, self._source))}]"
        for part in (f"{self._source}__", "") if self._source else ("",):
            variable = f"{_PREFIX}{part}{name}".upper()
            if name in TABLES:
                yield self._members(f"{variable}__"), f"{variable}__…"
            yield self._environ.get(variable), variable
        yield from self._in_files(name)
        yield self._environ.get(_SDK.get(name, "")), _SDK.get(name, "")

    def _in_files(self, name: str) -> Iterator[tuple[Any, str]]:
        for path, file in self._files:
            if self._source:
                yield file.get(self._source, {}).get(name), f"{path} [{self._source}]"
            yield file.get(name), str(path)

    def _members(self, prefix: str) -> dict[str, str]:
        return {
            name.removeprefix(prefix): value
            for name, value in self._environ.items()
            if name.startswith(prefix) and value
        }


def _given(candidates: Iterable[Any]) -> Iterator[Any]:
    return (value for value in candidates if not _is_empty(value))


def _is_empty(value: Any) -> bool:
    return value in (None, "", (), {})


def paths(folder: Path, environ: Mapping[str, str]) -> Iterator[Path]:
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
        everything = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None
    _check_headings(path, everything)
    section: Any = everything
    for name in SECTION:
        section = section.get(name, {}) if isinstance(section, dict) else {}
    if not isinstance(section, dict):
        raise UsageError(f"{path} must have {SECTION[1]} as a table: [{'.'.join(SECTION)}].")
    own = [name for name, value in section.items() if not isinstance(value, dict) or name in KNOWN]
    _check_names(own, f"{path} sets {{}} in [{'.'.join(SECTION)}]")
    for name in _named(section):
        short_name("the name of a source", name)
        _check_names(section[name], f"{path} sets {{}} in [{'.'.join((*SECTION, name))}]")
    return section


def _check_headings(path: Path, everything: Mapping[str, Any]) -> None:
    """UsageError for a heading that is ours but for a slip; those of dlt and of other sources are not ours to judge."""
    for first, inner in everything.items():
        for second in inner if isinstance(inner, dict) else ():
            if isinstance(inner[second], dict) and _is_near((first, second)):
                raise UsageError(
                    f"{path} has [{first}.{second}], which nothing reads: did you mean [{'.'.join(SECTION)}]?"
                )


def _is_near(names: tuple[str, ...]) -> bool:
    """Whether these are the names of our section, one of them misspelt."""
    near = (
        difflib.get_close_matches(name.lower(), [meant], 1, cutoff)
        for name, meant, cutoff in zip(names, SECTION, _NEAR, strict=True)
    )
    return names != SECTION and all(near)


def _named(section: Mapping[str, Any]) -> list[str]:
    """The sources that have a part of their own in a file; dlt itself may look into one of the source's own name."""
    return [
        name
        for name, value in section.items()
        if isinstance(value, dict) and name not in (*KNOWN, *_FOR_DLT, SECTION[1])
    ]


def _named_variables(environ: Mapping[str, str]) -> list[str]:
    parts = [name[len(_PREFIX) :].lower().split("__") for name in sorted(environ) if name.startswith(_PREFIX)]
    return [part[0] for part in parts if len(part) > 1 and part[0] not in (*KNOWN, *_FOR_DLT, SECTION[1])]


def _check_variables(environ: Mapping[str, str]) -> None:
    for variable in environ:
        first, second, *more = [*variable.split("__"), "", ""]
        if more[0] and _is_near((first.lower(), second.lower())):
            raise UsageError(
                f"The environment sets {variable}, which nothing reads: did you mean {_PREFIX}…?"
            )
    names = [name[len(_PREFIX) :].lower() for name in environ if name.startswith(_PREFIX)]
    _check_names([name for name in names if "__" not in name], f"The environment sets {{}} after {_PREFIX}")
    for name in _named_variables(environ):
        own = [each.removeprefix(f"{name}__") for each in names if each.startswith(f"{name}__")]
        plain = [each.partition("__")[0] for each in own]
        _check_names(plain, f"The environment sets {{}} after {_PREFIX}{name.upper()}__")


def _check_names(names: Iterable[str], said: str) -> None:
    for name in names:
        if name not in KNOWN and name not in _FOR_DLT:
            close = difflib.get_close_matches(name, KNOWN, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(KNOWN)}."
            raise UsageError(f"{said.format(repr(name))}, which is no setting: {hint}")
