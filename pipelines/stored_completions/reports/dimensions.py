"""What a report can be taken apart by: the words of `--by`, and what each means in SQL."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from stored_completions.errors import UsageError

_METADATA = "metadata:"
_ALIASES = {"service-tier": "tier", "user": "input-user"}


@dataclass(frozen=True)
class Dimension:
    """One word of `--by`: the column it becomes, and where the rows behind a report have its value.

    `is_daily`: reports.daily_costs has it too. `key` is the metadata key, which goes into SQL as a
    parameter and never as text.
    """

    word: str
    column: str
    expression: str
    is_time: bool = False
    is_daily: bool = False
    key: str | None = None


_FIXED = (
    Dimension("day", "day", "facts.day", is_time=True, is_daily=True),
    Dimension("week", "week", "cast(date_trunc('week', facts.day) as date)", is_time=True, is_daily=True),
    Dimension("month", "month", "strftime(facts.day, '%Y-%m')", is_time=True, is_daily=True),
    Dimension("model", "model", "facts.model", is_daily=True),
    Dimension("tier", "service_tier", "facts.service_tier", is_daily=True),
    Dimension("source", "source", "facts.source", is_daily=True),
    Dimension("finish-reason", "finish_reason", "facts.finish_reason"),
    Dimension("input-user", "input_user", "facts.input_user"),
)
REASON = Dimension("reason", "unpriced_reason", "facts.unpriced_reason", is_daily=True)
TOOL = Dimension("tool", "tool_name", "facts.tool_name")
BY_WORD = {dimension.word: dimension for dimension in _FIXED}
ACCEPTED = f"{', '.join(BY_WORD)} or metadata:KEY"


def dimensions(words: Iterable[str]) -> tuple[Dimension, ...]:
    """Dimensions from words, each of which may be several with commas between; a repeated one counts once."""
    found = [_dimension(word) for text in words for word in _split(text)]
    return tuple(dict.fromkeys(found))


def _split(text: str) -> list[str]:
    """The parts of `day,model`. A metadata key may have commas: it ends where a word of ours begins."""
    parts: list[str] = []
    for part in text.split(","):
        if parts and parts[-1].startswith(_METADATA) and not _is_word(part):
            parts[-1] += f",{part}"
        else:
            parts.append(part.strip())
    return parts


def _is_word(text: str) -> bool:
    return _plain(text) in BY_WORD or text.strip().startswith(_METADATA)


def _plain(text: str) -> str:
    word = text.strip().lower().replace("_", "-")
    return _ALIASES.get(word, word)


def _dimension(text: str) -> Dimension:
    if text.startswith(_METADATA) and (key := text.removeprefix(_METADATA)):
        return Dimension(text, text, "", key=key)
    try:
        return BY_WORD[_plain(text)]
    except KeyError:
        close = difflib.get_close_matches(_plain(text), BY_WORD, 1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise UsageError(f"--by takes {ACCEPTED}, not {text!r}.{hint}") from None
