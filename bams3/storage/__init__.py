"""Bytes at a URI: read, read a range, write whole or not at all, list, delete.

`open_storage(uri)` gives a `Storage` rooted at a dataset (or any prefix); its paths are relative,
with "/" between components. Nothing here knows genomics.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from bams3.errors import UsageError


class Storage(Protocol):
    """What a place for objects can do. A missing object raises FileNotFoundError."""

    root: str

    def get(self, path: str) -> bytes:
        """All bytes of an object."""
        ...

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """`length` bytes from offset `start`, fewer where the object ends before."""
        ...

    def size(self, path: str) -> int:
        """Length of an object in bytes."""
        ...

    def exists(self, path: str) -> bool:
        """Is there such an object?"""
        ...

    def list(self, prefix: str = "") -> Iterator[str]:
        """Paths of all objects below a prefix, sorted."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Write an object: it appears whole or not at all."""
        ...

    def create(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A file to write an object into: it appears whole when the block ends without an exception."""
        ...

    def delete(self, path: str) -> None:
        """Remove an object, if there is one."""
        ...

    def delete_incomplete(self) -> None:
        """Remove what writers that were killed left behind."""
        ...

    def delete_all(self, prefix: str = "") -> None:
        """Remove all objects below a prefix."""
        ...


def open_storage(uri: str) -> Storage:
    """The storage behind a URI: a local path or file://. Raises UsageError for a scheme that is not supported."""
    scheme, separator, rest = str(uri).partition("://")
    if not separator:
        rest = str(uri)
    elif scheme != "file":
        raise UsageError(f"{uri}: {scheme}:// is not supported in this version; use a local path")
    from bams3.storage.local import LocalStorage

    return LocalStorage(rest)
