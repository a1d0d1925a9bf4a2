"""Limits on the row groups of a chunk, checked on zone maps from its footer and from the dataset's index alike."""

from collections.abc import Sequence
from itertools import chain, pairwise

LAST = (1 << 31) - 1  # past every position
MAX_RECORDS = 1 << 16  # in a row group
MAX_BYTES = (1 << 25) + (1 << 31)  # bytes of the records of a row group: one more record may exceed 32 MiB
SHORTEST_RECORD = 36  # bytes


def check_joined(
    contigs: Sequence[int], zones: Sequence[Sequence[int]], reference_id: int, start: int, end: int,
    lengths: Sequence[int],
) -> None:  # fmt: skip
    """Raise ValueError unless a chunk that contigs share can have row groups with these zone maps, one for each contig
    in a row group, whose reference ids are `contigs` and whose `lengths` are in bp. The window is that of the first
    contig that may be there, `reference_id`."""
    if not {int}.issuperset(map(type, contigs)) or len(contigs) != len(zones) or not zones[0][-2]:
        raise ValueError("invalid contigs")
    if contigs[0] < max(reference_id, 0) or any(a > b for a, b in pairwise(contigs)):
        raise ValueError("contigs out of order")
    if any(a == b and not zone[-2] for (a, b), zone in zip(pairwise(contigs), zones[1:], strict=True)):
        raise ValueError("a contig that is twice in a row group")
    first = 0
    for last in range(1, len(contigs) + 1):
        if last == len(contigs) or contigs[last] != contigs[first]:
            if not (type(lengths[first]) is int and start == 0 <= lengths[first] <= end):
                raise ValueError("a contig that is longer than the window")
            check_zones(zones[first:last], contigs[first], start, end, 0)
            first = last


def check_zones(zones: Sequence[Sequence[int]], reference_id: int, start: int, end: int, length: int) -> None:
    """Raise ValueError unless row groups with these zone maps (or tuples of their values) can follow each other in a
    chunk of the window [start, end), 0-based, of a reference of `length` bp (−1: reads with no position, in any order).
    """
    if not zones or not {int}.issuperset(map(type, chain.from_iterable(zones))):
        raise ValueError("invalid numbers in a row group")
    placed = reference_id >= 0
    low = start or -1 if placed else -1  # records at −1 belong to the first window …
    limit = end if placed and end < length else LAST  # … and those past a contig's end to the last
    for number, zone in enumerate(zones):
        records, size, min_pos, max_pos, max_end, min_mapq, max_mapq, flags_any, flags_all, hot, cold = zone
        if not (
            0 < records <= MAX_RECORDS
            and SHORTEST_RECORD * records <= size <= MAX_BYTES
            and low <= min_pos <= max_pos < limit
            and max_pos < max_end <= LAST
            and 0 <= min_mapq <= max_mapq <= 255
            and 0 <= flags_all <= flags_any <= 0xFFFF
            and flags_all & flags_any == flags_all
            and hot >= 0 <= cold
        ):
            raise ValueError(f"invalid numbers in row group {number}, or out of order")
        if placed:
            low = max_pos
