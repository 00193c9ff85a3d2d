"""The key of the hashes of messages and answers: the configured `content_key`, else a random one of the warehouse.

The configured key is kept nowhere, so its hashes say nothing to whoever has the file, and they stay the
same on every machine and for every warehouse that is given it. The random one stands in the warehouse
itself, and so stays with it wherever it goes: that is safe only while the content is there as well, so
where a policy leaves content out and no key is configured, there are no hashes of that content.
"""

import secrets
from datetime import datetime
from hashlib import blake2b

import duckdb

_CHECK = b"stored-completions hash_keys"


def hash_key(connection: duckdb.DuckDBPyConnection, configured: str | None, now: datetime) -> bytes:
    """The key, noted in the warehouse as the one in use; the random one is made here, once."""
    if configured:
        key = blake2b(configured.encode(), digest_size=32).digest()
        _note(connection, _checked(key), None, now)
        return key
    salt = _salt(connection) or secrets.token_hex(32)
    key = bytes.fromhex(salt)
    _note(connection, _checked(key), salt, now)
    return key


def is_another(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether earlier hashes were made with another key than the newest: threads do not go on across that."""
    rows = connection.execute("select count(*) from chat.hash_keys").fetchall()
    return bool(rows[0][0] > 1)


def _salt(connection: duckdb.DuckDBPyConnection) -> str | None:
    rows = connection.execute("select salt from chat.hash_keys where salt is not null").fetchall()
    return str(rows[0][0]) if rows else None


def _note(connection: duckdb.DuckDBPyConnection, check: str, salt: str | None, now: datetime) -> None:
    connection.execute(
        "insert into chat.hash_keys select ?, ?, ? where ? not in (select key_check from chat.hash_keys)",
        [check, salt, now, check],
    )


def _checked(key: bytes) -> str:
    return blake2b(_CHECK, key=key, digest_size=16).hexdigest()
