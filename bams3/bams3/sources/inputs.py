"""Protocols of sources of alignments in any format, and of the files that they read; errors common to all sources."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, TypeVar

from bams3.errors import SourceError, message_of

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.bam.records import RecordBlock

Item = TypeVar("Item")
Result = TypeVar("Result")
MAX_SMALL = 1 << 30
"""Maximum size in bytes of a file that is read at once."""


class LateDisorderError(SourceError):
    """A record is out of order after others were passed on in input order.

    The source must be read again; then it sorts.
    """


class Mapper(Protocol):
    """The built-in map, or a multithreaded equivalent; results come in the order of the items."""

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]: ...


class IndexCounts(NamedTuple):
    """Numbers of records according to an index."""

    references: list[tuple[int, int]]
    """(mapped, unmapped) records of each reference."""
    unplaced: int | None
    """Number of records without a reference; None if the index does not store it."""
    outdated: bool = False
    """Whether the index is older than the file."""


class Source(Protocol):
    """Alignments. `bams3.sources.bam.open_source` opens a source.

    The records of every block are validated, and must be sorted by coordinate; otherwise, SourceError is raised, which
    names the file. `mapper`, in the methods, inflates compressed data.
    """

    path: str
    header: "Header"

    @property
    def truncated(self) -> bool:
        """Whether the file, as far as it was read, lacks an end-of-file marker (only if that is allowed)."""

    @property
    def once(self) -> bool:
        """Whether all records can be read only once, as from a pipe."""

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator["RecordBlock"]:
        """Yield all records in file order, in blocks of about 1 MB (or of one record, if it is larger).

        If `ordered` is False, the records in the file may be in any order.
        """

    def window(
        self, reference_id: int, start: int, end: int, mapper: Mapper = map
    ) -> Iterator["RecordBlock"]:
        """The records that start in [start, end), 0-based, located by the index.

        Records with a reference but no position (POS 0 in SAM) belong to the window that starts at 0.
        Raises SourceError if there is no index, or if it belongs to another file.
        """

    def unplaced(self, mapper: Mapper = map) -> Iterator["RecordBlock"]:
        """The records without a reference, located by the index."""

    def will_read(self, windows: Sequence[tuple[int, int, int]]) -> None:
        """Announce the windows (reference id, start, end) that will be read next, in this order, so that a file in an
        object store can prefetch them. Reference id -1 stands for the records without a reference. Raises SourceError
        as `window` does."""

    def counts(self) -> IndexCounts | None:
        """Record counts from the index; None without an index, or if it does not store them."""

    def sizes(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        """Approximate size of each window in the file, in bytes, from the index; all 0 if the sizes are unknown.

        `windows`: (reference id, start, end), 0-based; reference id -1 stands for the records without a reference.
        """

    def close(self) -> None: ...

    def __enter__(self) -> "Source": ...

    def __exit__(self, *_: object) -> None: ...


class Input(Protocol):
    """A file that can be read any number of times unless `once`; `input_at` returns one."""

    path: str
    """As the user gave it: a URI may contain secrets."""
    name: str
    """For display: a path, or a URI without user, password and query."""
    remote: bool
    once: bool
    """Whether it can be opened only once, as a pipe."""

    def open(self, start: int = 0, end: int | None = None) -> BinaryIO:
        """Open the file at byte `start`; the caller will not request bytes from `end` on. Raises SourceError.

        The returned object can read and seek, and raises SourceError for storage errors. A read may return
        fewer bytes than requested, but none only at the end.
        """
        ...

    def will_read(self, spans: Sequence[tuple[int, int]]) -> None:
        """Announce the byte ranges [start, end) that will be read next, in this order, so they can be prefetched."""
        ...

    def size(self) -> int:
        """Size in bytes. Raises SourceError."""
        ...

    def modified(self) -> float | None:
        """Modification time, in seconds since the epoch; None if that would be the time of a copy."""
        ...

    def read_small(self) -> bytes:
        """All bytes of a small file, such as an index. Raises OSError, or SourceError above MAX_SMALL."""
        ...

    def close(self) -> None: ...


def source_error(error: OSError) -> SourceError:
    """Convert an OSError to the SourceError that sources raise."""
    return SourceError(message_of(error))


def check_small(name: str, size: int) -> None:
    """Raise SourceError if a file of `size` bytes is too large to be read at once."""
    if size > MAX_SMALL:
        raise SourceError(f"{name}: larger than {MAX_SMALL >> 20} MiB; not an index")
