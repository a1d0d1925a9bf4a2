"""The records of a stream of uncompressed BCF, as bcftools writes it, by where they begin."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from bams3.errors import Bams3Error

_BLOCK = 1 << 18
_MAGIC = b"BCF\2\2"
_RECORD = struct.Struct("<IIii")  # length of what samples share, and of the rest; contig, position
_LENGTHS = 8  # bytes of both lengths

Position = tuple[int, int]
"""(number of the contig, position from 0)."""


class Records:
    """`is_done`: nothing is read any more, since a record was beyond what was asked for."""

    def __init__(self, stream: BinaryIO) -> None:
        self.is_done = False
        self._stream = stream

    def within(self, start: Position, end: Position, *, in_order: bool) -> Iterator[bytes]:
        """BCF of the header, and of the records that begin from `start` on and before `end`, in pieces.

        `in_order`: there are no such after one that begins later. Raises Bams3Error for a stream that ends too early.
        """
        magic, length = struct.unpack("<5sI", self._exactly(9))
        if magic != _MAGIC:
            raise Bams3Error("bcftools writes no BCF")
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
