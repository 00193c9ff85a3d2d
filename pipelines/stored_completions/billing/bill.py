"""What a sync did with the bill, for the run's report."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Bill:
    """Dates are UTC days in ISO 8601. `outcome` is done, nothing_new, failed, or elsewhere: the same bill is
    read with another source. `has_written` says whether anything of it was written."""

    first_date: str | None = None
    last_date: str | None = None
    pages: int = 0
    results: int = 0
    rows_changed: int = 0
    outcome: str = "nothing_new"
    detail: str | None = None
    has_written: bool = False

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "has_written"}

    def sentence(self) -> str:
        if self.outcome == "elsewhere":
            return str(self.detail)
        if self.outcome == "failed":
            beyond = f" beyond {self.last_date}" if self.last_date else ""
            return f"The bill was not read{beyond}: {self.detail}"
        changed = f"{self.rows_changed:,} rows new or changed" if self.rows_changed else "nothing new"
        return f"The bill of {self.first_date} to {self.last_date} (UTC): {changed}."
