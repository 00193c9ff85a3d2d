"""When a whole list may be taken as word that completions are gone, and what is to be said when it may not."""

from dataclasses import asdict, dataclass
from typing import Any

from stored_completions.absence import Absence
from stored_completions.reader import Filter
from stored_completions.wording import counted

DELETION_LIMIT = 0.05
"""The share of the completions held that may be missing from a list before it is doubted."""


@dataclass
class Relisted:
    """What a full re-list found; `doubt` says why no deletion was marked, of `unsure` completions nobody
    can say (the server would not list their second whole, or their time is unknown), `still_there` answer to their id without being listed."""

    listed: int = 0
    deleted: int = 0
    still_there: int = 0
    unsure: int = 0
    expired: int = 0
    doubt: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self, returned: int) -> str:
        """What a person wants to know of it; `returned` completions were marked as deleted and are listed again."""
        found = [
            (self.deleted, "deleted at the API and marked so"),
            (returned, "no longer marked as deleted, being listed again"),
            (self.still_there, "not listed although they answer to their id"),
            (self.unsure, "left as they are, of seconds that were not listed whole or of no time at all"),
            (self.expired, "older than the oldest listed one: expired, not deleted"),
        ]
        parts = [f"{number:,} {what}" for number, what in found if number]
        said = f"Listed again in full, {counted(self.listed, 'completion')}: {'; '.join(parts) or 'none is missing'}."
        if self.doubt is None:
            return said
        return (
            f"{said} No deletion was marked: {self.doubt}. With --full --confirm-deletions each completion that is not "
            f"listed is asked for by its id, and marked where the answer is 404."
        )


def doubt(found: Absence, query: Filter, limit: float) -> str | None:
    """Why this list does not show what was deleted; None: it may be judged by."""
    if query.is_narrow:
        return "a list that is filtered (--model, --metadata) leaves out what it likes"
    if not found.listed and found.absent:
        return "the list is empty, as it is too with a key of another project, or where the organisation keeps no data"
    if not found.known and found.absent + found.expired:
        return f"none of the {found.listed:,} listed completions was known before, as when the key is another project's"
    if found.share > limit:
        whole = found.known + found.absent
        return (
            f"{found.absent:,} of {whole:,} completions ({found.share:.1%}) are not listed any more, and more than "
            f"{limit:.1%} at once (setting deletion_limit) is rather a key or a project that has changed"
        )
    return None
