"""Stored BGZF: data in blocks that are not compressed, so that every offset follows from the length of the data.

What is stored together ends at the end of a page. The kernel reads files by pages: if two row groups shared one, who
reads the second would have the first decoded as well. It also reads ahead, from the header into what follows. So the
data after the header can be stored *apart*: then their first bytes are known without them.
"""

from collections.abc import Iterator

from isal.isal_zlib import crc32

from bams3.sources.bgzf import EOF_MARKER, FOOTER, U16

PAGE = 4096
MOST = 45_000
"""Bytes of data in a block: it stays below 64 KiB when it is filled up, with `PAGE` − 1 empty deflate blocks."""
AROUND = 31
"""Bytes of a block beside its data: 18 of the BGZF header, 5 of the deflate block, 8 of the footer."""
LEAD = 15 * PAGE
"""Bytes of empty deflate blocks before data that are stored apart: a page and these are what Linux reads at first."""
FEW = 4000
"""Bytes of data in the block that begins so; it has no room for more."""
_EMPTY = b"\0" + U16.pack(0) + U16.pack(0xFFFF)  # a deflate block without data
_LAST = b"\1" + _EMPTY[1:]  # the same, as the last one
_FOR_EACH = pow(-len(_EMPTY), -1, PAGE)  # empty blocks that fill a page but for one byte, or pages
_STEP = MOST + AROUND
_BEFORE = AROUND - FOOTER.size  # bytes of a block before its data


def stored_size(size: int, *, apart: bool = False) -> int:
    """Return the length in bytes of the stored blocks of `size` bytes of data."""
    around = _around(size, apart)
    return size + around + len(_EMPTY) * _empty(size + around)


def lead_of(size: int) -> bytes:
    """The first bytes of `size` bytes of data that are stored apart, as far as they do not depend on the data."""
    return _before(FEW, LEAD // len(_EMPTY), 0) if size > FEW else b""


def _around(size: int, apart: bool) -> int:
    """Bytes beside the data, but for empty blocks at the end."""
    if apart and size > FEW:
        return LEAD + AROUND * (1 - (FEW - size) // MOST)
    return AROUND * -(-size // MOST)


def _empty(size: int) -> int:
    """How many empty deflate blocks the last block has, so that it ends at the end of a page."""
    return size * _FOR_EACH % PAGE


def stored(
    data: memoryview, start: int = 0, end: int | None = None, *, apart: bool = False
) -> Iterator[bytes | memoryview]:
    """Yield the bytes [start, end) of the stored blocks of `data`, in portions; the data are not copied.

    The checksum of a block is computed only if its footer is among them.
    """
    end = stored_size(len(data), apart=apart) if end is None else end
    empty = _empty(len(data) + _around(len(data), apart))
    first = 0
    if apart and len(data) > FEW:
        yield from _block(data[:FEW], start, end, LEAD // len(_EMPTY), 0)
        data, first = data[FEW:], LEAD + AROUND + FEW
    start, end = max(start - first, 0), end - first
    last = max(-(-len(data) // MOST) - 1, 0)
    for number in range(min(start // _STEP, last), min(-(-end // _STEP), last + 1)):
        block, at = data[number * MOST : (number + 1) * MOST], number * _STEP
        yield from _block(block, start - at, end - at, 0, empty if number == last else 0)


def _block(data: memoryview, start: int, end: int, lead: int, empty: int) -> Iterator[bytes | memoryview]:
    """Yield the bytes [start, end) of a block. `lead`, `empty`: numbers of empty deflate blocks before and after."""
    at = _BEFORE + len(_EMPTY) * lead
    if start < at:
        yield _before(len(data), lead, empty)[max(start, 0) : max(end, 0)]
    if start <= at and at + len(data) <= end:
        yield data
    elif start < at + len(data) and at < end:
        yield data[max(start - at, 0) : end - at]
    at += len(data)
    if at < end:
        yield _after(data, empty)[max(start - at, 0) : end - at]


def _before(size: int, lead: int, empty: int) -> bytes:
    """The bytes before the data of a block. Data come first where programs look at them to find out what a file is."""
    length = size + len(_EMPTY) * (lead + empty) + AROUND
    return b"".join(
        (
            EOF_MARKER[:16],
            U16.pack(length - 1),
            _EMPTY * lead,
            b"\0" if empty else b"\1",
            U16.pack(size),
            U16.pack(size ^ 0xFFFF),
        )
    )


def _after(data: memoryview, empty: int) -> bytes:
    """The bytes after the data of a block: empty deflate blocks, and the footer."""
    padding = _EMPTY * (empty - 1) + _LAST if empty else b""
    return padding + FOOTER.pack(crc32(data), len(data))
