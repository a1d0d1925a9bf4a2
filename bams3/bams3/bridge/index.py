"""BAI and CSI of a BAM file whose records are known by runs: the row groups of a dataset.

A run stands for its records: its bin is the smallest one that holds all of them, and its first virtual offset is taken
for that of each of them. If tiles of it are known (`chunk.tiles`), it is cut there into runs of its own.

htslib begins to read where the nearest bin at or before a region says, if there is no linear index, or if a contig has
unmapped reads. So there are bins without reads where each run is the first one that can be met: otherwise earlier runs
would be read as well. Their chunk is empty, at the end of the run. `bins` makes both kinds.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bams3.bridge.bins import reference
from bams3.bridge.blocks import Stored
from bams3.sources.bgzf import EOF_MARKER
from bams3.sources.index import INT32

MIN_SHIFT = 14  # the smallest bins have 2^14 positions
BAI_DEPTH = 5
BAI_LONGEST = (1 << 29) - 1
"""The longest contig in bp that a BAI file can describe."""


class IndexedRecords(NamedTuple):
    """Records of one contig, and bytes [begin, finish) of the BAM file, whole blocks, that hold them and no others.

    `start`: the smallest POS, or −1; `end`: the largest end, exclusive; 0-based. `size`: bytes of the records; `tiles`:
    a list as in `chunk.tiles`; `apart`: whether the records are stored so.
    """

    start: int
    end: int
    begin: int
    finish: int
    size: int
    tiles: Sequence[int]
    apart: bool


def index_bytes(
    kind: str,
    runs: Mapping[int, Sequence[IndexedRecords]],
    references: Sequence[tuple[str, int]],
    counts: Mapping[int, Sequence[int]],
) -> bytes:
    """Return an index file.

    Parameters
    ----------
    kind
        "bai" or "csi". BAI reaches to `BAI_LONGEST`.
    runs
        The runs of each reference id that has records, in order.
    references
        (name, length in bp) of every contig, by reference id.
    counts
        Numbers of mapped and unmapped records by reference id; −1: those with no position.
    """
    depth = BAI_DEPTH if kind == "bai" else _depth(references, runs)
    parts = [b"BAI\1" if kind == "bai" else struct.pack("<4s3i", b"CSI\1", MIN_SHIFT, depth, 0)]
    parts.append(INT32.pack(len(references)))
    empty = INT32.pack(0) * (2 if kind == "bai" else 1)
    for reference_id in range(len(references)):
        if found := runs.get(reference_id):
            mapped, unmapped = counts[reference_id]
            parts.append(reference(depth, kind == "csi", found, mapped, unmapped))
        else:
            parts.append(empty)
    parts.append(struct.pack("<Q", sum(counts.get(-1, ()))))
    data = b"".join(parts)
    return data if kind == "bai" else bytes(Stored(data)) + EOF_MARKER


def _depth(references: Sequence[tuple[str, int]], runs: Mapping[int, Sequence[IndexedRecords]]) -> int:
    """The number of levels of bins below the one that covers everything: contigs, and reads past their ends."""
    positions = max(
        *(length for _, length in references), *(run.end for found in runs.values() for run in found), 0, 0
    )
    depth = BAI_DEPTH
    while 1 << MIN_SHIFT + 3 * depth < positions:
        depth += 1
    return depth
