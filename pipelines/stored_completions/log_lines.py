"""A sync's log for machines: one JSON object a line, with `at`, `level`, `event` and `message`.

What it logs is what a person would read: counts, times and sentences, never a key or content.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import Any, TextIO

from stored_completions.errors import StoredCompletionsError
from stored_completions.run_report import Report

_EVERY = 10.0  # seconds between two lines of progress


class LogLines:
    """A watcher that writes lines: progress at most every ten seconds, and every sentence that is said."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._writing = Lock()
        self._began = self._last = time.monotonic()

    def page(self, pages: int, rows: int, newest: int | None) -> None:
        if not self._is_due():
            return
        at = None if newest is None else datetime.fromtimestamp(newest, UTC).isoformat()
        rate = round(rows / (self._last - self._began), 1)
        said = {"pages": pages, "rows": rows, "rows_per_second": rate, "newest_created_at": at}
        self._write("info", "progress", f"{rows:,} rows in {pages:,} pages", **said)

    def asked(self, done: int, ids: int) -> None:
        if self._is_due():
            said = f"{done:,} of {ids:,} completions that are not listed asked for"
            self._write("info", "progress", said, asked=done, not_listed=ids)

    def messages(self, done: int, total: int) -> None:
        if self._is_due():
            said = f"input messages of {done:,} completions of {total:,}"
            self._write("info", "progress", said, messages_synced=done, messages_waiting=total)

    def say(self, sentence: str) -> None:
        self._write("warning", "note", sentence)

    def begun(self, sources: Sequence[str]) -> None:
        self._write("info", "started", f"Syncing {', '.join(sources)}", sources=list(sources))

    def ended(self, report: Report) -> None:
        """How the run of one source ended; its failure is an error."""
        if report.failure is not None:
            self.failed(report.failure, source=report.source)
        else:
            sentences = " ".join(report.sentences())
            self._write("info", "ended", sentences, source=report.source, run=report.as_json())

    def failed(self, error: StoredCompletionsError, **more: Any) -> None:
        self._write("error", "failed", str(error), exit_code=error.exit_code, **more)

    def _is_due(self) -> bool:
        now = time.monotonic()
        is_due = now - self._last >= _EVERY
        self._last = now if is_due else self._last
        return is_due

    def _write(self, level: str, event: str, message: str, **more: Any) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": level, "event": event, "message": message, **more}
        with self._writing:
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()


@contextmanager
def logging_to(stream: TextIO) -> Iterator[LogLines]:
    """Lines on the stream while the block runs; an error of ours is its last line, and ends the process."""
    lines = LogLines(stream)
    try:
        yield lines
    except StoredCompletionsError as error:
        lines.failed(error)
        raise SystemExit(error.exit_code) from None
