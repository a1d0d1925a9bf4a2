"""From a stream of inflated BAM bytes to its header and blocks of records."""

import io
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO, Protocol

from isal import igzip_lib

from bams3.errors import SourceError
from bams3.sources import Mapper
from bams3.sources.bgzf import FIRST_PIECE, PIECE_SIZE
from bams3.sources.header import Header, bytes_needed
from bams3.sources.records import RecordBlock, check_order, walk

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


class PushedBack(io.RawIOBase):
    """A binary file whose first bytes, `head`, were read already and are given again. It can't seek."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not self._head:
            return self._file.read(size)
        size = len(self._head) if size < 0 else size
        part, self._head = self._head[:size], self._head[size:]
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


def read_start(reader: Reader, size: int) -> bytes:
    """The first `size` bytes, and what comes in a piece with them; fewer only if there are no more."""
    data = b""
    for piece in reader.pieces():
        data += piece
        if len(data) >= size:
            break
    return data


def read_header(reader: Reader) -> tuple[Header, bytes]:
    """The BAM header at the start of a stream, and the bytes after it that were read with it."""
    data = b""
    for piece in reader.pieces():
        data += piece
        if len(data) >= bytes_needed(data):
            break
    try:
        header = Header.from_bam(data)
    except SourceError as error:
        raise SourceError(f"{reader.name}: {error}") from None
    return header, data[len(header.to_bam()) :]


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
