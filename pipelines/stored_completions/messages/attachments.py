"""Images and files that messages carry as `data:` URLs, 100s of kB each and sent again with every turn.

They can be kept where they are, kept once under the SHA-256 of their bytes, or dropped. What stands in
their place says which: `data:image/png;sha256,<digest>`, or `data:image/png;dropped,<bytes>`. Only a URL
that can be put together again to the letter is taken out to be kept once.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

KEEP, DROP, ONCE = IMAGES = ("keep", "drop", "once")

_URL = re.compile(
    rb'("(?:url|file_data)"\s*:\s*"data:)([^",;\\]*(?:;[^",;\\]+)*?);base64,([A-Za-z0-9+/=\\]*)"'
)


@dataclass(frozen=True)
class Attachment:
    """What was taken out of a message."""

    sha256: str
    media_type: str
    data: bytes


def taken_out(raw: bytes, images: str) -> tuple[bytes, list[Attachment]]:
    """The JSON of a message's parts as it is to be stored, and what was taken out to be kept once."""
    if images == KEEP or b";base64," not in raw:
        return raw, []
    found: list[Attachment] = []
    return _URL.sub(_dropped if images == DROP else _kept_once(found), raw), found


def _dropped(match: "re.Match[bytes]") -> bytes:
    data = match[3].replace(b"\\", b"").rstrip(b"=")
    return b'%b%b;dropped,%d"' % (match[1], match[2], len(data) * 3 // 4)


def _kept_once(found: list[Attachment]) -> "Callable[[re.Match[bytes]], bytes]":
    def replaced(match: "re.Match[bytes]") -> bytes:
        data = _decoded(match[3])
        if data is None:
            return match[0]
        attachment = Attachment(sha256(data).hexdigest(), match[2].decode(), data)
        found.append(attachment)
        return b'%b%b;sha256,%b"' % (match[1], match[2], attachment.sha256.encode())

    return replaced


def _decoded(encoded: bytes) -> bytes | None:
    """The bytes, if they have no other spelling."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data) == encoded else None
