"""The bill as a part of a sync: which days to read, slice by slice, each committed before the next.

Figures settle late, so the last day that was read and the three before it are read again. Nothing is
written where nothing changed; how far the bill was read moves on at most once a day.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from stored_completions.billing import storing
from stored_completions.billing.bill import Bill
from stored_completions.billing.reading import Days, read
from stored_completions.billing.reports import COSTS, USAGE, Report, Row
from stored_completions.billing.settings import Billing
from stored_completions.billing.storing import Known
from stored_completions.client import Client
from stored_completions.errors import StoredCompletionsError, WarehouseError
from stored_completions.progress import Watcher
from stored_completions.stop import Stop

if TYPE_CHECKING:
    from stored_completions.session import Session

_AGAIN = timedelta(days=3)
_WITHOUT_COMPLETIONS = timedelta(days=30)
_SLICE = USAGE.most_days


class BillSync:
    """Reads a source's bill into the session's warehouse, where it waits for its turn."""

    def __init__(
        self, billing: Billing, source: str, session: "Session", now: datetime, stop: Stop, watcher: Watcher
    ) -> None:
        self.bill = Bill()
        self._billing = billing
        self._source = source
        self._session = session
        self._now = now
        self._stop = stop
        self._watcher = watcher

    def run(self, client: Client) -> StoredCompletionsError | None:
        """Reads every day that is due; what stopped it, once all before is written."""
        try:
            for days in self._due().slices(_SLICE):
                rows = {
                    report: read(client, report, self._source, days, self._heard) for report in (USAGE, COSTS)
                }
                with self._session.turn:
                    self._take(days, rows)
                if self.bill.outcome == "elsewhere":
                    return None
                if self._stop.is_wanted:
                    raise self._stop.error()
        except WarehouseError:
            raise
        except StoredCompletionsError as error:
            self.bill.outcome, self.bill.detail = "failed", str(error)
            return error
        self.bill.outcome = "done" if self.bill.has_written else "nothing_new"
        return None

    def _due(self) -> Days:
        """From where the figures may still move, or from the beginning if an earlier one is wanted now."""
        today = self._now.astimezone(UTC).date()
        with self._session.turn:
            connection = self._session.store.connection
            known = storing.known(connection, self._source)
            oldest = storing.oldest_day(connection, self._source)
        wanted = self._billing.since or oldest or today - _WITHOUT_COMPLETIONS
        if known and known.first and known.last and known.first <= wanted:
            wanted = min(known.last, today) - _AGAIN
        return Days(min(wanted, today), today)

    def _take(self, days: Days, rows: Mapping[Report, Sequence[Row]]) -> None:
        """Writes what is new of a slice; nothing where another source has this organization's bill."""
        connection = self._session.store.connection
        projects = {row["project_id"] for row in rows[USAGE] if row["project_id"]}
        owner = storing.other_owner(connection, self._source, projects)
        if owner is not None:
            self.bill.outcome = "elsewhere"
            self.bill.detail = (
                f"The bill of this organization is read with source {owner!r} already, and is compared with the "
                f"completions of this one too: it was not read a second time."
            )
            self._note(days, {}, Known(owner, self._billing.project))
            return
        changed = storing.changed(connection, self._source, days, rows)
        noted = self._noted(storing.known(connection, self._source), days)
        self._note(days, rows, noted, is_changed=changed > 0)
        self.bill.rows_changed += changed
        self.bill.first_date = self.bill.first_date or days.first.isoformat()
        self.bill.last_date = days.last.isoformat()

    def _note(
        self, days: Days, rows: Mapping[Report, Sequence[Row]], noted: Known, *, is_changed: bool = False
    ) -> None:
        """Writes rows and note together, if one of them is new."""
        if is_changed or noted != storing.known(self._session.store.connection, self._source):
            storing.write(self._session.write().connection, self._source, days, rows, noted, self._now)
            self.bill.has_written = True

    def _noted(self, known: Known | None, days: Days) -> Known:
        """A bill that is read from an earlier day on is known only as far as that has come."""
        first, last = days.first, days.last
        if known and known.first and known.last and known.first <= first:
            first, last = known.first, max(known.last, last)
        return Known(self._source, self._billing.project, first, last)

    def _heard(self, results: int) -> None:
        self.bill.pages += 1
        self.bill.results += results
        self._watcher.page(self.bill.pages, self.bill.results, None)
