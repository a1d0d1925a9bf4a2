"""Selection of records by position from a stream of uncompressed BCF that bcftools writes."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from bams3.errors import Bams3Error

_BLOCK = 1 << 18
_MAGIC = b"BCF\2\2"
_RECORD = struct.Struct("<IIii")  # l_shared, l_indiv, CHROM, POS
_LENGTHS = 8  # bytes of l_shared and l_indiv

Position = tuple[int, int]
"""Index of the contig, and 0-based position."""


class BcfReader:
    """A reader of BCF records. `is_done`: whether reading stopped early, at a record past the requested end."""

    def __init__(self, stream: BinaryIO) -> None:
        self.is_done = False
        self._stream = stream

    def within(self, start: Position, end: Position, *, in_order: bool) -> Iterator[bytes]:
        """Yield, a portion at a time, the BCF header and the records that begin in [start, end).

        `in_order`: the records are sorted, so reading stops at the first one past `end`. Raises Bams3Error if the
        stream ends too early.
        """
        magic, length = struct.unpack("<5sI", self._exactly(9))
        if magic != _MAGIC:
            raise Bams3Error("the output of bcftools is not BCF")
        yield struct.pack("<5sI", magic, length) + self._exactly(length)
        data = b""
        while block := self._stream.read(_BLOCK):
            data += block
            first = at = 0
            while at + _RECORD.size <= len(data):
                shared, rest, *position = _RECORD.unpack_from(data, at)
                after = at + _LENGTHS + shared + rest
                is_past = tuple(position) >= end
                if is_past and in_order:
                    self.is_done = True
                    yield data[first:at]
                    return
                if after > len(data):
                    break
                if is_past or tuple(position) < start:
                    yield data[first:at]
                    first = after
                at = after
            yield data[first:at]
            data = data[at:]
        if data:
            raise Bams3Error("bcftools failed")

    def _exactly(self, length: int) -> bytes:
        if len(data := self._stream.read(length)) < length:
            raise Bams3Error("bcftools failed")
        return data
