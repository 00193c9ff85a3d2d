"""Signs that somebody wrote to the published copy, which is made for reading: its mode says so, 0444.

What they wrote is theirs and not the API's; it is gone with the next copy.
"""

from collections.abc import Iterator
from pathlib import Path

from stored_completions.warehouse import Files, wal

_HEADERS = 3 * 4096  # of a DuckDB file: every checkpoint changes them


def was_written(files: Files) -> bool:
    """Whether the copy is not, or is not alone, what was published."""
    return files.published.exists() and (wal(files.published).exists() or _has_changed(files))


def signs(files: Files) -> Iterator[str]:
    """What can be seen of it, a sentence each, with what becomes of it."""
    remedy = "Open it read-only: what is written there is gone when the next copy is published."
    if files.published.stat().st_mode & 0o222:
        yield f"{files.published} was made writable (its mode should be 0444). {remedy}"
    if wal(files.published).exists():
        yield (
            f"{wal(files.published)} was left by somebody who opened the published copy for writing. {remedy} The next "
            f"sync publishes anew, without it."
        )
    if _has_changed(files):
        yield f"{files.published} was written to after it was published. {remedy} The next sync publishes anew."


def _has_changed(files: Files) -> bool:
    """As the working file tells, of which the copy was made, as long as it did not go ahead itself."""
    if files.unpublished.exists() or not files.working.exists():
        return False
    return _headers(files.published) != _headers(files.working)


def _headers(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADERS)
