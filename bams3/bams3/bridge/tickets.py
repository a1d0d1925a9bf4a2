"""Signed text: a server accepts text from a client only if the server itself has signed it, and not too long ago."""

import base64
import hmac
import json
import secrets
import time
import zlib
from typing import Any

LIFETIME = 24 * 3600
"""Seconds for which a text is accepted: long enough to read a genome."""


class Signer:
    """Signs with a new random key, so other processes and the next run of the server do not accept its texts."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def sign(self, value: Any) -> str:
        """Return a JSON value as signed text, which consists of letters, digits, `-`, `_` and `.`."""
        text = json.dumps([int(time.time()) + LIFETIME, value], separators=(",", ":"))
        data = _text(zlib.compress(text.encode()))
        return f"{data}.{_text(self._sum(data))}"

    def value(self, text: str) -> Any:
        """Return the value of a text, or None if it was not signed here or has expired."""
        data, _, given = text.partition(".")
        if not hmac.compare_digest(_text(self._sum(data)).encode(), given.encode()):
            return None
        until, value = json.loads(zlib.decompress(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))))
        return value if time.time() < until else None

    def _sum(self, data: str) -> bytes:
        return hmac.digest(self._key, data.encode(), "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
