"""The policy as the warehouse records it: what was kept is not loosened by accident."""

from collections.abc import Mapping
from datetime import datetime

import duckdb

from stored_completions.content.groups import GROUPS
from stored_completions.content.policy import ALL, KEEP, KEPT, Policy
from stored_completions.errors import UsageError
from stored_completions.tables import CONTENT_POLICIES

_NEWEST = (
    "select content_group, policy, key_check, changed_at from chat.content_policies"
    " qualify row_number() over (partition by content_group order by changed_at desc) = 1"
)


def recorded(connection: duckdb.DuckDBPyConnection | None) -> dict[str, str]:
    """The policy by group, and `logprobs`; a warehouse of which nothing is recorded keeps everything."""
    return KEPT.said() | {row[0]: row[1] for row in _rows(connection)}


def since(connection: duckdb.DuckDBPyConnection | None) -> datetime | None:
    """Since when it holds: what was read before may be stored with more content, or with less."""
    return max((row[3] for row in _rows(connection)), default=None)


def check(connection: duckdb.DuckDBPyConnection | None, policy: Policy) -> None:
    """Raises UsageError if a sync under this policy would keep more than the warehouse is to keep."""
    before = recorded(connection)
    looser = policy.looser_than(before)
    if looser:
        raise UsageError(
            f"This sync would store more content than the warehouse's recorded policy ({described(before)}) allows: "
            f"of {', '.join(looser)}. Set content and logprobs in .dlt/config.toml to what is recorded, or store more "
            f"of what is read from now on, with --change-policy."
        )
    checks = {row[2] for row in _rows(connection)} - {None}
    if policy.hashes and checks and policy.key_check not in checks:
        raise UsageError(
            "content_key is another one than the warehouse's hashes were made with: new hashes would match none of "
            "them. Set the former key again, or go on with the new one, with --change-policy."
        )


def is_new(connection: duckdb.DuckDBPyConnection | None, policy: Policy) -> bool:
    """Whether this policy differs from the one that is recorded."""
    is_new_key = policy.hashes and policy.key_check not in {row[2] for row in _rows(connection)}
    return is_new_key or recorded(connection) != policy.said()


def record(connection: duckdb.DuckDBPyConnection, policy: Policy, at: datetime) -> None:
    """Writes the policy down, if it is new."""
    if not is_new(connection, policy):
        return
    name = f"chat.{CONTENT_POLICIES.name}"
    connection.register("empty_policies", CONTENT_POLICIES.schema.empty_table())
    connection.execute(f"create table if not exists {name} as from empty_policies")
    connection.unregister("empty_policies")
    rows = [[group, level, at, policy.key_check] for group, level in policy.said().items()]
    connection.executemany(f"insert into {name} values (?, ?, ?, ?)", rows)


def described(said: Mapping[str, str]) -> str:
    """A policy for people: `keep`, `drop, logprobs none` or `answers drop, the rest keep`."""
    levels = {said[group] for group in GROUPS}
    if len(levels) == 1:
        parts = [levels.pop()]
    else:
        parts = [f"{group} {said[group]}" for group in GROUPS if said[group] != KEEP] + ["the rest keep"]
    return ", ".join(parts + ([] if said["logprobs"] == ALL else [f"logprobs {said['logprobs']}"]))


def _rows(connection: duckdb.DuckDBPyConnection | None) -> list[tuple[str, str, str | None, datetime]]:
    if connection is None:
        return []
    try:
        return connection.execute(_NEWEST).fetchall()
    except duckdb.CatalogException:
        return []
