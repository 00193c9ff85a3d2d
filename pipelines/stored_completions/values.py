"""What a setting says as text, read strictly: times, numbers, names and pairs; UsageError names what is none."""

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stored_completions.errors import UsageError

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


def file(name: str | None, folder: Path | None) -> Path | None:
    """A file named in the settings, as seen from the project's folder."""
    return None if name is None else (folder or Path()) / Path(name).expanduser()


def duration(name: str, value: Any) -> int:
    """Seconds from a number or from text such as 90s, 10m, 2h or 30d; at most a hundred years."""
    match = re.fullmatch(r"(\d{1,10})\s*([smhd]?)", str(value).strip().lower())
    seconds = int(match[1]) * _UNITS[match[2]] if match else None
    if seconds is None or seconds > _CENTURY:
        raise UsageError(f"{name} is {value!r}, which is no duration: write 90s, 10m, 2h or 30d.")
    return seconds


def with_unit(name: str, text: str) -> int:
    """The same for a flag, where a bare number is refused: whoever writes 90 may mean days."""
    if re.fullmatch(r"\d+", text.strip()):
        number = text.strip()
        raise UsageError(
            f"{name} is {text!r}, which has no unit: write {number}s, {number}m, {number}h or {number}d "
            f"(seconds, minutes, hours or days)."
        )
    return duration(name, text)


def since(text: str | None) -> int | None:
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


def whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"[1-9]\d{0,8}", str(value)):
        raise UsageError(f"{name} is {value!r}, but it must be a whole number above 0.")
    return int(value)


def share(name: str, value: Any) -> float:
    try:
        share = float(str(value))
    except ValueError:
        share = -1.0
    if isinstance(value, bool) or not 0 <= share <= 1:
        raise UsageError(f"{name} is {value!r}, but it must be a share from 0 to 1, such as 0.05.")
    return share


def flag(name: str, value: Any) -> bool:
    said = _FLAGS.get(str(value).strip().lower())
    if said is None:
        raise UsageError(f"{name} is {value!r}, but it must be true or false.")
    return said


def short_name(name: str, value: str) -> str:
    if not re.fullmatch(r"\w[\w.-]{0,63}", value):
        raise UsageError(
            f"{name} is {value!r}, but it must be a short name of letters, digits, dots or dashes."
        )
    return value


def pairs(value: Any) -> dict[str, str]:
    """Metadata to filter on: a table in a file, a JSON object in a variable, or `key=value` texts."""
    if isinstance(value, str):
        value = json_object(value) or value.split(",")
    if isinstance(value, Mapping):
        return {str(name): str(item) for name, item in value.items()}
    pairs = [str(text).partition("=") for text in (value if isinstance(value, list | tuple) else [value])]
    wrong = next((pair for pair in pairs if not pair[0] or not pair[1]), None)
    if wrong is not None:
        raise UsageError(f"metadata takes key=value, not {''.join(wrong)!r}.")
    return {name: item for name, _, item in pairs}


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None if it is something else."""
    try:
        said = json.loads(text)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
