"""A single object in memory: bytes, or the data from a pipe."""

import errno
import os
import stat
import sys
from collections.abc import Sequence
from typing import Any

from bams3.named import opened
from bams3.standard_input import NAMES, take
from bams3.storage import LARGEST
from bams3.untrusted import read_all


class MemoryObject:
    """The reading methods of `Storage` for a single object. Every path leads to it."""

    def __init__(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """`name`: name of the object in messages. `data`: its bytes."""
        self.root, self._data = name, memoryview(data)

    def get_range(self, path: str, start: int, length: int) -> bytes:
        return bytes(self._data[start : start + length])

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        return [self._data[start : start + length] for start, length in ranges]

    def size(self, path: str) -> int:
        return len(self._data)


def is_stream(path: str) -> bool:
    """Tell whether a local path can be read only once, from its beginning: standard input, a pipe or a device."""
    if path in NAMES:
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def read_stream(path: str) -> MemoryObject:
    """Read a stream (see `is_stream`) to its end.

    Raises OSError if it has more than LARGEST bytes, and UsageError if it is standard input and was read before.
    """
    if take(path):
        return of_file(sys.stdin.buffer, "/dev/stdin")
    with opened(path, "rb") as file:
        return of_file(file, path)


def of_file(file: Any, name: str) -> MemoryObject:
    """Read an open binary file to its end. Raises OSError if it has more than LARGEST bytes."""
    try:
        return MemoryObject(name, read_all(file, LARGEST))
    except ValueError:
        raise OSError(
            errno.EFBIG, f"more than {LARGEST} bytes, more than such a file can have", name
        ) from None
