"""Hashed paths: paths of chunks that reveal neither contigs nor positions to someone who can only list the objects.

Each dataset has its own random key, which is stored only in its plan. Readers take the paths from the index.
docs/format.md specifies them.
"""

import os
import re

from bams3.dataset import layout

_DIGITS = 32
_HASHED = re.compile(rf"{layout.DATA}/[0-9a-f]{{{_DIGITS}}}\.chunk")


def new_key() -> str:
    """Return a random key of 256 bits, in hex digits."""
    return os.urandom(32).hex()


def hashed(name: str, key: str) -> str:
    """Return the beginning of the HMAC-SHA256 of a name, in hex digits."""
    import hmac

    return hmac.digest(bytes.fromhex(key), os.fsencode(name), "sha256").hex()[:_DIGITS]


def hashed_path(path: str, key: str) -> str:
    """Return the hashed path of a chunk, `data/0123456789abcdef0123456789abcdef.chunk`, from its plain path."""
    return f"{layout.DATA}/{hashed(path, key)}.chunk"


def is_hashed(path: str) -> bool:
    """Tell whether a path is a hashed path."""
    return bool(_HASHED.fullmatch(path))
