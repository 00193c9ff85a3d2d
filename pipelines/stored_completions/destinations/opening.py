"""The destination that is meant, with what it needs imported only then."""

from pathlib import Path

from stored_completions.destinations.base import Destination
from stored_completions.destinations.kinds import Target, check_installed


def opened(target: Target, folder: Path | None = None) -> Destination:
    """Not connected yet; UsageError for what is not installed or not configured. `folder` is where packages may be made
    on their way, by those that need one."""
    check_installed(target)
    if target.goes_through_dlt:
        from stored_completions.destinations.any_sql import AnySql

        return AnySql(target, folder)
    if target.name == "filesystem":
        from stored_completions.destinations.delta import Delta

        return Delta(target)
    if target.name == "ducklake":
        from stored_completions.destinations.ducklake import DuckLake

        return DuckLake(target)
    from stored_completions.destinations.postgres import Postgres

    return Postgres(target)
