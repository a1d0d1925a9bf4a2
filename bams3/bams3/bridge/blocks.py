"""Stored BGZF: data in blocks that are not compressed, so that every offset follows from the length of the data.

What is stored together ends at the end of a page. The kernel reads files by pages: if two row groups shared one, who
reads the second would have the first decoded as well.
"""

from collections.abc import Iterator

from isal.isal_zlib import crc32

from bams3.sources.bgzf import EOF_MARKER, FOOTER, U16

PAGE = 4096
MOST = 45_000
"""Bytes of data in a block: it stays below 64 KiB when it is filled up, with `PAGE` − 1 empty deflate blocks."""
AROUND = 31
"""Bytes of a block beside its data: 18 of the BGZF header, 5 of the deflate block, 8 of the footer."""
_EMPTY = b"\0" + U16.pack(0) + U16.pack(0xFFFF)  # a deflate block without data
_LAST = b"\1" + _EMPTY[1:]  # the same, as the last one
_STEP = MOST + AROUND


def stored_size(size: int) -> int:
    """Return the length in bytes of the stored blocks of `size` bytes of data."""
    return size + AROUND * -(-size // MOST) + len(_EMPTY) * _empty(size)


def _empty(size: int) -> int:
    """How many empty deflate blocks the last block has, so that it ends at the end of a page."""
    return (size + AROUND * -(-size // MOST)) * pow(-len(_EMPTY), -1, PAGE) % PAGE


def stored(data: memoryview, start: int = 0, end: int | None = None) -> Iterator[bytes | memoryview]:
    """Yield the bytes [start, end) of the stored blocks of `data`, in pieces; the data are not copied."""
    end = stored_size(len(data)) if end is None else end
    last = max(-(-len(data) // MOST) - 1, 0)
    for number in range(min(start // _STEP, last), min(-(-end // _STEP), last + 1)):
        at = number * _STEP
        empty = _empty(len(data)) if number == last else 0
        for piece in _block(data[number * MOST : (number + 1) * MOST], empty):
            if at < end:
                yield piece[max(start - at, 0) : end - at]
            at += len(piece)


def _block(data: memoryview, empty: int) -> Iterator[bytes | memoryview]:
    """One block; its data come first, since programs look at the first bytes of a file to find out what it is."""
    size, after = len(data), _EMPTY * (empty - 1) + _LAST if empty else b""
    yield EOF_MARKER[:16] + U16.pack(size + len(after) + AROUND - 1) + (b"\0" if empty else b"\1")
    yield U16.pack(size) + U16.pack(size ^ 0xFFFF)
    yield data
    yield after + FOOTER.pack(crc32(data), size)
