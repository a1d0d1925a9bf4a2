"""`bams3 coverage-table`: the table that `samtools coverage` prints."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

from bams3.bam.regions import LAST, Region
from bams3.coverage.measure import bases_covered
from bams3.coverage.pileup import Pileup, PileupOptions, settled
from bams3.coverage.shared import ContigSums, parted, sums_within
from bams3.errors import UsageError
from bams3.parallel.workers import Workers

if TYPE_CHECKING:
    from bams3.coverage.runs import Runs
    from bams3.dataset.reader import DatasetReader

HEADER = b"#rname\tstartpos\tendpos\tnumreads\tcovbases\tcoverage\tmeandepth\tmeanbaseq\tmeanmapq\n"


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

    Raises UsageError if more than `deepest` reads (0: any number) may cover a position, because samtools would skip
    some of them, and FormatError if the dataset is damaged.
    """
    contigs = dataset.references
    joint, others = (frozenset(), []) if region else parted(dataset)
    regions = [region] if region else [Region(contig, -1, LAST) for contig in others]
    begin = region.start if region else 0
    stops = array("q", (_stop(region, length) for _, length in contigs))
    if deepest > 0:
        _check_deepest(dataset, regions, joint, options, workers, deepest)
    of_joint = dict(sums_within(dataset, joint, stops, options, workers, qualities=True)) if joint else {}
    pileup = Pileup(dataset, contigs, regions, options, workers, begin=begin, sum_to=stops)
    later = []
    if header and contigs:  # samtools prints nothing if there are none
        file.write(HEADER)
    for number, (name, _) in enumerate(contigs):
        if region and region.reference_id != number:
            continue
        sums = of_joint.get(number, ContigSums())
        if number not in joint and (reads := pileup.runs(name)):
            sums = _sums(reads, begin, max(stops[number], begin))
        line = _line(name, begin, stops[number], sums)
        if sums.aligned or region:
            file.write(line)
        else:
            later.append(line)
    file.writelines(later)


def _sums(reads: Iterable[Runs], start: int, stop: int) -> ContigSums:
    """Return the sums over the reads of a contig, in [start, stop)."""
    seen: list[tuple[int, int, int, int]] = []
    aligned = False

    def watched() -> Iterator[Runs]:
        nonlocal aligned
        for runs in reads:
            seen.append((runs.reads, runs.mapq_total, runs.quality_total, runs.quality_count))
            aligned |= runs.aligned
            yield runs

    covered = depth = 0
    for one in settled(watched(), start, stop):
        depth += one.depth.summary()[1]
        covered += bases_covered(one.depth, array("q", [0]), array("q", [len(one.depth)]), array("q", [1]))[0]
    counts, mapqs, qualities, bases = map(sum, zip(*seen, strict=True))
    return ContigSums(counts, mapqs, qualities, bases, aligned, covered, depth)


def _stop(region: Region | None, length: int) -> int:
    return length if region is None or region.end == LAST else region.end


def _line(name: str, begin: int, stop: int, sums: ContigSums) -> bytes:
    length = stop - begin
    shares = f"{100.0 * sums.covered / length:g}\t{sums.depth / length:g}" if length else "-nan\t-nan"
    means = f"{_mean(sums.quality, sums.bases)}\t{_mean(sums.mapq, sums.reads)}"
    line = f"{name}\t{begin + 1}\t{stop}\t{sums.reads}\t{sums.covered}\t{shares}\t{means}\n"
    return line.encode(errors="surrogateescape")


def _mean(total: int, count: int) -> str:
    return f"{total / count if count else 0:.3g}"


def _check_deepest(
    dataset: DatasetReader,
    regions: Iterable[Region],
    joint: frozenset[int],
    options: PileupOptions,
    workers: Workers,
    deepest: int,
) -> None:
    """Raise UsageError if `samtools coverage -d deepest` might skip reads of `regions` or of the contigs `joint`."""
    if dataset.manifest.records <= deepest:
        return
    extents = options._replace(extents=True, min_quality=0)
    boundless = array("q", [LAST]) * len(dataset.references)
    depths = (
        (number, sums.deepest)
        for number, sums in (sums_within(dataset, joint, boundless, extents, workers) if joint else ())
    )
    for number, depth in chain(depths, _greatest(dataset, regions, extents, workers)):
        # samtools compares the limit with the number of reads at a position and of those that end right before it
        if 2 * depth >= deepest:
            raise UsageError(
                f"-d {deepest}: on {dataset.references[number][0]}, more reads may lie at a position, and samtools "
                "would leave out some; use -d 0 to count all"
            )


def _greatest(
    dataset: DatasetReader, regions: Iterable[Region], options: PileupOptions, workers: Workers
) -> Iterator[tuple[int, int]]:
    """Yield the greatest depth of each settled stretch of contigs with reads, with the number of the contig."""
    pileup = Pileup(dataset, dataset.references, regions, options, workers)
    for number, (name, _) in enumerate(dataset.references):
        if reads := pileup.runs(name):
            for one in settled(reads, 0, LAST):
                yield number, one.depth.summary()[3]
