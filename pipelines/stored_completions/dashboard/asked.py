"""What the page's sections depend on."""

from dataclasses import dataclass

from stored_completions.dashboard.section import Series
from stored_completions.reports.periods import Period

NO_COMPLETIONS = "There are no completions in this period."


@dataclass(frozen=True)
class Asked:
    """What sections depend on: the models' colours, the metadata keys, the days, the length of lists, and content."""

    models: tuple[Series, ...]
    metadata_keys: tuple[str, ...]
    period: Period
    top: int = 10
    with_content: bool = False
