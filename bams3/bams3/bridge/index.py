"""BAI and CSI of a BAM file whose records are known by runs: the row groups of a dataset.

A run stands for its records: its bin is the smallest one that holds all of them, and its first virtual offset is taken
for that of each of them.

htslib begins to read where the nearest bin at or before a region says, if there is no linear index, or if a contig has
unmapped reads. So there are bins without reads where each run is the first one that can be met: otherwise earlier runs
would be read as well. Their chunk is empty, at the end of the run.
"""

import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from bams3.bridge.blocks import stored
from bams3.sources.bgzf import EOF_MARKER
from bams3.sources.index import BIN, INT32, first_bin

MIN_SHIFT = 14  # the smallest bins have 2^14 positions
BAI_DEPTH = 5
BAI_LONGEST = (1 << 29) - 1
"""The longest contig in bp that a BAI file can describe."""
_OFFSETS = struct.Struct("<QQ")
_METADATA = struct.Struct("<4Q")


class Run(NamedTuple):
    """Records of one contig, and bytes [begin, finish) of the BAM file, whole blocks, that hold them and no others.

    `start`: the smallest POS, or −1; `end`: the largest end, exclusive; 0-based.
    """

    start: int
    end: int
    begin: int
    finish: int


def index_bytes(
    kind: str,
    runs: Mapping[int, Sequence[Run]],
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
            parts += _reference(kind, depth, found, mapped, unmapped)
        else:
            parts.append(empty)
    parts.append(struct.pack("<Q", sum(counts.get(-1, ()))))
    data = b"".join(parts)
    return data if kind == "bai" else b"".join((*stored(memoryview(data)), EOF_MARKER))


def _depth(references: Sequence[tuple[str, int]], runs: Mapping[int, Sequence[Run]]) -> int:
    """The number of levels of bins below the one that covers everything: contigs, and reads past their ends."""
    positions = max(
        *(length for _, length in references), *(run.end for found in runs.values() for run in found), 0, 0
    )
    depth = BAI_DEPTH
    while 1 << MIN_SHIFT + 3 * depth < positions:
        depth += 1
    return depth


def _reference(kind: str, depth: int, runs: Sequence[Run], mapped: int, unmapped: int) -> Iterable[bytes]:
    header = BIN[kind.upper()]
    bins: dict[tuple[int, int], list[tuple[int, int]]] = {}  # by number, and position at which the bin starts
    linear = array("Q")  # for each 2^14 positions: where records that reach into them, or beyond, begin
    most = 1 << MIN_SHIFT + 3 * depth  # what BAI can't describe is past the end of a contig: in its last bin
    for (least, greatest, begin, finish), after in zip_longest(runs, runs[1:]):
        start = min(max(least, 0), most - 1)
        end = min(max(greatest, start + 1), most)
        alone = len(linear)  # the first window into which no earlier run reaches
        linear.extend([begin << 16] * ((end - 1 >> MIN_SHIFT) + 1 - alone))
        chunks = bins.setdefault(_bin(start, end, depth), [])
        if chunks and chunks[-1][1] == begin:
            chunks[-1] = chunks[-1][0], finish
        else:
            chunks.append((begin, finish))
        for number, at in _landmarks(alone, len(linear) - 1, depth):
            if after is None or after.start >= at:
                bins.setdefault((number, at), [(finish, finish)])
    yield INT32.pack(len(bins) + 1)
    for (number, start), chunks in sorted(bins.items()):
        offset = () if kind == "bai" else (linear[start >> MIN_SHIFT],)
        yield header.pack(number, *offset, len(chunks))
        for begin, finish in chunks:
            yield _OFFSETS.pack(begin << 16, finish << 16)
    yield header.pack(first_bin(depth + 1) + 1, *(() if kind == "bai" else (0,)), 2)
    yield _METADATA.pack(runs[0].begin << 16, runs[-1].finish << 16, mapped, unmapped)
    if kind == "bai":
        yield INT32.pack(len(linear)) + struct.pack(f"<{len(linear)}Q", *linear)


def _landmarks(first: int, last: int, depth: int) -> Iterator[tuple[int, int]]:
    """Yield bins, with the position at which each starts, one of which htslib meets on its way left and up from any
    window of [first, last]: it looks at the bins with the same parent, then at this parent."""
    above = 0
    while first <= last:
        yield first_bin(depth - above) + (first >> 3 * above), first << MIN_SHIFT
        first = ((first >> 3 * above | 7) + 1) << 3 * above
        above += 1


def _bin(start: int, end: int, depth: int) -> tuple[int, int]:
    """The number of the smallest bin that holds [start, end), 0-based, and where it starts."""
    above = max((start ^ end - 1).bit_length() - MIN_SHIFT + 2, 0) // 3  # levels above the smallest bins
    shift = MIN_SHIFT + 3 * above
    return first_bin(depth - above) + (start >> shift), start >> shift << shift
