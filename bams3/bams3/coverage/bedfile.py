"""Writing of BED files as mosdepth does: compressed with BGZF, with a CSI index next to them."""

from __future__ import annotations

from array import array
from typing import BinaryIO

from bams3.coverage.bed import BedText
from bams3.output.bgzf import MAX_INPUT, BlockWriter, compress_block
from bams3.sources.bgzf import EOF_MARKER

LEVEL = 1
PORTION = 1 << 20


class BedFile:
    """Writes a BED file and its index to two open binary files. Lines are added to ``text``, in order of position.

    ``levels`` is the number of levels of the index (see `bed.levels_for`).
    """

    def __init__(self, data: BinaryIO, index: BinaryIO, levels: int, header: bytes = b"") -> None:
        self.text = BedText(levels, header)
        self._data, self._index = data, index
        self._offsets = array("Q", [0])

    def spill(self) -> None:
        """Compress and write the pending text if it is long enough."""
        if self.text.pending >= PORTION:
            self._write(self.text.take(MAX_INPUT))

    def close(self) -> None:
        """Write the remaining text and the index; the files stay open."""
        self._write(self.text.take())
        self._data.write(EOF_MARKER)
        with BlockWriter(self._index, LEVEL) as writer:
            writer.write(self.text.csi(self._offsets, MAX_INPUT))

    def _write(self, text: bytes) -> None:
        view = memoryview(text)
        for start in range(0, len(text), MAX_INPUT):
            block = compress_block(view[start : start + MAX_INPUT], LEVEL)
            self._data.write(block)
            self._offsets.append(self._offsets[-1] + len(block))
