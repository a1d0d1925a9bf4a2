"""BAI and CSI of a BAM file, made from runs of records (the row groups of a dataset) instead of single records.

A run is indexed as a unit: its bin is the smallest one that contains all its records, and its first virtual offset is
used for all of them. If its tiles are known (`chunk.tiles`), it is cut there into smaller runs.

If there is no linear index, or if a contig has unmapped reads, htslib begins to read where the nearest bin at or before
a region says. So that it does not read earlier runs as well, there are additional bins without reads (landmarks), each
with an empty chunk at the end of a run. `bins` makes both kinds.
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
    """Records of one contig, and the bytes of the BAM file that hold them and no others.

    Attributes
    ----------
    start, end
        The smallest POS, or −1, and the largest end (exclusive), 0-based.
    begin, finish
        The bytes [begin, finish) of the file, which are whole blocks.
    size
        Bytes of the records.
    tiles
        A list as in `chunk.tiles`.
    apart
        Whether the records are stored apart (see `blocks`).
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
        "bai" or "csi". BAI is limited to contigs of `BAI_LONGEST`.
    runs
        The runs of each reference id that has records, in order.
    references
        (name, length in bp) of every contig, by reference id.
    counts
        Numbers of mapped and unmapped records by reference id; −1 is for records with no position.
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
    """The number of levels of bins below the root bin, which must cover all contigs, and reads past their ends."""
    positions = max(
        *(length for _, length in references), *(run.end for found in runs.values() for run in found), 0, 0
    )
    depth = BAI_DEPTH
    while 1 << MIN_SHIFT + 3 * depth < positions:
        depth += 1
    return depth
