"""From a stream of inflated BAM bytes to its header and blocks of records."""

import io
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO, Protocol

from isal import igzip_lib

from bams3.bam.header import Header, bytes_needed
from bams3.bam.records import RecordBlock, check_order, walk
from bams3.errors import SourceError
from bams3.sources.bgzf import FIRST_PIECE, PIECE_SIZE
from bams3.sources.inputs import Mapper

LONGEST_HEADER = 1 << 30  # bytes of text and references
FIXED = 36
"""Bytes of a record before its name, block_size included."""


class Reader(Protocol):
    """What gives inflated bytes: `bgzf.BlockReader`, or one of those below."""

    name: str

    @property
    def truncated(self) -> bool:
        """Whether it ended without the marker of its format's end, as was allowed."""

    def pieces(self, mapper: Mapper = map) -> Iterator[bytes]:
        """The bytes that are left, in pieces of about 1 MB, the first ones smaller. `mapper` inflates them."""


class PlainReader:
    """Reads a file of bytes that are not BGZF: raw, or through a file object that inflates gzip."""

    truncated = False

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._file = file

    def pieces(self, mapper: Mapper = map) -> Iterator[bytes]:
        size = FIRST_PIECE
        try:
            while piece := self._file.read(size):
                yield piece
                size = min(2 * size, PIECE_SIZE)
        except (OSError, EOFError, ValueError, igzip_lib.IsalError) as error:  # type: ignore[misc]
            raise SourceError(f"{self.name}: {error}") from None


class ReadAgain(io.RawIOBase):
    """A binary file whose start can be read for a look, and then again, though the file itself is read once.

    What is read before `rewind` is kept, and given again after it. It can't seek.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._looking = True
        self._seen: list[bytes] = []
        self._again = b""

    def start(self, size: int) -> bytes:
        """The first bytes: `size`, or all that there are. Nothing has been read before."""
        head = b""
        while len(head) < size and (part := self._file.read(size - len(head))):
            head += part
        self._again = head
        return head

    def rewind(self) -> None:
        """From now on read from the start, and keep nothing."""
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
    """The BAM header at the start of a stream, and the bytes after it that were read with it."""
    data, needed = bytearray(), 0
    try:
        for piece in reader.pieces():
            data += piece
            if len(data) >= needed and len(data) >= (needed := bytes_needed(data)):
                break
            if needed > LONGEST_HEADER:
                raise SourceError(f"the BAM header takes at least {needed} bytes, which none does")
        header = Header.from_bam(data)
        return header, bytes(memoryview(data)[needed:])
    except SourceError as error:
        if reader.name in str(error):
            raise
        raise SourceError(f"{reader.name}: {error}") from None
    except MemoryError:
        raise SourceError(f"{reader.name}: no memory for its BAM header of {needed} bytes or more") from None


def record_blocks(
    reader: Reader, header: Header, rest: bytes = b"", mapper: Mapper = map
) -> Iterator[RecordBlock]:
    """Blocks of the records in `rest` and all that the reader gives after it, each validated and in order.

    A block has the whole records of a piece, where they lie; a record that goes over from one piece to
    the next is copied to a block of its own.
    """
    count, place = 0, (0, -1)

    def validated(data: Any, start: int = 0) -> tuple[RecordBlock, int]:
        """The whole records from `start` on, and where they end."""
        nonlocal count, place
        try:
            block, used = walk(data, len(header.references), start, count)
            place = check_order(block, *place, count, header.references)
        except SourceError as error:
            raise SourceError(f"{reader.name}: {error}") from None
        count += len(block)
        return block, start + used

    begun = bytearray()  # a record that goes on in the next piece
    for piece in chain([rest], reader.pieces(mapper)):
        start = 0
        while begun and start < len(piece):
            end = start + _missing(begun)
            begun += piece[start:end]
            start = min(end, len(piece))
            if start == end:
                block, used = validated(begun)
                if used:
                    yield block
                    begun = bytearray()
        if not begun:
            block, used = validated(piece, start)
            if len(block):
                yield block
            begun += piece[used:]
    if begun:
        validated(begun)
        raise SourceError(f"{reader.name}: the file is truncated within record {count + 1}")


def _missing(begun: bytearray) -> int:
    """How much a record lacks: of its fixed part, once that is there of all of it."""
    if len(begun) < FIXED:
        return FIXED - len(begun)
    return max(4 + int.from_bytes(begun[:4], "little") - len(begun), 0)
