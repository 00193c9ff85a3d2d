"""What every setting is and where it stands, for people who look for what they set wrong."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from stored_completions.configuration import KNOWN, SECTION, Configuration

EXAMPLE = Path(__file__).with_name("settings.toml")
"""A `.dlt/config.toml` that names every setting with its default, commented out."""

_SECRET = ("api_key", "admin_key", "content_key")
_SHOWN = re.compile(r"^# (\w+ = .*)$", re.M)


def rows(environ: Mapping[str, str], folder: Path, source: str | None) -> list[dict[str, Any]]:
    """A row for every setting: setting, value, from; of a key only whether it is set. One that is a table has a row
    for each place that says something of it, the strongest first.

    With several configured sources each of them has its rows, unless `source` names one: those begin with source.
    Raises UsageError for files that cannot be read, and for names that no setting has.
    """
    values = Configuration({}, environ, folder)
    chosen: list[tuple[Configuration, dict[str, Any]]] = [
        (values.of(each), {"source": each}) for each in ([source] if source else values.names)
    ] or [(values, {})]
    return [
        head | row | {"from": row["from"].removeprefix(f"{folder}{os.sep}")}
        for own, head in chosen
        for name in KNOWN
        for row in _rows(own, name)
    ]


def names(environ: Mapping[str, str], folder: Path) -> list[str]:
    """The sources that have a part of their own."""
    return Configuration({}, environ, folder).names


def _rows(values: Configuration, name: str) -> Iterator[dict[str, Any]]:
    for value, place in values.said(name) or [(defaults().get(name), "default")]:
        is_hidden = value is not None and (name in _SECRET or "@" in str(value))
        shown = "(set, not shown)" if is_hidden else None if value in ("", {}) else value
        yield {"setting": name, "value": shown, "from": place}


@cache
def defaults() -> dict[str, Any]:
    """The defaults as the example says them; "" is none."""
    text = EXAMPLE.read_text(encoding="utf-8").partition(f"# [{'.'.join(SECTION)}]\n")[2].partition("# [")[0]
    return tomllib.loads("\n".join(_SHOWN.findall(text)))
