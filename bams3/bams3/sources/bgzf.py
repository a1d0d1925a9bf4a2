"""Reading of BGZF, the blocked gzip format of BAM files, from any virtual offset.

A virtual offset is `compressed offset of a block << 16 | offset within the inflated block`.
"""

import struct
from array import array
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from isal import isal_zlib

from bams3.errors import SourceError
from bams3.sources.blocks import whole_blocks
from bams3.sources.inputs import Mapper

MAX_BLOCK = 1 << 16
"""Maximum size of a block in bytes, both compressed and inflated."""
EOF_MARKER = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
MAGIC = b"\x1f\x8b\x08\x04"
USUAL_EXTRA, USUAL_HEADER = b"\x06\x00BC\x02\x00", 18
"""The extra field of a block that has only BC, and the number of bytes in the header of such a block."""

PLAIN_GZIP = (
    "plain gzip instead of a BGZF block; the file is damaged, or convert it to BGZF with samtools view -b"
)
NOTHING_KNOWN = "no BGZF block here; the file is damaged or not BGZF"
READ_SIZE = 1 << 20
FIRST_PORTION, PORTION_SIZE = 1 << 12, 1 << 20
PORTION_BLOCKS = 1 << 12
"""Maximum number of blocks in a portion, because every block takes memory, even if it is almost empty."""
NO_END = 1 << 64

U16 = struct.Struct("<H")
FOOTER = struct.Struct("<II")


class _BlockRun(NamedTuple):
    """Consecutive blocks that have not been inflated yet."""

    offset: int
    """Offset of the first block in the file."""
    raw: memoryview
    blocks: "array[int]"
    """Size, CRC-32 and inflated length of each block."""
    header: int
    """Number of bytes of each block before its deflated data."""
    wanted: slice
    """The slice of the inflated bytes that is wanted."""


class BlockReader:
    """Inflates a BGZF file from one virtual offset to another, or to the end of the file.

    `file` is a binary file. It must be seekable unless reading starts at its current position (`start_voffset` 0).

    The header, CRC32 and length of every block are checked. At the end of the file there must be an empty block, which
    shows that the file is not truncated; with `allow_truncated`, `truncated` is set if it is missing. Errors are
    SourceErrors that name the file and the compressed offset. At most one block beyond `end_voffset` is read.
    """

    def __init__(
        self, file: BinaryIO, start_voffset: int = 0, end_voffset: int = NO_END, *, name: str = "input",
        allow_truncated: bool | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.truncated = False
        self._allow_truncated = allow_truncated
        self._file = file
        self._end_block, self._end_within = end_voffset >> 16, end_voffset & 0xFFFF
        self._offset = start_voffset >> 16  # offset of _raw in the file
        self._skip = start_voffset & 0xFFFF
        self._raw = memoryview(b"")
        self._at = 0  # offset of the next block in _raw
        self._last_was_empty = False
        self._ended = start_voffset >= end_voffset
        if start_voffset:
            file.seek(self._offset)

    def portions(self, mapper: Mapper = map, made: Callable[[bytes], Any] = bytes) -> Iterator[Any]:
        """The remaining inflated bytes, in portions of about 1 MB; the first portions are smaller.

        `mapper` inflates the portions and calls `made` with each; the results are yielded. With the built-in map,
        nothing is read before it is requested, so another call continues after the last portion that was taken.
        """
        return mapper(lambda run: made(self._inflate(run)), self._runs())

    def _runs(self) -> Iterator[_BlockRun]:
        """Yield the remaining blocks in runs. `_at` is after a run when the run is yielded.

        An error in a block is raised after the blocks before it have been yielded.
        """
        enough = FIRST_PORTION
        while not self._ended:
            offset = self._offset + self._at
            if offset > self._end_block or (offset == self._end_block and self._end_within == 0):
                self._ended = True
            elif not self._fill(18):
                self._finish()
            elif run := self._usual_run(offset, enough):
                yield run
                enough = min(2 * enough, PORTION_SIZE)
            else:
                yield self._next_block(offset)

    def _usual_run(self, offset: int, enough: int) -> _BlockRun | None:
        """Return a run of whole blocks in memory with about `enough` bytes, all wanted; None if there are none."""
        if self._skip:
            return None
        stop = min(self._end_block - self._offset, len(self._raw))
        blocks = whole_blocks(self._raw, self._at, stop, enough, PORTION_BLOCKS)
        if not blocks:
            return None
        self._last_was_empty = not blocks[-1]
        start, self._at = self._at, self._at + sum(blocks[::3])
        return _BlockRun(offset, self._raw[start : self._at], blocks, USUAL_HEADER, slice(None))

    def _next_block(self, offset: int) -> _BlockRun:
        """Check the header and footer of the block at `_at`, and move past it."""
        raw, at = self._raw, self._at
        if raw[at : at + 4] != MAGIC:
            raise self._error(offset, PLAIN_GZIP if raw[at : at + 2] == MAGIC[:2] else NOTHING_KNOWN)
        header, size = self._header_and_size(offset)
        if size < header + 8:
            raise self._error(offset, "the BGZF block is shorter than its header and footer")
        if not self._fill(size):
            raise self._error(offset, "the file is truncated within the block")
        raw, at = self._raw, self._at
        crc32, length = FOOTER.unpack_from(raw, at + size - 8)
        if length > MAX_BLOCK:
            raise self._error(offset, f"the BGZF block claims to hold {length} bytes")
        end = length
        if offset == self._end_block:
            self._ended, end = True, self._end_within
        if not self._skip <= length >= end:
            raise self._error(offset, "a virtual offset points past the end of the block")
        wanted, self._skip = slice(self._skip, end), 0
        self._at = at + size
        self._last_was_empty = not length
        return _BlockRun(offset, raw[at : at + size], array("I", (size, crc32, length)), header, wanted)

    def _inflate(self, run: _BlockRun) -> bytes:
        """Return the inflated bytes of some blocks.

        ISA-L inflates them as one gzip file, which is faster. The class for this is not public, so other versions may
        not have it.
        """
        length = sum(run.blocks[2::3])
        try:
            reader = isal_zlib._GzipReader(run.raw, length // 10 + 1)  # type: ignore[arg-type]
            data: bytes = reader.read(length)  # reads at most ten times the size given above
            if len(data) == length and not reader.read(1):
                return data[run.wanted]  # slicing all bytes makes no copy
        except (AttributeError, TypeError, OSError, EOFError, isal_zlib.error):  # type: ignore[misc]
            pass
        return self._inflate_each(run)[run.wanted]

    def _inflate_each(self, run: _BlockRun) -> bytes:
        """Do the same, block by block. Raises SourceError with the offset of a damaged block."""
        parts = []
        at, header = 0, run.header
        numbers = iter(run.blocks)
        for size, crc32, length in zip(numbers, numbers, numbers, strict=True):
            try:
                data = isal_zlib.decompress(run.raw[at + header : at + size - 8], -15, length or 1)
            except isal_zlib.error as error:  # type: ignore[misc]
                raise self._error(run.offset + at, f"the block cannot be inflated ({error})") from None
            if len(data) != length or isal_zlib.crc32(data) != crc32:
                raise self._error(run.offset + at, "the block's CRC32 or length does not match its data")
            parts.append(data)
            at += size
        return b"".join(parts)

    def _header_and_size(self, offset: int) -> tuple[int, int]:
        """The length of the block's header, and of the whole block."""
        raw, at = self._raw, self._at
        if raw[at + 10 : at + 16] == USUAL_EXTRA:
            return USUAL_HEADER, U16.unpack_from(raw, at + 16)[0] + 1
        header = 12 + U16.unpack_from(raw, at + 10)[0]
        if not self._fill(header):
            raise self._error(offset, "the file is truncated within the block")
        size = _block_size(bytes(self._raw[self._at + 12 : self._at + header]))
        if size is None:
            raise self._error(offset, PLAIN_GZIP)
        return header, size

    def _fill(self, size: int) -> bool:
        """Make `size` bytes of the file, from `_at` on, available in `_raw`; False if the file has fewer."""
        if len(self._raw) - self._at >= size:
            return True
        parts = [bytes(self._raw[self._at :])] if self._at < len(self._raw) else []
        have = sum(map(len, parts))
        self._offset += self._at
        while have < size:
            # After the start of a block, only the bytes that complete it are read, because the two have to be joined.
            wanted = 0 if have else min(READ_SIZE, self._end_block + MAX_BLOCK - self._offset)
            part = self._file.read(max(wanted, size - have))
            if not part:
                break
            parts.append(part)
            have += len(part)
        self._raw, self._at = memoryview(b"".join(parts)), 0
        return have >= size

    def _finish(self) -> None:
        """Check, at the end of the file, that nothing is missing."""
        self._ended = True
        if self._end_block != NO_END >> 16:
            raise self._error(self._offset, "the file ends before a virtual offset")
        if len(self._raw):
            raise self._error(self._offset, "the file is truncated within a block's header")
        self.truncated = not self._last_was_empty
        if self.truncated and not self._allow_truncated:
            raise no_marker(f"{self.name}, compressed offset {self._offset}", "BGZF", self._allow_truncated)

    def _error(self, offset: int, what: str) -> SourceError:
        return SourceError(f"{self.name}, compressed offset {offset}: {what}")


def byte_span(start_voffset: int, end_voffset: int) -> tuple[int, int]:
    """Return the bytes [start, end) of a file that hold the data between two virtual offsets.

    A block takes at most 65,536 bytes. If data of the last block are needed, the span extends this far past its offset.
    """
    return start_voffset >> 16, (end_voffset >> 16) + (MAX_BLOCK if end_voffset & 0xFFFF else 0)


def no_marker(where: str, format: str, allow_truncated: bool | None) -> SourceError:
    """Return the error for a file that ends at a block boundary but without an end-of-file marker.

    `allow_truncated`: None if the caller does not offer the option.
    """
    choice = (
        ""
        if allow_truncated is None
        else "; use bams3 convert --allow-truncated to convert the records it has"
    )
    return SourceError(
        f"{where}: the file ends without {format}'s end-of-file marker; it is truncated{choice}"
    )


def is_bgzf(head: bytes) -> bool:
    """Tell whether a file that starts with `head` (64 KB, or the whole file) is BGZF rather than another format."""
    return (
        head[:4] == MAGIC
        and len(head) >= 12
        and _block_size(head[12 : 12 + U16.unpack_from(head, 10)[0]]) is not None
    )


def _block_size(extra: bytes) -> int | None:
    """The size of a block in bytes, from the BC subfield, which may be anywhere in a gzip header's extra field."""
    field = 0
    while field + 4 <= len(extra):
        if extra[field : field + 4] == b"BC\x02\x00" and field + 6 <= len(extra):
            size: int = U16.unpack_from(extra, field + 4)[0] + 1
            return size
        field += 4 + U16.unpack_from(extra, field + 2)[0]
    return None
