"""Access to objects at a URI: reading objects and ranges of them, writing atomically, listing, and deleting.

`open_storage(uri)` returns a `Storage` rooted at a dataset (or any prefix); its paths are relative, with "/" between
components. Nothing here depends on genomics. Users find a guide in docs/object-storage.md.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from os import PathLike, fsdecode
from typing import Any, BinaryIO, Protocol

from bams3.errors import UsageError

LARGEST = 1 << 30  # maximum bytes of an object that is read as a whole


class Storage(Protocol):
    """The operations of a place that holds objects. Thread-safe.

    A missing object raises FileNotFoundError, denied access PermissionError, and any other failure OSError. The errors
    have `filename` (a path or URI, without secrets), and `strerror` with a single line. Data are not cached, so reading
    again, for example after a checksum mismatch, fetches the data again.
    """

    root: str
    """The place, for messages: a path, or a URI without user, password and query."""

    def get(self, path: str) -> bytes:
        """Return all bytes of an object. Raises OSError if there are more than LARGEST."""
        ...

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """Return `length` bytes from offset `start`, or fewer if the object ends earlier."""
        ...

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Return the bytes of many ranges (start, length) of one object, in order; fewer at the end of the object.

        The results are read-only views of the fetched data, without copying, so this is the way to read large amounts.
        """
        ...

    def size(self, path: str) -> int:
        """Return the length of an object in bytes."""
        ...

    def stamp(self, path: str) -> tuple[int, str]:
        """Return values that change when an object is rewritten: its length, and its ETag or modification time."""
        ...

    def modified(self, path: str) -> float:
        """Return when an object was last written, in seconds since the epoch."""
        ...

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the lengths in bytes of all objects below a prefix, by path, sorted by path."""
        ...

    def exists(self, path: str) -> bool:
        """Tell whether an object exists."""
        ...

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the paths of all objects below a prefix, sorted."""
        ...

    def folders(self) -> Iterator[str]:
        """Yield the names of the folders at the root, sorted."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Write an object atomically."""
        ...

    def put_all(self, objects: Sequence[tuple[str, bytes]]) -> None:
        """Write many small objects, each atomically."""
        ...

    def put_new(self, path: str, data: bytes) -> None:
        """Write an object that must not exist yet. Of several writers, one succeeds; the others get FileExistsError."""
        ...

    def create(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Context manager: yield a file to write; the object appears when the context exits without an exception."""
        ...

    def delete(self, path: str) -> None:
        """Remove an object if it exists."""
        ...

    def delete_incomplete(self, of: Callable[[str], bool]) -> None:
        """Remove incomplete objects that killed writers left, if `of` accepts their paths."""
        ...

    def delete_all(self, paths: Iterable[str]) -> None:
        """Remove the objects that exist among `paths`, and folders that become empty."""
        ...

    def sync(self) -> None:
        """Wait until all that this `Storage` has written and deleted so far, including names, survives a power cut."""
        ...

    def links(self) -> Iterator[str]:
        """Yield the paths of symbolic links below the root; an object store has none."""
        ...


def uri_of(name: Any) -> str:
    """Return a path, which may be any path-like object, or a URI as text. Raises UsageError for other values."""
    if not isinstance(name, str | PathLike):
        raise UsageError(f"{name!r}: not a path or URI; give a str or a path-like object")
    return fsdecode(name)


def open_storage(uri: str) -> Storage:
    """Return the storage for a URI: s3://, gs://, http(s):// (read-only), file:// or a local path.

    Raises UsageError for any other scheme, and if the scheme needs a package or a setting that is missing.
    """
    if not str(uri):
        raise UsageError("the path is empty; give a path or a URI")
    scheme, separator, rest = str(uri).partition("://")
    if separator and scheme in ("s3", "gs", "http", "https"):
        from bams3.storage.remote import RemoteStorage

        return RemoteStorage(uri)
    if separator and scheme != "file":
        raise UsageError(f"{uri}: {scheme}:// is not supported; use s3://, gs://, https:// or a local path")
    from bams3.storage.local import LocalStorage

    return LocalStorage(rest if separator else str(uri))


def open_object(uri: str) -> tuple[Storage, str]:
    """Return the storage that contains the object at a URI, and the path of the object in it."""
    place, mark, query = (
        str(uri).partition("?") if str(uri).startswith(("http://", "https://")) else (str(uri), "", "")
    )
    folder, slash, name = place.rpartition("/")
    return open_storage((folder or slash or ".") + mark + query), name


def is_remote(uri: str) -> bool:
    """Tell whether a URI refers to something other than a local file."""
    return "://" in str(uri) and not str(uri).startswith("file://")
