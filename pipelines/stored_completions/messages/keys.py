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

_CHECK = b"stored-completions hash_keys"


_ANOTHER = (
    "Hashes of messages are made with another key from now on, as content_key says: threads do not go on from "
    "completions that were read before to those that are read now."
)


def hash_key(
    connection: duckdb.DuckDBPyConnection,
    configured: str | None,
    now: datetime,
    say: Callable[[str], None],
) -> bytes:
    """The key, noted in the warehouse as one in use; the random one is made here, once.

    `say` hears when earlier hashes were made with another.
    """
    salt = None if configured else _salt(connection) or secrets.token_hex(32)
    key = blake2b(configured.encode(), digest_size=32).digest() if configured else bytes.fromhex(salt or "")
    if _note(connection, blake2b(_CHECK, key=key, digest_size=16).hexdigest(), salt, now):
        say(_ANOTHER)
    return key


def _salt(connection: duckdb.DuckDBPyConnection) -> str | None:
    rows = connection.execute("select salt from chat.hash_keys where salt is not null").fetchall()
    return str(rows[0][0]) if rows else None


def _note(connection: duckdb.DuckDBPyConnection, check: str, salt: str | None, now: datetime) -> bool:
    """Notes the key, if it is new; whether it is, and there was another."""
    known = {row[0] for row in connection.execute("select key_check from chat.hash_keys").fetchall()}
    if check in known:
        return False
    connection.execute("insert into chat.hash_keys values (?, ?, ?)", [check, salt, now])
    return bool(known)
