"""The positions where `bcftools mpileup | bcftools call -v` may call variants. It writes no records anywhere else.

bcftools writes a record only where a read that it uses has a base that differs from the reference, or an insertion or
deletion after its base. What it writes there depends on other positions in three ways, so these are kept as well:

- It recalibrates qualities (BAQ) at the first position where enough of the overlapping reads have insertions, deletions
  or skips. All positions of such reads are kept.
- It takes BQBZ and MQSBZ of an indel from the last position with a mismatch. These positions are kept.
- It draws random numbers where a sample has more than 255 reads. These positions are kept.

bcftools also skips reads that overlap no target, although its depth limit and the qualities of mates may depend on
them. So at least one position of each read is kept. With options for which this is not known to hold, all positions
are kept (see `is_safe`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bams3.alleles.differing import NO_READ, mark_a_position_of_each_read, mark_differences
from bams3.alleles.reference import Fasta
from bams3.bam.regions import Region
from bams3.dataset.prefetch import plan_hot
from bams3.operations.bcftools import Options
from bams3.operations.targets import Interval
from bams3.select.query import RecordFilter, row_group_jobs, streams_plan

if TYPE_CHECKING:
    from bams3.dataset.reader import DatasetReader

TILE = 1 << 21
"""Number of positions that are examined at a time. Each takes 16 bytes."""
DEEP = 255
"""Number of reads of a sample above which bcftools chooses among them at random."""

_MPILEUP = {
    *"aABCdEFILmMopPqQsSUx", "e", "h", "nu", "lu", "rf", "ns", "ff", "ls", "skip-any-unset", "skip-all-unset",
    "skip-any-set", "skip-all-set", "incl-flags", "excl-flags", "open-prob", "max-BQ", "max-bq", "delta-BQ",
    "indel-bias", "indel-size",
}  # fmt: skip
_CALL = {*"acfFGmMnNpPsSvVXY", "ploidy", "ploidy-file", "group-samples-tag"}


def is_safe(mpileup: Options, call: Options) -> bool:
    """Tell whether, with these options, the result can't depend on positions that `varying` leaves out."""
    chosen = {word.option for word in call.given}
    return "v" in chosen and chosen <= _CALL and {word.option for word in mpileup.given} <= _MPILEUP


def varying(
    readers: Sequence[DatasetReader], intervals: Sequence[Interval], fasta: str
) -> Iterator[Interval]:
    """Yield the parts of sorted intervals where variants may be called, and a position of each read.

    Raises UsageError if the FASTA file can't be read, and FormatError if a dataset is damaged.
    """
    reference = Fasta(fasta)
    for tile in _tiles(intervals):
        yield from _marked(readers, tile, reference)


def _tiles(intervals: Sequence[Interval]) -> Iterator[list[Interval]]:
    """Group intervals so that each group spans at most TILE positions of one contig. Long intervals are cut."""
    tile: list[Interval] = []
    for contig, start, end in intervals:
        while start < end:
            if tile and (tile[0][0] != contig or start >= tile[0][1] + TILE):
                yield tile
                tile = []
            stop = min(end, (tile[0][1] if tile else start) + TILE)
            tile.append((contig, start, stop))
            start = stop
    if tile:
        yield tile


def _marked(
    readers: Sequence[DatasetReader], tile: Sequence[Interval], reference: Fasta
) -> Iterator[Interval]:
    import numpy as np

    contig, first = tile[0][:2]
    length = tile[-1][2] - first
    bases = (reference.bases(contig, first, first + length) or b"").ljust(length, b"N")
    marks, shortest = bytearray(length), array("i", [NO_READ]) * length
    varies = np.frombuffer(marks, np.uint8)
    for reader in readers:
        changes = array("i", bytes(4)) * (length + 1)
        names = [name for name, _ in reader.references]
        regions = [Region(names.index(contig), start, end) for _, start, end in tile]
        jobs = reader.fetched(row_group_jobs(reader, regions, RecordFilter()), plan_hot)
        for group, _ in reader.fetched(jobs, streams_plan({"l_seq", "seq"})):
            mark_differences(group, bases, first, marks, changes, shortest)
        varies |= np.cumsum(np.frombuffer(changes, np.int32)[:-1], dtype=np.int32) > DEEP
    for _, start, end in tile:
        mark_a_position_of_each_read(marks, shortest, start - first, end - first)
        edges = np.flatnonzero(np.diff(varies[start - first : end - first], prepend=0, append=0)) + start
        for begin, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            yield contig, begin, stop
