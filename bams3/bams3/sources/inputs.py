"""What sources of alignments give, whatever their format is, and what they read: protocols, and the errors of all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, TypeVar

from bams3.errors import SourceError

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.bam.records import RecordBlock

Item = TypeVar("Item")
Result = TypeVar("Result")
MAX_SMALL = 1 << 30
"""Bytes of a file that is read at once, at most."""


class Mapper(Protocol):
    """The built-in map, or what does the same by several threads: results in the order of the items."""

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]: ...


class IndexCounts(NamedTuple):
    """How many records an index says there are."""

    references: list[tuple[int, int]]
    """(mapped, unmapped) records of each reference."""
    unplaced: int | None
    """Records with no reference; None if the index does not say."""
    outdated: bool = False
    """Whether the index is older than the file."""


class Source(Protocol):
    """Alignments sorted by coordinate; `bams3.sources.bam.open_source` opens one.

    Every block's records are validated and in order; SourceError, with the file's name, if they are not.
    `mapper` inflates what needs inflating.
    """

    path: str
    header: "Header"
    truncated: bool
    """Whether the file, as far as it was read, turned out to lack the marker of its end, as was allowed."""

    def blocks(self, mapper: Mapper = map) -> Iterator["RecordBlock"]:
        """All records, in the file's order, in blocks of about 1 MB (or one record, if that is larger)."""

    def window(
        self, reference_id: int, start: int, end: int, mapper: Mapper = map
    ) -> Iterator["RecordBlock"]:
        """The records that start in [start, end), 0-based, found through the index.

        Records with a reference but no position (POS 0 in SAM) belong to the window that starts at 0.
        Raises SourceError if there is no index, or it is another file's.
        """

    def unplaced(self, mapper: Mapper = map) -> Iterator["RecordBlock"]:
        """The records with no reference, found through the index."""

    def will_read(self, windows: Sequence[tuple[int, int, int]]) -> None:
        """The windows (reference id, start, end) that will be asked for next, in this order: a file in an object
        store may fetch ahead. A reference id of -1 stands for the records with none. Raises SourceError as `window`
        does."""

    def counts(self) -> IndexCounts | None:
        """What the index says; None without an index or where it does not say."""

    def sizes(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        """About how many bytes of the file each window has, by the index; all 0 where that does not tell.

        `windows`: (reference id, start, end), 0-based; a reference id of -1 stands for the records with none.
        """

    def close(self) -> None: ...

    def __enter__(self) -> "Source": ...

    def __exit__(self, *_: object) -> None: ...


class Input(Protocol):
    """A file to read, as often as wanted unless `once`; `input_at` gives one."""

    path: str
    """As it was given: a URI may hold what is secret."""
    name: str
    """To be shown: a path, or a URI without user, password and query."""
    remote: bool
    once: bool
    """Whether it can be opened only once: a pipe, say."""

    def open(self, start: int = 0, end: int | None = None) -> BinaryIO:
        """The file from byte `start` on; nothing from `end` on will be asked for. Raises SourceError.

        The object given reads and seeks, and raises SourceError for what the storage can't do. A read may give
        less than was asked for; nothing only at the end.
        """
        ...

    def will_read(self, spans: Sequence[tuple[int, int]]) -> None:
        """The bytes [start, end) that will be asked for next, in this order: they may be fetched ahead."""
        ...

    def size(self) -> int:
        """In bytes. Raises SourceError."""
        ...

    def modified(self) -> float | None:
        """Time of last change, in seconds since the epoch; None where that is the time of a copy."""
        ...

    def read_small(self) -> bytes:
        """All bytes of a small file, such as an index. Raises OSError, and SourceError above MAX_SMALL."""
        ...

    def close(self) -> None: ...


def source_error(error: OSError) -> SourceError:
    """The same error, as the sources raise it."""
    return SourceError(f"{error.filename}: {error.strerror}")


def check_small(name: str, size: int) -> None:
    """Raises SourceError if a file of `size` bytes is too large to be read at once."""
    if size > MAX_SMALL:
        raise SourceError(f"{name}: it is larger than {MAX_SMALL >> 20} MiB, which no index is")
