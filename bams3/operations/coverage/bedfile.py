"""BED files as mosdepth writes them: bgzipped, with a CSI index beside them."""

from __future__ import annotations

from typing import BinaryIO

from bams3.operations.coverage.bed import BedText
from bams3.sources.bgzf import MAX_INPUT, BlockWriter

LEVEL = 1
PIECE = 1 << 20


class _Blocks:
    """A file that notes where each write to it begins; `BlockWriter` writes one block at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.offsets = [0]

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self.offsets.append(self.offsets[-1] + len(data))
        return len(data)


class BedFile:
    """A BED file being written to two open binary files; add lines to ``text``, in order of position.

    ``levels`` is of the index: see `bed.levels_for`.
    """

    def __init__(self, data: BinaryIO, index: BinaryIO, levels: int, header: bytes = b"") -> None:
        self.text = BedText(levels, header)
        self._blocks = _Blocks(data)
        self._writer = BlockWriter(self._blocks, LEVEL)  # type: ignore[arg-type]
        self._index = index

    def spill(self) -> None:
        """Compress and write the text if there is much of it."""
        if self.text.pending >= PIECE:
            self._writer.write(self.text.take())

    def close(self) -> None:
        """Write what is left and the index; the files stay open."""
        self._writer.write(self.text.take())
        self._writer.close()
        with BlockWriter(self._index, LEVEL) as writer:
            writer.write(self.text.csi(self._blocks.offsets, MAX_INPUT))
