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
_BEFORE = AROUND - FOOTER.size  # bytes of a block before its data


def stored_size(size: int) -> int:
    """Return the length in bytes of the stored blocks of `size` bytes of data."""
    return size + AROUND * -(-size // MOST) + len(_EMPTY) * _empty(size)


def _empty(size: int) -> int:
    """How many empty deflate blocks the last block has, so that it ends at the end of a page."""
    return (size + AROUND * -(-size // MOST)) * pow(-len(_EMPTY), -1, PAGE) % PAGE


def stored(data: memoryview, start: int = 0, end: int | None = None) -> Iterator[bytes | memoryview]:
    """Yield the bytes [start, end) of the stored blocks of `data`, in pieces; the data are not copied.

    The checksum of a block is computed only if its footer is among them.
    """
    end = stored_size(len(data)) if end is None else end
    last = max(-(-len(data) // MOST) - 1, 0)
    for number in range(min(start // _STEP, last), min(-(-end // _STEP), last + 1)):
        block = data[number * MOST : (number + 1) * MOST]
        empty = _empty(len(data)) if number == last else 0
        at = number * _STEP
        if start < at + _BEFORE:
            yield _before(len(block), empty)[max(start - at, 0) : end - at]
        at += _BEFORE
        if start <= at and at + len(block) <= end:
            yield block
        elif start < at + len(block) and at < end:
            yield block[max(start - at, 0) : end - at]
        at += len(block)
        if at < end:
            yield _after(block, empty)[max(start - at, 0) : end - at]


def _before(size: int, empty: int) -> bytes:
    """The bytes before the data of a block; these come first, since programs look at the first bytes of a file to find
    out what it is."""
    length = size + len(_EMPTY) * empty + AROUND
    return b"".join(
        (
            EOF_MARKER[:16],
            U16.pack(length - 1),
            b"\0" if empty else b"\1",
            U16.pack(size),
            U16.pack(size ^ 0xFFFF),
        )
    )


def _after(data: memoryview, empty: int) -> bytes:
    """The bytes after the data of a block: empty deflate blocks, and the footer."""
    padding = _EMPTY * (empty - 1) + _LAST if empty else b""
    return padding + FOOTER.pack(crc32(data), len(data))
