"""The key of the hashes of messages and answers: the configured `content_key`, else a random one of the warehouse.

The configured key is kept nowhere, so its hashes say nothing to whoever has the file, and they stay the
same on every machine and for every warehouse that is given it. The random one stands in the warehouse
itself, and so stays with it wherever it goes: that is safe only while the content is there as well, so
where a policy leaves content out and no key is configured, there are no hashes of that content.
"""

import secrets
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b

import duckdb

from stored_completions.errors import UsageError

_CHECK = b"stored-completions hash_keys"


_ANOTHER = (
    "Hashes of messages are made with another key from now on, as content_key says: threads do not go on from "
    "completions that were read before to those that are read now."
)


def check(connection: duckdb.DuckDBPyConnection | None, configured: str | None) -> None:
    """Raises UsageError if messages were read, and hashed with another key than would be used now."""
    newest = _newest(connection) if connection is not None else None
    if connection is None or newest is None or not _has_prompts(connection):
        return
    salt = None if configured else _salt(connection)
    if (configured is None and salt is None) or newest != _check_of(_key(configured, salt)):
        raise UsageError(
            "content_key is another one than the hashes of messages were made with: threads and prompts would not go "
            "on from what was read before. Set the former key again (none, if there was none), or go on with the new "
            "one, with --change-policy; for one key throughout, sync into a new warehouse."
        )


def hash_key(
    connection: duckdb.DuckDBPyConnection,
    configured: str | None,
    now: datetime,
    say: Callable[[str], None],
) -> bytes:
    """The key, noted in the warehouse as the one in use; the random one is made here, once.

    `say` hears when earlier hashes were made with another.
    """
    salt = None if configured else _salt(connection) or secrets.token_hex(32)
    key = _key(configured, salt)
    if _note(connection, _check_of(key), salt, now):
        say(_ANOTHER)
    return key


def _key(configured: str | None, salt: str | None) -> bytes:
    return blake2b(configured.encode(), digest_size=32).digest() if configured else bytes.fromhex(salt or "")


def _check_of(key: bytes) -> str:
    return blake2b(_CHECK, key=key, digest_size=16).hexdigest()


def _salt(connection: duckdb.DuckDBPyConnection) -> str | None:
    rows = connection.execute("select salt from chat.hash_keys where salt is not null").fetchall()
    return str(rows[0][0]) if rows else None


def _newest(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The key that was taken into use last; None also in a warehouse that knows of none."""
    try:
        rows = connection.execute(
            "select key_check from chat.hash_keys order by first_used_at desc limit 1"
        ).fetchall()
    except duckdb.CatalogException:
        return None
    return str(rows[0][0]) if rows else None


def _has_prompts(connection: duckdb.DuckDBPyConnection) -> bool:
    """Not so in a file whose first load was cut: it has no tables yet."""
    try:
        return bool(connection.execute("select 1 from chat.prompts limit 1").fetchall())
    except duckdb.CatalogException:
        return False


def _note(connection: duckdb.DuckDBPyConnection, check: str, salt: str | None, now: datetime) -> bool:
    """Notes the key as the newest, if it is not that already; whether it is, and there was another."""
    newest = _newest(connection)
    if check == newest:
        return False
    connection.execute("delete from chat.hash_keys where key_check = ?", [check])
    connection.execute("insert into chat.hash_keys values (?, ?, ?)", [check, salt, now])
    return newest is not None
