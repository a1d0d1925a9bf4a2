"""`bams3 depth`: the output of `samtools depth`."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from bams3.bam import intervals
from bams3.bam.regions import LAST, Region, RegionTable
from bams3.coverage.lines import lines
from bams3.coverage.pileup import Pileup, PileupOptions, shared_contigs
from bams3.parallel.workers import Workers, in_order

if TYPE_CHECKING:
    from bams3.dataset.reader import DatasetReader

LINES = 1 << 18
"""Maximum number of positions that are written at a time."""

Rows = tuple["array[int]", "array[int]"]
"""Starts and ends of sorted, disjoint intervals of positions."""


def write_depth(
    file: BinaryIO,
    datasets: Sequence[DatasetReader],
    options: PileupOptions,
    workers: Workers,
    *,
    region: Region | None = None,
    bed: RegionTable | None = None,
    all_positions: int = 0,
    header: bool = False,
) -> None:
    """Write a line for each covered position: contig, 1-based position, and the depth in each dataset.

    Parameters
    ----------
    region, bed
        Write only positions in this region and in these intervals (0-based, half-open). Their reference ids are those
        of `shared_contigs`.
    all_positions
        0: covered positions; 1: all positions of contigs with reads; 2: all positions of all contigs.
    header
        Begin with a line that names the columns.

    Raises
    ------
    UsageError
        If the datasets do not have the same contigs.
    FormatError
        If a dataset is damaged.
    """
    if header:
        names = "".join(f"\t{dataset.uri}" for dataset in datasets)
        file.write(f"#CHROM\tPOS{names}\n".encode(errors="surrogateescape"))
    run = _DepthJobs(datasets, options, workers, region, bed, all_positions)
    for text in in_order(lambda job: lines(*job), run.jobs(), workers):
        file.write(text)


class _DepthJobs:
    def __init__(
        self,
        datasets: Sequence[DatasetReader],
        options: PileupOptions,
        workers: Workers,
        region: Region | None,
        bed: RegionTable | None,
        all_positions: int,
    ) -> None:
        self._contigs = shared_contigs(datasets)
        self._region, self._all = region, all_positions
        self._bed = None if bed is None else {contig: rows for contig, *rows in bed.merged()}
        if region:
            regions: Sequence[Region] = [region]
        elif bed is not None and not options.once and all_positions != 1:
            regions = bed
        else:  # any read may matter: to its mate, or because it is the only read of its contig
            regions = [Region(contig, -1, LAST) for contig in range(len(self._contigs))]
        begin = region.start if region else 0
        self._pileups = [
            Pileup(dataset, self._contigs, regions, options, workers, begin=begin) for dataset in datasets
        ]

    def jobs(self) -> Iterator[tuple[Any, ...]]:
        """Yield the arguments for the calls of `lines` that make all of the output."""
        for number, (name, length) in enumerate(self._contigs):
            start, stop = self._region[1:] if self._region else (0, LAST)
            if self._region and self._region.reference_id != number:
                continue
            if self._bed is not None and number not in self._bed:
                continue
            contig = name.encode(errors="surrogateescape")
            streams = [pileup.settled(name, start, stop) for pileup in self._pileups]
            settled = [next(stream) for stream in streams]
            found = any(one.depth.found for one in settled)
            is_whole = bool(self._all and (found or self._region or self._all > 1))
            at = start
            while True:
                until = min(one.end for one in settled)
                last = (
                    until if until < stop else max([length, *(one.ends[-1] for one in settled if one.ends)])
                )
                rows = self._rows(
                    number, settled, last if is_whole else 0
                )  # as in samtools, up to the last read
                for window in _windows(*rows, at, until):
                    yield contig, [one.depth for one in settled], *rows, *window
                at = until
                if at == stop:
                    break
                settled = [
                    next(stream) if one.end == at else one
                    for stream, one in zip(streams, settled, strict=True)
                ]

    def _rows(self, contig: int, settled: Sequence[Any], length: int) -> Rows:
        """Return the settled positions to write: the covered ones, and the first `length` positions of the contig."""
        starts, ends = array("q"), array("q")
        for one in settled:
            starts += one.starts
            ends += one.ends
        if length:
            starts.append(0)
            ends.append(length)
        if len(settled) > 1 or length:
            table = RegionTable(array("i", bytes(4)) * len(starts), starts, ends)
            starts, ends = next(((a, b) for _, a, b in table.merged()), (starts, ends))
        if self._bed is None:
            return starts, ends
        return intervals.common(starts, ends, *self._bed[contig])


def _windows(starts: array[int], ends: array[int], at: int, until: int) -> Iterator[tuple[int, int]]:
    """Yield windows of at most LINES positions within [at, until) that together contain all intervals there."""
    while (k := bisect_right(ends, at)) < len(ends) and (at := max(at, starts[k])) < until:
        yield at, min(at + LINES, until)
        at += LINES
