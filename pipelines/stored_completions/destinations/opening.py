"""The destination that is meant, with what it needs imported only then."""

from stored_completions.destinations.base import Destination
from stored_completions.destinations.kinds import Target, check_installed


def opened(target: Target) -> Destination:
    """Not connected yet; UsageError for what is not installed or not configured."""
    check_installed(target)
    if target.name == "filesystem":
        from stored_completions.destinations.delta import Delta

        return Delta(target)
    from stored_completions.destinations.postgres import Postgres

    return Postgres(target)
