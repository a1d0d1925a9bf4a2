"""Stored BGZF: data in blocks that are not compressed, so that every offset follows from the length of the data."""

from collections.abc import Iterator

from isal.isal_zlib import crc32

from bams3.output.bgzf import MAX_INPUT
from bams3.sources.bgzf import EOF_MARKER, FOOTER, U16

AROUND = 31
"""Bytes of a block beside its data: 18 of the BGZF header, 5 of the deflate block, 8 of the footer."""


def stored_size(size: int) -> int:
    """Return the length in bytes of the stored blocks of `size` bytes of data."""
    return size + AROUND * -(-size // MAX_INPUT)


def stored(data: memoryview, start: int = 0, end: int | None = None) -> Iterator[bytes | memoryview]:
    """Yield the bytes [start, end) of the stored blocks of `data`, in pieces; the data are not copied."""
    end = stored_size(len(data)) if end is None else end
    step = MAX_INPUT + AROUND
    for block in range(start // step, -(-end // step)):
        at = block * step
        for piece in _block(data[block * MAX_INPUT : (block + 1) * MAX_INPUT]):
            if at < end:
                yield piece[max(start - at, 0) : end - at]
            at += len(piece)
            if at >= end:
                break


def _block(data: memoryview) -> Iterator[bytes | memoryview]:
    size = len(data)
    yield EOF_MARKER[:16] + U16.pack(size + AROUND - 1) + b"\x01" + U16.pack(size) + U16.pack(size ^ 0xFFFF)
    yield data
    yield FOOTER.pack(crc32(data), size)
