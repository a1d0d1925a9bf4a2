"""The reads of a dataset as piles, chosen by the same conditions as in samtools mpileup."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bams3.alleles.columns import SYMBOLS, count_symbols
from bams3.alleles.piles import Piles
from bams3.alleles.reads import keep_piled
from bams3.bam.flags import NOT_COUNTED, PROPER_PAIR, UNMAP
from bams3.bam.regions import LAST, Region, RegionTable
from bams3.dataset.prefetch import plan_hot
from bams3.parallel.workers import Workers, in_order
from bams3.select.kernels import keep_any_flag, keep_overlapping
from bams3.select.query import Intervals, RecordFilter, row_group_jobs, streams_plan

if TYPE_CHECKING:
    from bams3.alleles.piles import Pile
    from bams3.chunk.row_group import RowGroup
    from bams3.dataset.reader import DatasetReader

BOUNDLESS = 2**31 - 1
"""As a depth limit: none."""
POSITIONS = 1 << 17
"""Number of positions that are counted at a time."""


class PileOptions(NamedTuple):
    """Which reads are piled up, as in samtools mpileup.

    Attributes
    ----------
    exclude, any_of
        FLAG bits of which a read must have none, and of which it must have at least one (0: no condition).
    min_mapq
        Minimum mapping quality.
    orphans
        Include reads that are paired, but not properly.
    overlaps
        Where mates overlap, only one of them keeps its quality.
    max_depth
        A read is dropped if this many others already cover its start.
    """

    exclude: int = NOT_COUNTED
    any_of: int = 0
    min_mapq: int = 0
    orphans: bool = False
    overlaps: bool = True
    max_depth: int = 8000

    @property
    def record_filter(self) -> RecordFilter:
        """The conditions that the zone maps of row groups can decide."""
        return RecordFilter(0, self.exclude | UNMAP, self.min_mapq)

    def select(self, mask: bytearray, group: RowGroup, dataset: DatasetReader) -> None:
        """Clear the mask of the records of a row group that are not piled up, regardless of their positions."""
        self.record_filter.apply(mask, group, dataset)
        if self.any_of:
            keep_any_flag(mask, group.flag, self.any_of)
        keep_piled(mask, group.flag, self.orphans)


class PiledRegions(NamedTuple):
    """Which reads of a dataset are piled up: those that overlap `region` (None: any), and also an interval of `bed`.

    `bed` maps reference ids to sorted, disjoint intervals; None means no condition. `lengths` maps reference ids to the
    lengths of the sequences in the FASTA file; no read may begin past them.
    """

    region: Region | None = None
    bed: dict[int, Intervals] | None = None
    lengths: dict[int, int] | None = None

    def regions(self, contigs: int) -> Sequence[Region]:
        """The regions whose row groups may hold such reads."""
        if self.region:
            return [self.region]
        if self.bed is None:
            return [Region(contig, -1, LAST) for contig in range(contigs)]
        table = RegionTable(array("i"), array("q"), array("q"))
        for contig, (starts, ends) in self.bed.items():
            table.reference_ids.extend(array("i", [contig]) * len(starts))
            table.starts.extend(starts)
            table.ends.extend(ends)
        return table

    def apply(self, mask: bytearray, group: RowGroup) -> None:
        """Clear the mask of the records of a row group that are not in these regions."""
        if self.region:
            bounds = array("q", [self.region.start]), array("q", [self.region.end])
            keep_overlapping(mask, group.pos, group.end, *bounds)
        if self.bed is not None:
            none = array("q"), array("q")
            keep_overlapping(mask, group.pos, group.end, *self.bed.get(group.reference_id, none))
        length = self.lengths.get(group.reference_id) if self.lengths else None
        if length is not None and group.zone.max_pos >= length:
            keep_overlapping(mask, group.pos, group.end, array("q", [-LAST]), array("q", [length]))


def piles(
    dataset: DatasetReader, places: PiledRegions, options: PileOptions, workers: Workers,
    recalibrate: Callable[[RowGroup, bytearray], None] | None = None, *, once: bool = False,
) -> Iterator[Pile]:  # fmt: skip
    """Yield the piles of a dataset, in order. Threads decode row groups in advance.

    Parameters
    ----------
    dataset, places, options
        The dataset, and which of its reads are piled up.
    workers
        The threads.
    recalibrate
        Changes the qualities of the reads of a row group that a mask selects.
    once
        Yield each read in one pile only. This takes less memory, but several piles may have reads at the same position.

    Raises
    ------
    UsageError
        If mates overlap and one of them has no bases.
    FormatError
        If the dataset is damaged.
    """
    mates = {"names", "tlen"} if options.overlaps else set()
    needed = {"l_seq", "seq", "qual"}

    def has_mates(group: RowGroup) -> bool:
        return options.overlaps and bool(group.zone.flags_any & PROPER_PAIR)

    def decoded(job: tuple[RowGroup, Intervals]) -> tuple[RowGroup, bytearray]:
        group, _ = job
        mask = bytearray(b"\1") * group.records
        places.apply(mask, group)
        options.select(mask, group, dataset)
        if 1 in mask:
            for column in (
                "pos",
                "end",
                "mapq",
                *needed,
                *((*mates, "previous") if has_mates(group) else ()),
            ):
                getattr(group, column)
            if recalibrate:
                recalibrate(group, mask)
        return group, mask

    regions = places.regions(len(dataset.references))
    jobs = dataset.fetched(row_group_jobs(dataset, regions, options.record_filter), plan_hot)
    jobs = dataset.fetched(jobs, streams_plan(needed | mates))
    made = Piles(options.max_depth or BOUNDLESS, options.overlaps, once)
    for group, mask in in_order(decoded, jobs, workers):
        done = made.push(group, mask) if 1 in mask else []
        del group  # free it before the next one is decoded
        while done:
            yield done.pop(0)
    yield made.finish()


def bed_intervals(bed: RegionTable) -> dict[int, Intervals]:
    """The intervals of a BED file, by reference id: sorted, and merged."""
    return {contig: (starts, ends) for contig, starts, ends in bed.merged() if contig >= 0}


def symbol_counts(
    dataset: DatasetReader, region: Region, options: PileOptions, min_quality: int, workers: Workers
) -> dict[str, Any]:
    """Count the symbols at each position of a region that reads cover. Returns numpy arrays by name: `position`,
    `depth`, and one for each of SYMBOLS."""
    import numpy as np

    def counted(job: tuple[Pile, int, int]) -> tuple[Any, Any]:
        pile, start, stop = job
        table = np.zeros((len(SYMBOLS) + 1, stop - start), np.int32)
        count_symbols(pile, start, min_quality, table)
        (covered,) = np.nonzero(table[-1])
        return covered + start, table[:-1, covered]

    def jobs() -> Iterator[tuple[Pile, int, int]]:
        for pile in piles(dataset, PiledRegions(region), options, workers):
            start, stop = max(pile.start, region.start), min(pile.stop, region.end)
            for at in range(start, stop if pile.covers else start, POSITIONS):
                yield pile, at, min(at + POSITIONS, stop)

    parts = list(in_order(counted, jobs(), workers))
    positions = np.concatenate([np.empty(0, np.int64), *(part for part, _ in parts)])
    counts = np.concatenate([np.empty((len(SYMBOLS), 0), np.int32), *(part for _, part in parts)], axis=1)
    depth = counts.sum(axis=0, dtype=np.int32)
    return {"position": positions, "depth": depth, **dict(zip(SYMBOLS, counts, strict=True))}
