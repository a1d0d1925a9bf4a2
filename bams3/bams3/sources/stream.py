"""Parsing of a stream of inflated BAM bytes into the header and blocks of records."""

import io
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple, Protocol

from isal import igzip_lib

from bams3.bam.header import Header, bytes_needed
from bams3.bam.records import RecordBlock, check_order, find_records, walk
from bams3.errors import SourceError
from bams3.sources.bgzf import FIRST_PORTION, PORTION_SIZE
from bams3.sources.inputs import Mapper

LONGEST_HEADER = 1 << 30  # greatest number of bytes of text and references
NO_RECORDS = RecordBlock(b"", array("q", [0]))
FIXED = 36
"""Number of bytes of a record before its name, including block_size."""


class Reader(Protocol):
    """Anything that yields inflated bytes: `bgzf.BlockReader`, or one of the classes below."""

    name: str

    @property
    def truncated(self) -> bool:
        """Whether the file ended without its format's end-of-file marker (only if that is allowed)."""

    def portions(self, mapper: Mapper = map, made: Callable[[bytes], Any] = bytes) -> Iterator[Any]:
        """Yield the remaining bytes, in portions of about 1 MB; the first portions are smaller.

        `mapper` inflates the portions and calls `made` with each; the results are yielded.
        """


class PlainReader:
    """Reads a file that is not BGZF: raw bytes, or a file object that inflates gzip."""

    truncated = False

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._file = file

    def portions(self, mapper: Mapper = map, made: Callable[[bytes], Any] = bytes) -> Iterator[Any]:
        return mapper(made, self._read())

    def _read(self) -> Iterator[bytes]:
        size = FIRST_PORTION
        try:
            while portion := self._file.read(size):
                yield portion
                size = min(2 * size, PORTION_SIZE)
        except (OSError, EOFError, ValueError, igzip_lib.IsalError) as error:  # type: ignore[misc]
            raise SourceError(f"{self.name}: {error}") from None


class ReadAgain(io.RawIOBase):
    """A binary file whose start can be read twice, although the underlying file is read only once.

    Everything that is read before `rewind` is kept, and is returned again after it. The file cannot seek.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._looking = True
        self._seen: list[bytes] = []
        self._again = b""

    def start(self, size: int) -> bytes:
        """Return the first `size` bytes, or all bytes if there are fewer. This must be the first read."""
        head = b""
        while len(head) < size and (part := self._file.read(size - len(head))):
            head += part
        self._again = head
        return head

    def rewind(self) -> None:
        """Restart from the beginning, and stop keeping what is read."""
        self._again = b"".join([*self._seen, self._again])
        self._looking = False
        self._seen.clear()

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self.readall()
        if self._again:
            part, self._again = self._again[:size], self._again[size:]
        else:
            part = self._file.read(size)
        if self._looking:
            self._seen.append(part)
        return part

    def readinto(self, buffer: Any) -> int:
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


def read_header(reader: Reader) -> tuple[Header, bytes]:
    """Read the BAM header at the start of a stream; also return the bytes after it that were read with it."""
    data, needed = bytearray(), 0
    try:
        for portion in reader.portions():
            data += portion
            with _naming(reader):
                if len(data) >= needed and len(data) >= (needed := bytes_needed(data)):
                    break
                if needed > LONGEST_HEADER:
                    raise SourceError(
                        f"the BAM header claims to take at least {needed} bytes; the file is damaged"
                    )
        with _naming(reader):
            return Header.from_bam(data), bytes(memoryview(data)[needed:])
    except MemoryError:
        raise SourceError(
            f"{reader.name}: not enough memory for its BAM header of {needed} bytes or more"
        ) from None


@contextmanager
def _naming(reader: Reader) -> Iterator[None]:
    """Context manager: name the file in errors about a header. Errors of the reader itself already name it."""
    try:
        yield
    except SourceError as error:
        raise SourceError(f"{reader.name}: {error}") from None


class _Portion(NamedTuple):
    """Inflated bytes, and the records that a worker found in them, assuming that one begins where it guessed."""

    data: bytes
    start: int
    """The guessed offset in `data`; -1 if there is none."""
    block: RecordBlock
    """The whole records from `start` on."""
    end: int
    """The end of `block` in `data`."""
    place: tuple[int, int]
    """Reference id and position of its last record."""


def _guessed(data: bytes, n_ref: int, ordered: bool) -> _Portion:
    start = find_records(data, n_ref)
    if start >= 0:
        try:
            block, used = walk(data, n_ref, start)
            return _Portion(data, start, block, start + used, check_order(block) if ordered else (0, -1))
        except SourceError:
            pass  # `record_blocks` raises it again, with the record's number, if the guess was right
    return _Portion(data, -1, NO_RECORDS, 0, (0, -1))


def record_blocks(
    reader: Reader, header: Header, rest: bytes = b"", mapper: Mapper = map, *, ordered: bool = True
) -> Iterator[RecordBlock]:
    """Yield blocks of the records in `rest` and in everything that the reader yields after it.

    The records are validated and, with `ordered`, must be sorted. Raises SourceError otherwise.

    A block holds the whole records of a portion, without copying. A record that continues in the next portion is copied
    to a separate block. The start of the first record in a portion is known only after the portions before it have been
    parsed, so the workers guess it. If a guess was wrong, or a portion has an error, the portion is parsed here.
    """
    count, place = 0, (0, -1)
    n_ref = len(header.references)

    def validated(data: Any, start: int = 0) -> tuple[RecordBlock, int]:
        """Return the whole records from `start` on, and the offset of their end."""
        nonlocal count, place
        try:
            block, used = walk(data, n_ref, start, count)
            if ordered:
                place = _check_order(block, place, count, header)
        except SourceError as error:
            raise SourceError(f"{reader.name}: {error}") from None
        count += len(block)
        return block, start + used

    def accepted(portion: _Portion, start: int) -> tuple[RecordBlock, int]:
        """Like `validated`, but use the records that the worker found if its guess was right, and check the order."""
        nonlocal count, place
        if portion.start != start or not len(portion.block):
            return validated(portion.data, start)
        try:
            if ordered:
                _check_order(portion.block[:1], place, count, header)
        except SourceError as error:
            raise SourceError(f"{reader.name}: {error}") from None
        count, place = count + len(portion.block), portion.place
        return portion.block, portion.end

    begun = bytearray()  # the start of a record that continues in the next portion
    block, used = validated(rest)
    if len(block):
        yield block
    begun += rest[used:]
    for portion in reader.portions(mapper, lambda data: _guessed(data, n_ref, ordered)):
        data, start = portion.data, 0
        while begun and start < len(data):
            end = start + _missing(begun)
            begun += data[start:end]
            start = min(end, len(data))
            if start == end:
                block, used = validated(begun)
                if used:
                    yield block
                    begun = bytearray()
        if not begun:
            block, used = accepted(portion, start)
            if len(block):
                yield block
            begun += data[used:]
    if begun:
        validated(begun)
        raise SourceError(f"{reader.name}: the file is truncated within record {count + 1}")


def _check_order(block: RecordBlock, place: tuple[int, int], count: int, header: Header) -> tuple[int, int]:
    try:
        return check_order(block, *place, count, header.references)
    except SourceError as error:
        raise SourceError(f"{error}; use bams3 convert --sort, or sort it first with samtools sort") from None


def _missing(begun: bytearray) -> int:
    """Return how many bytes of a record are missing or, if its fixed part is incomplete, how many of that part."""
    if len(begun) < FIXED:
        return FIXED - len(begun)
    return max(4 + int.from_bytes(begun[:4], "little") - len(begun), 0)
