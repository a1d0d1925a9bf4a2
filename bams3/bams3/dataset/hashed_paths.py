"""Hashed paths: paths of chunks that tell neither contigs nor positions, for whoever can only list objects.

The key is drawn for each dataset, and only its plan has it. Readers take the paths from the index.
docs/format.md specifies them.
"""

import os
import re

from bams3.dataset import layout

_DIGITS = 32
_HASHED = re.compile(rf"{layout.DATA}/[0-9a-f]{{{_DIGITS}}}\.chunk")


def new_key() -> str:
    """A key that nobody can guess, in hex digits."""
    return os.urandom(32).hex()


def hashed(name: str, key: str) -> str:
    """The start of the HMAC-SHA256 of a name, in hex digits."""
    import hmac

    return hmac.digest(bytes.fromhex(key), os.fsencode(name), "sha256").hex()[:_DIGITS]


def hashed_path(path: str, key: str) -> str:
    """The hashed path of the chunk that has this path otherwise: `data/0123456789abcdef0123456789abcdef.chunk`."""
    return f"{layout.DATA}/{hashed(path, key)}.chunk"


def is_hashed(path: str) -> bool:
    """Whether it is a hashed path."""
    return bool(_HASHED.fullmatch(path))
