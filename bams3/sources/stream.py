"""From a stream of inflated BAM bytes to its header and blocks of records."""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

from isal import igzip_lib

from bams3.errors import SourceError
from bams3.sources.header import Header, bytes_needed
from bams3.sources.records import RecordBlock, check_order, walk

BLOCK_BYTES = 4 << 20
HEADER_BYTES = 1 << 16


class Reader(Protocol):
    """What gives inflated bytes: `bgzf.BlockReader`, or one of those below."""

    name: str

    def read(self, size: int, before: bytes = b"") -> bytes:
        """`before`, then the next `size` bytes or a little more; fewer only at the end."""


class PlainReader:
    """Reads a file of bytes that are not BGZF: raw, or through a file object that inflates gzip."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._file = file

    def read(self, size: int, before: bytes = b"") -> bytes:
        parts, length = [before], 0
        try:
            while length < size and (part := self._file.read(size - length)):
                parts.append(part)
                length += len(part)
        except (OSError, EOFError, ValueError, igzip_lib.IsalError) as error:  # type: ignore[misc]
            raise SourceError(f"{self.name}: {error}") from None
        return b"".join(parts)


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


def read_header(reader: Reader) -> tuple[Header, bytes]:
    """The BAM header at the start of a stream, and the bytes after it that were read with it."""
    data = reader.read(HEADER_BYTES)
    while len(data) < (size := bytes_needed(data)):
        longer = reader.read(max(size - len(data), HEADER_BYTES), data)
        if len(longer) == len(data):
            break
        data = longer
    try:
        header = Header.from_bam(data)
    except SourceError as error:
        raise SourceError(f"{reader.name}: {error}") from None
    return header, data[len(header.to_bam()) :]


def record_blocks(reader: Reader, header: Header, rest: bytes = b"") -> Iterator[RecordBlock]:
    """Blocks of the records in `rest` and all that the reader gives after it, each validated and in order."""
    count, place, size = 0, (0, -1), BLOCK_BYTES
    while True:
        data = reader.read(size, rest)
        ended = len(data) - len(rest) < size
        try:
            block, used = walk(data, len(header.references), 0, count)
            place = check_order(block, *place, count, header.references)
        except SourceError as error:
            raise SourceError(f"{reader.name}: {error}") from None
        if len(block):
            yield block
        count += len(block)
        rest = data[used:]
        if ended:
            break
        size = max(BLOCK_BYTES, len(rest))  # a record larger than a block: twice as much each time
    if rest:
        raise SourceError(f"{reader.name}: the file is truncated within record {count + 1}")
