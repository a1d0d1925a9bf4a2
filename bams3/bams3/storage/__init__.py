"""Bytes at a URI: read, read ranges, write whole or not at all, list, delete.

`open_storage(uri)` gives a `Storage` rooted at a dataset (or any prefix); its paths are relative,
with "/" between components. Nothing here knows genomics. docs/object-storage.md is for users.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from bams3.errors import UsageError

LARGEST = 1 << 30  # bytes of an object that is read whole


class Storage(Protocol):
    """What a place for objects can do; safe to call from many threads.

    A missing object raises FileNotFoundError, a refusal PermissionError, any other failure OSError; each with
    `filename` (a path or URI, without secrets) and one line in `strerror`. Nothing is kept of what was read, so
    reading again, as one does where a checksum does not match, fetches again.
    """

    root: str
    """The place, to be shown: a path, or a URI without user, password and query."""

    def get(self, path: str) -> bytes:
        """All bytes of an object. Raises OSError if those are more than LARGEST."""
        ...

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """`length` bytes from offset `start`, fewer where the object ends before."""
        ...

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """The bytes of many (start, length) of one object, in the order given; each shorter where the object ends.

        They are views of what was fetched, read-only and not copied: the way to read much.
        """
        ...

    def size(self, path: str) -> int:
        """Length of an object in bytes."""
        ...

    def stamp(self, path: str) -> tuple[int, str]:
        """What changes when an object is written again: its length, and its ETag or time."""
        ...

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Path → length in bytes of all objects below a prefix, sorted by path."""
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

    def put_new(self, path: str, data: bytes) -> None:
        """Write an object that must not exist yet: of many writers one succeeds, others get FileExistsError."""
        ...

    def create(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A file to write an object into: it appears whole when the block ends without an exception."""
        ...

    def delete(self, path: str) -> None:
        """Remove an object, if there is one."""
        ...

    def delete_incomplete(self, of: Callable[[str], bool]) -> None:
        """Remove what writers that were killed left of the objects whose paths `of` accepts."""
        ...

    def delete_all(self, paths: Iterable[str]) -> None:
        """Remove objects, those of them that there are, and folders that are empty then."""
        ...

    def links(self) -> Iterator[str]:
        """Paths of the symbolic links below the root; an object store has none."""
        ...


def open_storage(uri: str) -> Storage:
    """The storage behind a URI: s3://, gs://, http(s):// (read-only), file:// or a local path.

    Raises UsageError for another scheme, or where what is needed for it is not installed or not configured.
    """
    if not str(uri):
        raise UsageError("an empty path; give a path or a URI")
    scheme, separator, rest = str(uri).partition("://")
    if separator and scheme in ("s3", "gs", "http", "https"):
        from bams3.storage.remote import RemoteStorage

        return RemoteStorage(uri)
    if separator and scheme != "file":
        raise UsageError(f"{uri}: {scheme}:// is not supported; use s3://, gs://, https:// or a local path")
    from bams3.storage.local import LocalStorage

    return LocalStorage(rest if separator else str(uri))


def open_object(uri: str) -> tuple[Storage, str]:
    """The storage that an object's URI lies in, and the object's path there."""
    place, mark, query = (
        str(uri).partition("?") if str(uri).startswith(("http://", "https://")) else (str(uri), "", "")
    )
    folder, slash, name = place.rpartition("/")
    return open_storage((folder or slash or ".") + mark + query), name


def is_remote(uri: str) -> bool:
    """Does the URI name something that is not a file of this machine?"""
    return "://" in str(uri) and not str(uri).startswith("file://")
