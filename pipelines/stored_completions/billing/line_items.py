"""What a line of the bill says, taken apart: costs have no model of their own, only this text.

Understood are `gpt-4o-mini-2024-07-18, cached input`, with a prefix (`priority | …`, `evals | …`), with the
suffix `, long context`, fine-tuned models (`ft-gpt-4o-2024-08-06, input`), and lines of tools. Anything
else is no line of a model: its parts are None, and reports list it as it stands.
"""

import re
from dataclasses import dataclass

KINDS = (
    "input",
    "cached input",
    "cache writes",
    "output",
    "audio input",
    "audio output",
    "requests",
)
TOOL = "tool"

_ALIASES = {"cache write": "cache writes", "web search calls": "requests", "search calls": "requests"}
_LONG = "long context"
_MODEL = re.compile(r"[a-z0-9][\w.:-]*", re.I)
_TOOLS = re.compile(
    r"(web|file) search( tool)? calls?|code interpreter( sessions?)?|(file search|vector store) storage"
    r"|containers?( usage)?|computer use",
    re.I,
)


@dataclass(frozen=True)
class LineItem:
    """The model, what of it is charged (one of KINDS, or TOOL), what stands before it, and whether at the
    rates of long prompts; every part None where the text is not understood."""

    model: str | None = None
    kind: str | None = None
    prefix: str | None = None
    long_context: bool | None = None


def parsed(text: str | None) -> LineItem:
    """The parts of a line item; LineItem() for a text that is not understood."""
    prefix, _, rest = (text or "").rpartition("|")
    before = prefix.strip().lower() or None
    parts = [part.strip() for part in rest.split(",")]
    if before is None and _TOOLS.fullmatch(parts[0]):
        return LineItem(None, TOOL, None, False)
    is_long = len(parts) > 1 and parts[-1].lower() == _LONG
    named = parts[:-1] if is_long else parts
    if len(named) != 2 or not _MODEL.fullmatch(named[0]):
        return LineItem()
    said = named[1].lower()
    kind = _ALIASES.get(said, said)
    return LineItem(named[0], kind, before, is_long) if kind in KINDS else LineItem()


def billed_name(model: str | None) -> str | None:
    """A model's name as costs have it: fine-tuned ones go under their base, without the owner's part."""
    if model is None or not model.startswith("ft:"):
        return model
    return f"ft-{model.split(':')[1]}"
