"""Writing of BGZF, the blocked gzip format of BAM files and of indexed text."""

import zlib
from typing import Any, BinaryIO

from isal import isal_zlib

from bams3.sources.bgzf import EOF_MARKER, FOOTER, U16

MAX_INPUT = 65280
"""Greatest number of bytes of data in a block, as in bgzip. Even uncompressed, they fit in a block of 65,536 bytes."""


class BlockWriter:
    """Writes BGZF blocks to a binary file. `close` writes the last blocks, but does not close the file."""

    def __init__(self, file: BinaryIO, level: int = 6) -> None:
        self._file = file
        self._level = level
        self._pending = bytearray()

    def write(self, data: Any) -> None:
        """Append bytes."""
        self._pending += data
        whole = len(self._pending) - len(self._pending) % MAX_INPUT
        if whole:
            with memoryview(self._pending) as view:
                for start in range(0, whole, MAX_INPUT):
                    self._file.write(compress_block(view[start : start + MAX_INPUT], self._level))
            del self._pending[:whole]

    def close(self) -> None:
        """Write the pending bytes and the end-of-file marker."""
        if self._pending:
            self._file.write(compress_block(self._pending, self._level))
            self._pending.clear()
        self._file.write(EOF_MARKER)

    def __enter__(self) -> "BlockWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()


def compress_block(data: Any, level: int) -> bytes:
    """Compress at most `MAX_INPUT` bytes to one BGZF block. Level 0 only stores; 1 to 3 use ISA-L, 4 to 9 zlib."""
    return b"".join(block_parts(data, level))


def block_parts(data: Any, level: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the same block as consecutive parts."""
    if len(data) > MAX_INPUT:
        raise ValueError(f"a BGZF block holds at most {MAX_INPUT} bytes, not {len(data)}")
    deflated = _deflate(data, level)
    if len(deflated) > len(data) + 5:
        deflated = _deflate(data, 0)
    size = U16.pack(18 + len(deflated) + 8 - 1)
    footer = FOOTER.pack(isal_zlib.crc32(data), len(data))
    return EOF_MARKER[:16], size, deflated, footer


def _deflate(data: Any, level: int) -> bytes:
    if level == 0:
        return b"".join((b"\x01", U16.pack(len(data)), U16.pack(len(data) ^ 0xFFFF), data))
    if level <= 3:
        deflated: bytes = isal_zlib.compress(data, level, -15)
        return deflated
    return zlib.compress(data, level, -15)
