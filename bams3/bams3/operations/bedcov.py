"""`bams3 bedcov`: the output of samtools bedcov."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from bams3.bam import intervals
from bams3.bam.flags import NOT_COUNTED, UNMAP
from bams3.bam.regions import LAST, RegionTable, merge_regions
from bams3.coverage.measure import RunningSums
from bams3.coverage.pileup import Pileup, PileupOptions, own_regions, selected, shared_contigs
from bams3.errors import UsageError
from bams3.inflate import of_disk, whole_lines
from bams3.parallel.workers import Workers
from bams3.select.overlaps import Overlaps

if TYPE_CHECKING:
    from bams3.dataset.reader import DatasetReader

_NAMED = b"#chrom\t"
"""The beginning of the line of a BED file that names its columns."""
_COLUMNS = (
    "chrom", "chromStart", "chromEnd", "name", "score", "strand", "thickStart", "thickEnd", "itemRgb", "blockCount",
    "blockSizes", "blockStarts",
)  # fmt: skip
"""Names of the columns of a BED file; any further columns are named `.`, as in samtools."""


class BedcovOptions(NamedTuple):
    """Which reads count, and what is printed.

    Attributes
    ----------
    exclude
        Reads with any of these FLAG bits do not count.
    min_mapq
        Reads with a lower MAPQ do not count.
    skip_gaps
        A read does not count at the positions of its deletions and reference skips.
    min_depth
        Also print the number of positions with at least this depth. Gaps do not count then, as with `skip_gaps`.
    reads
        Also print the number of reads.
    header
        Begin with a line that names the columns.
    """

    exclude: int = NOT_COUNTED
    min_mapq: int = 0
    skip_gaps: bool = False
    min_depth: int | None = None
    reads: bool = False
    header: bool = False


class BedLines(NamedTuple):
    """The lines of a BED file that are intervals, in order, and the line that names its columns (b"" if none)."""

    names: bytes
    lines: list[bytes]
    regions: RegionTable


def read_lines(path: str, contigs: Sequence[tuple[str, int]]) -> BedLines:
    """Read a BED file as samtools bedcov does. Intervals are not clipped to the ends of their contigs.

    Raises UsageError if the file can't be read, or if a line is invalid or names an unknown contig.
    """
    ids = {name.encode(errors="surrogateescape"): number for number, (name, _) in enumerate(contigs)}
    names, lines = b"", list[bytes]()
    regions = RegionTable(array("i"), array("q"), array("q"))
    try:
        with of_disk(path) as file:
            for number, line in enumerate(_split(whole_lines(file, lone_returns=False)), 1):
                if line.startswith(_NAMED) and not names and not lines:
                    names = line
                if not line or line.startswith((b"#", b"track ", b"browser ")):
                    continue
                try:
                    contig, start, end = line.split(None, 3)[:3]
                    interval = int(start), int(end)
                except ValueError:
                    interval = 0, -1
                if not 0 <= interval[0] <= interval[1]:
                    raise UsageError(
                        f"BED file {path}, line {number}: expected contig, start and end (0 <= start <= end)"
                    )
                if contig not in ids:
                    name = contig.decode(errors="surrogateescape")
                    raise UsageError(f"BED file {path}, line {number}: unknown contig {name!r}")
                lines.append(line)
                regions.reference_ids.append(ids[contig])
                regions.starts.append(min(interval[0], LAST))
                regions.ends.append(min(interval[1], LAST))
    except OSError as error:
        raise UsageError(f"can't read the BED file {path}: {error.strerror or error}") from None
    return BedLines(names, lines, regions)


def _split(portions: Iterator[bytes]) -> Iterator[bytes]:
    for portion in portions:
        for line in portion.removesuffix(b"\n").split(b"\n"):
            yield line.removesuffix(b"\r")


def write_bedcov(
    file: BinaryIO, bed: str, datasets: Sequence[DatasetReader], options: BedcovOptions, workers: Workers
) -> None:
    """Write the lines of a BED file, each followed by the sum of the depths in its interval for each dataset.

    Raises UsageError if the BED file is invalid or the datasets do not have the same contigs, and FormatError if a
    dataset is damaged.
    """
    contigs = shared_contigs(datasets)
    names, lines, regions = read_lines(bed, contigs)
    columns = [_measured(dataset, contigs, regions, options, workers) for dataset in datasets]
    kinds = [
        "cov",
        *(["depth"] if options.min_depth is not None else []),
        *(["count"] if options.reads else []),
    ]
    if options.header and (lines or names):
        named = names or b"#" + b"\t".join(_column_names(lines[0].count(b"\t") + 1))
        titles = (f"\t{dataset.uri}_{kind}" for kind in kinds for dataset in datasets)
        file.write(named + "".join(titles).encode(errors="surrogateescape") + b"\n")
    every = [of_dataset[kind] for kind in range(len(kinds)) for of_dataset in columns]
    for line, *numbers in zip(lines, *every, strict=True):
        file.write(b"%b\t%b\n" % (line, "\t".join(map(str, numbers)).encode()))


def _column_names(count: int) -> list[bytes]:
    return [(_COLUMNS[i] if i < len(_COLUMNS) else ".").encode() for i in range(count)]


def _measured(
    dataset: DatasetReader,
    contigs: Sequence[tuple[str, int]],
    regions: RegionTable,
    options: BedcovOptions,
    workers: Workers,
) -> list[array[int]]:
    """Return the columns of a dataset. Each has one number per interval."""
    pileup_options = PileupOptions(
        exclude=options.exclude | UNMAP,
        min_mapq=options.min_mapq,
        extents=not options.skip_gaps and options.min_depth is None,
        pileup=True,
    )
    pileup = Pileup(dataset, contigs, merge_regions(regions), pileup_options, workers)
    bases, covered = (array("q", bytes(8)) * len(regions) for _ in range(2))
    for contig, starts, ends, rows in regions.by_reference():
        sums = RunningSums(intervals.sorted_column(starts + ends), least=options.min_depth or 1)
        for settled in pileup.settled(contigs[contig][0], 0, sums.borders[-1]):
            sums.add(settled.depth)
        for start, end, row in zip(starts, ends, rows, strict=True):
            a, b = bisect_left(sums.borders, start), bisect_left(sums.borders, end)
            bases[row] = sums.bases[b] - sums.bases[a]
            covered[row] = sums.covered[b] - sums.covered[a]
    found = [bases]
    if options.min_depth is not None:
        found.append(covered)
    if options.reads:
        found.append(_counted(dataset, contigs, regions, pileup_options, workers))
    return found


def _counted(
    dataset: DatasetReader,
    contigs: Sequence[tuple[str, int]],
    regions: RegionTable,
    options: PileupOptions,
    workers: Workers,
) -> array[int]:
    """Return the number of reads that overlap each interval."""
    names = {name: number for number, (name, _) in enumerate(contigs)}
    every = {
        contig: Overlaps(contig, starts, ends, rows) for contig, starts, ends, rows in regions.by_reference()
    }
    within = own_regions(dataset, contigs, merge_regions(regions))
    for group, mask in selected(dataset, within, options, workers):
        overlaps = every[names[dataset.references[group.reference_id][0]]]
        overlaps.add(overlaps.count(group, mask))
    totals = array("q", bytes(8)) * len(regions)
    for overlaps in every.values():
        overlaps.put(totals)
    for row, (start, end) in enumerate(zip(regions.starts, regions.ends, strict=True)):
        if start == end:  # samtools finds no reads in an empty interval
            totals[row] = 0
    return totals
