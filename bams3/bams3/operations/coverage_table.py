"""`bams3 coverage-table`: the table that samtools coverage prints."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from bams3.bam.regions import LAST, Region
from bams3.coverage.measure import bases_covered
from bams3.coverage.pileup import Pileup, PileupOptions, settled
from bams3.errors import UsageError
from bams3.parallel.workers import Workers

if TYPE_CHECKING:
    from bams3.coverage.runs import Runs
    from bams3.dataset.reader import DatasetReader

HEADER = b"#rname\tstartpos\tendpos\tnumreads\tcovbases\tcoverage\tmeandepth\tmeanbaseq\tmeanmapq\n"


class _Totals:
    """Sums over the reads of a contig."""

    def __init__(self) -> None:
        self.reads = self.mapq = self.quality = self.bases = 0
        self.aligned = False

    def watch(self, reads: Iterable[Runs]) -> Iterator[Runs]:
        """Yield the reads, and add them."""
        for runs in reads:
            self.reads += runs.reads
            self.mapq += runs.mapq_total
            self.quality += runs.quality_total
            self.bases += runs.quality_count
            self.aligned |= runs.aligned
            yield runs


def write_table(
    file: BinaryIO,
    dataset: DatasetReader,
    options: PileupOptions,
    workers: Workers,
    *,
    region: Region | None = None,
    deepest: int = 0,
    header: bool = True,
) -> None:
    """Write a line for `region`, or for each contig: first for those with reads, then for the others.

    Raises UsageError if more than `deepest` reads (0: any number) may lie over a position: there, samtools would leave
    out some; FormatError for damage.
    """
    contigs = dataset.references
    regions = [region] if region else [Region(contig, -1, LAST) for contig in range(len(contigs))]
    begin = region.start if region else 0
    stops = [_stop(region, length) for _, length in contigs]
    if deepest > 0:
        _check_deepest(dataset, regions, options, workers, deepest)
    pileup = Pileup(dataset, contigs, regions, options, workers, begin=begin, sum_to=stops)
    later = []
    if header and contigs:  # samtools prints nothing if there are none
        file.write(HEADER)
    for number, (name, _) in enumerate(contigs):
        if region and region.reference_id != number:
            continue
        totals, covered, depth = _Totals(), 0, 0
        for one in settled(totals.watch(pileup.runs(name)), begin, max(stops[number], begin)):
            depth += one.depth.summary()[1]
            covered += bases_covered(
                one.depth, array("q", [0]), array("q", [len(one.depth)]), array("q", [1])
            )[0]
        line = _line(name, begin, stops[number], totals, covered, depth)
        if totals.aligned or region:
            file.write(line)
        else:
            later.append(line)
    file.writelines(later)


def _stop(region: Region | None, length: int) -> int:
    return length if region is None or region.end == LAST else region.end


def _line(name: str, begin: int, stop: int, totals: _Totals, covered: int, depth: int) -> bytes:
    length = stop - begin
    shares = [f"{100.0 * covered / length:g}", f"{depth / length:g}"] if length else ["-nan", "-nan"]
    means = [_mean(totals.quality, totals.bases), _mean(totals.mapq, totals.reads)]
    fields = [name, begin + 1, stop, totals.reads, covered, *shares, *means]
    return ("\t".join(map(str, fields)) + "\n").encode(errors="surrogateescape")


def _mean(total: int, count: int) -> str:
    return f"{total / count if count else 0:.3g}"


def _check_deepest(
    dataset: DatasetReader, regions: Iterable[Region], options: PileupOptions, workers: Workers, deepest: int
) -> None:
    """Raise UsageError unless samtools, too, would count all reads with `-d deepest`."""
    if dataset.manifest.records <= deepest:
        return
    extents = options._replace(extents=True, min_quality=0)
    pileup = Pileup(dataset, dataset.references, regions, extents, workers)
    for name, _ in dataset.references:
        for one in pileup.settled(name, 0, LAST):
            # samtools compares with the reads at a position and those that end right before it
            if 2 * one.depth.summary()[3] >= deepest:
                raise UsageError(
                    f"-d {deepest}: on {name}, more reads may lie at a position, and samtools would leave out some; "
                    "use -d 0 to count all"
                )
