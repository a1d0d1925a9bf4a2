"""`bams3 pileup`: the output of `samtools mpileup`."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from bams3.alleles.piles import Pile
from bams3.alleles.pileup import PiledRegions, PileOptions, bed_intervals, piles
from bams3.alleles.text import Lines
from bams3.bam.regions import LAST, Region, RegionTable
from bams3.parallel.workers import Workers, in_order

if TYPE_CHECKING:
    from bams3.alleles.reference import Fasta, Recalibration
    from bams3.dataset.reader import DatasetReader

TEXT = 1 << 19
"""Approximate number of bytes of text that are made at a time. It fits the CPU's cache, so the text is copied fast."""


class TextOptions(NamedTuple):
    """What is printed.

    Attributes
    ----------
    min_quality
        Leave out bases with a lower quality.
    mapq, places
        Print the columns of the options -s and -O.
    reverse_del
        Mark deletions in reads on the reverse strand with #.
    all_positions
        0: covered positions; 1: all positions of contigs with reads; 2: all positions of all contigs.
    """

    min_quality: int = 13
    mapq: bool = False
    places: bool = False
    reverse_del: bool = False
    all_positions: int = 0

    @property
    def width(self) -> int:
        """Approximate number of bytes that a read takes in a line."""
        return 2 + self.mapq + 6 * self.places


def write_pileup(
    file: BinaryIO,
    dataset: DatasetReader,
    reads: PileOptions,
    text: TextOptions,
    workers: Workers,
    *,
    regions: Sequence[Region] = (),
    bed: RegionTable | None = None,
    reference: Fasta | None = None,
    recalibrate: Recalibration | None = None,
) -> None:
    """Write a line for each covered position.

    Parameters
    ----------
    reads
        Which reads and bases are piled up.
    text
        What is printed.
    regions
        Write the positions of these regions, one region after the other; if empty, those of all contigs.
    bed
        Write only positions in these intervals.
    reference
        The reference sequence.
    recalibrate
        Changes base qualities first.

    Raises
    ------
    UsageError
        Where samtools fails, too.
    FormatError
        If the dataset is damaged.
    """
    for region in regions or (None,):
        run = _PileupJobs(dataset, reads, text, workers, region, bed, reference, recalibrate)
        for lines in in_order(lambda job: job[0].of(*job[1:]), run.jobs(), workers):
            file.write(lines)


class _PileupJobs:
    def __init__(
        self, dataset: DatasetReader, reads: PileOptions, text: TextOptions, workers: Workers,
        region: Region | None, bed: RegionTable | None, reference: Fasta | None,
        recalibrate: Recalibration | None,
    ) -> None:  # fmt: skip
        self._contigs = dataset.references
        self._text, self._region, self._reference = text, region, reference
        self._bed = None if bed is None else bed_intervals(bed)
        lengths = reference.lengths(self._contigs) if reference else None
        places = PiledRegions(region, None if text.all_positions else self._bed, lengths)
        self._piles = piles(dataset, places, reads, workers, recalibrate)

    def jobs(self) -> Iterator[tuple[Any, ...]]:
        """Yield `Lines` with the arguments for a call of their method `of`; together, these make all of the output."""
        begin, end = self._region[1:] if self._region else (-1, LAST)
        contig, settled = -1, 0
        for pile in self._piles:
            if not pile.covers:
                continue
            if pile.reference_id != contig:
                yield from self._unread(contig, settled, end)
                yield from self._contigs_without_reads(contig + 1, pile.reference_id)
                contig, settled = pile.reference_id, max(begin, min(pile.first, 0))
            stop = min(pile.stop, end)
            yield from self._lines(pile, contig, settled, stop)
            settled = max(settled, stop)
        if self._region and contig < 0 and self._text.all_positions > 1:
            contig, settled = self._region.reference_id, begin
        yield from self._unread(contig, settled, end)
        yield from self._contigs_without_reads(contig + 1, len(self._contigs))

    def _contigs_without_reads(self, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        if self._text.all_positions > 1 and not self._region:
            for contig in range(first, last):
                yield from self._unread(contig, 0, LAST)

    def _unread(self, contig: int, start: int, stop: int) -> Iterator[tuple[Any, ...]]:
        """Yield the positions of a contig after its last read."""
        if self._text.all_positions and contig >= 0:
            yield from self._lines(Pile(), contig, start, min(stop, self._contigs[contig][1]))

    def _lines(self, pile: Pile, contig: int, start: int, stop: int) -> Iterator[tuple[Any, ...]]:
        name = self._contigs[contig][0]
        starts, ends = array("q", [-1]), array("q", [LAST])
        if self._bed is not None:
            if contig not in self._bed:
                return
            starts, ends = self._bed[contig]
        lines = Lines(
            name.encode(errors="surrogateescape"), min_quality=self._text.min_quality, mapq=self._text.mapq,
            places=self._text.places, reverse_del=self._text.reverse_del, fill=bool(self._text.all_positions),
        )  # fmt: skip
        for here, until in pairwise(pile.cuts(start, stop, self._text.width, TEXT)):
            first, last = bisect_right(ends, here), bisect_left(starts, until)
            if first < last:
                bases = self._reference.bases(name, here, until + pile.deleted) if self._reference else None
                yield lines, pile, starts[first:last], ends[first:last], here, until, bases
