"""A coverage run: computes the depth of one contig after another, and writes mosdepth's files."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from bams3.coverage.depth import Depth
from bams3.coverage.measure import Histogram, bases_covered, means, medians
from bams3.coverage.options import CoverageOptions, quantize_labels
from bams3.coverage.report import SUMMARY_HEADER, Totals, distribution
from bams3.coverage.selection import Accept, beyond_flags
from bams3.coverage.tally import Tally
from bams3.errors import UsageError
from bams3.output.files import all_or_none
from bams3.warned import warn as to_log

if TYPE_CHECKING:
    from bams3.coverage.bedfile import BedFile
    from bams3.coverage.intervals import Intervals

DEEPEST_WINDOW = 999
"""Windows with a greater mean depth count with this depth in the distribution of regions."""

WINDOWS_AT_ONCE = 1 << 14
"""Number of windows of a contig that are in memory at a time."""

RowGroupsOf = Callable[[Sequence[int]], Iterable[Iterable[Any]]]
Warn = Callable[[str], None]


def write_coverage(
    prefix: str,
    references: Sequence[tuple[str, int]],
    row_groups_of: RowGroupsOf,
    options: CoverageOptions | None = None,
    *,
    accept: Accept | None = None,
    stretches_of: Callable[[int], Iterable[Any]] | None = None,
    warn: Warn | None = None,
    inputs: Sequence[str] = (),
) -> None:
    """Write the files that mosdepth 0.3.3 would write for ``prefix``, all of them or none.

    Parameters
    ----------
    prefix
        Path that the names of all files begin with.
    references
        All contigs (name, length in bp).
    row_groups_of
        ``row_groups_of(reference_ids)`` yields, for each of these contigs, its row groups with all its records in
        coordinate order.
    options
        The options of mosdepth.
    accept
        A condition on reads that mosdepth does not have, such as read groups.
    stretches_of
        If given, ``stretches_of(reference_id)`` yields a contig's depth from part files, and no reads are counted.
    warn
        Called with messages for the user; by default, they go to standard error.
    inputs
        Paths of inputs, in addition to the BED file, that no output may overwrite.

    Raises
    ------
    UsageError
        For an unknown contig, an invalid BED file, a prefix in a missing directory or in a dataset, and an output that
        is an input.
    """
    options = options or CoverageOptions()
    with all_or_none(prefix, [str(options.by), *inputs] if options.by else inputs) as create:
        run = _CoverageRun(create, references, options, warn or to_log)
        run.all_contigs(
            contig_depths(
                run.contigs, row_groups_of, options, run.incremental, accept=accept, stretches_of=stretches_of
            )
        )


def contigs_of(references: Sequence[tuple[str, int]], options: CoverageOptions) -> list[tuple[int, str, int]]:
    """Return the contigs (reference id, name, length) to measure. Raises UsageError if the chosen contig is unknown."""
    contigs = [(i, *contig) for i, contig in enumerate(references)]
    if options.chrom is not None:
        contigs = [contig for contig in contigs if contig[1] == options.chrom]
        if not contigs:
            raise UsageError(f"contig {options.chrom!r} is not in the header; -c takes one whole contig")
    return contigs


def contig_depths(
    contigs: Sequence[tuple[int, str, int]],
    row_groups_of: RowGroupsOf,
    options: CoverageOptions,
    incremental: bool,
    *,
    accept: Accept | None = None,
    stretches_of: Callable[[int], Iterable[Any]] | None = None,
) -> Iterator[Iterable[Depth]]:
    """Yield the depth of each contig: one `Depth` or, if `incremental`, several. See `write_coverage` for arguments."""
    if stretches_of is None:
        every_group = row_groups_of([reference_id for reference_id, _, _ in contigs])
        for (reference_id, _, length), groups in zip(contigs, every_group, strict=True):
            tally = _tally(options, reference_id, 0, length, incremental)
            yield _depth(tally, groups, options, accept)
        return
    for reference_id, _, length in contigs:
        depth = Depth(length)
        for stretch in stretches_of(reference_id):
            depth.put(stretch.start, stretch.depth)
        yield [depth]


def depth_of(
    row_groups: Iterable[Any],
    reference_id: int,
    start: int,
    end: int,
    options: CoverageOptions | None = None,
    *,
    accept: Accept | None = None,
) -> Depth:
    """Return the depth of the positions ``[start, end)`` of a contig.

    ``row_groups``, in coordinate order, must be all row groups from the first to the last one with a read that overlaps
    the positions, because a read that does not overlap can still change how its mate counts. In fragment mode, they are
    all row groups with reads of an overlapping fragment. Only the options that select reads and determine how they
    count are used.
    """
    options = options or CoverageOptions()
    tally = _tally(options, reference_id, start, end)
    for group in row_groups:
        tally.add(group, beyond_flags(group, options, accept))
    return tally.finish()


def region_values(
    row_groups: Iterable[Any], reference_id: int, length: int, intervals: Intervals, options: CoverageOptions
) -> array[float]:
    """Return the mean (or median) depth of intervals of a contig of ``length`` bp, ``array('d')``, as in mosdepth.

    ``row_groups`` are as in `depth_of`, for the positions from the first interval to the last.
    """
    start = min(intervals.starts[0], length)
    end = max(min(max(intervals.ends), length), start)
    depth = depth_of(row_groups, reference_id, start, end, options)
    begins, ends = (
        array("q", (at - start for at in bounds)) for bounds in (intervals.starts, intervals.ends)
    )
    return measure_of(options)(depth, begins, ends)


def measure_of(options: CoverageOptions) -> Callable[[Depth, array[int], array[int]], array[float]]:
    """Return the function that computes the values of the regions file: means or medians."""
    return medians if options.use_median else means


def _tally(
    options: CoverageOptions, reference_id: int, start: int, end: int, incremental: bool = False
) -> Tally:
    return Tally(
        end - start,
        start=start,
        reference_id=reference_id,
        mode="fragments" if options.fragment_mode else "extents" if options.fast_mode else "bases",
        exclude_flags=options.exclude_flags,
        include_flags=options.include_flags,
        incremental=incremental,
    )


def _depth(
    tally: Tally, row_groups: Iterable[Any], options: CoverageOptions, accept: Accept | None
) -> Iterator[Depth]:
    """Yield the depth of row groups: one `Depth` or several."""
    for group in row_groups:
        tally.add(group, beyond_flags(group, options, accept))
        if (depth := tally.settled()) is not None:
            yield depth
    yield tally.finish()


class _CoverageRun:
    """The state of a coverage run: its open files and the totals so far."""

    def __init__(
        self,
        create: Callable[[str], BinaryIO],
        references: Sequence[tuple[str, int]],
        options: CoverageOptions,
        warn: Warn,
    ) -> None:
        self.options, self.decimals, self.warn = options, options.decimals, warn
        self.contigs = contigs_of(references, options)
        self.by_bed = options.by is not None and options.window is None
        self.bed: dict[str, Intervals] = {}
        if self.by_bed:
            from bams3.coverage.intervals import read_intervals

            self.bed = read_intervals(str(options.by), warn)
        if self.by_bed and not (options.per_base or options.thresholds or options.quantize):  # regions only
            self.contigs = [contig for contig in self.contigs if contig[1] in self.bed]
        self.labels = [label.encode() for label in quantize_labels(options.quantize)]

        longest = max((length for _, length in references), default=0)
        furthest = max((max(intervals.ends) for intervals in self.bed.values()), default=0)

        def bed_file(wanted: bool, name: str, header: bytes = b"") -> BedFile | None:
            if not wanted:
                return None
            from bams3.coverage.bed import levels_for
            from bams3.coverage.bedfile import BedFile

            levels = levels_for(max(longest, furthest))
            return BedFile(create(f".{name}.bed.gz"), create(f".{name}.bed.gz.csi"), levels, header)

        columns = "".join(f"\t{threshold}X" for threshold in options.thresholds)
        self.per_base = bed_file(options.per_base, "per-base")
        self.regions = bed_file(options.by is not None, "regions")
        self.quantized = bed_file(bool(options.quantize), "quantized")
        self.thresholds = bed_file(
            bool(options.thresholds), "thresholds", f"#chrom\tstart\tend\tregion{columns}\n".encode()
        )
        self.files = [file for file in (self.per_base, self.regions, self.quantized, self.thresholds) if file]
        self.summary_file = create(".mosdepth.summary.txt")
        self.global_file = create(".mosdepth.global.dist.txt")
        self.region_file = create(".mosdepth.region.dist.txt") if self.regions else None

        self.summary = [SUMMARY_HEADER]
        self.totals, self.region_totals = Totals(), Totals()
        self.contig_regions = Totals()
        self.histogram, self.region_histogram = Histogram(), Histogram()

    @property
    def incremental(self) -> bool:
        """Whether a contig may have several `Depth`s. Regions and quantized bins need a whole contig at once."""
        return not (self.regions or self.quantized)

    def all_contigs(self, depths: Iterable[Iterable[Depth]]) -> None:
        """Measure and write every contig, then the totals. `depths` yields the `Depth`s of each contig."""
        for (_, name, length), of_contig in zip(self.contigs, depths, strict=True):
            self._write_contig(name, length, of_contig)
        if self.options.chrom is None:
            for name, intervals in self.bed.items():
                self.warn(f"{self.options.by}: contig {name} ({len(intervals)} regions) is not in the header")
        self._write_totals()

    def _write_contig(self, name: str, length: int, depths: Iterable[Depth]) -> None:
        contig = name.encode(errors="surrogateescape")
        histogram, region_histogram = Histogram(), Histogram()
        intervals = self._intervals(name, length) if self.regions else []
        found = False
        for file in self.files:
            file.text.begin(contig)
        if self.per_base and not length:
            self.per_base.text.add(0, 0, b"0")
        position = 0
        for depth in depths:
            found = depth.found
            for part in intervals:
                self._write_regions(depth, part, region_histogram)
            if self.regions and found and not self.by_bed:
                self.contig_regions.add(*depth.summary())
            if self.quantized and (found or self.options.quantize[0] == 0):
                self._write_quantized(depth, self.quantized)
            histogram.add(depth)
            end = position + len(depth)
            while self.per_base and position < end:
                position = self.per_base.text.add_runs(depth, position)
                self.per_base.spill()
            position = end
        if self.per_base:
            self.per_base.text.end_runs(length)
        if not found:  # contigs without reads are not reported
            return
        self._summarise(name, *histogram.summary())
        self._distribute(name, histogram, region_histogram)
        self.histogram.merge(histogram)
        self.region_histogram.merge(region_histogram)

    def _intervals(self, name: str, length: int) -> Iterable[Intervals]:
        """Yield the regions of a contig, some at a time: at least one group, which may be empty."""
        from bams3.coverage.intervals import Intervals, windows

        if (size := self.options.window) is None:
            return [self.bed.pop(name, Intervals())]
        step = size * WINDOWS_AT_ONCE
        return (windows(length, size, start, start + step) for start in range(0, max(length, 1), step))

    def _write_regions(self, depth: Depth, part: Intervals, histogram: Histogram) -> None:
        assert self.regions is not None
        values = measure_of(self.options)(depth, part.starts, part.ends)
        number = 0
        while number < len(part):
            number = self.regions.text.add_means(
                part.starts, part.ends, part.names, values, self.decimals, number
            )
            self.regions.spill()
        if self.thresholds:
            self._write_thresholds(depth, part, self.thresholds)
        if depth.found and self.by_bed:
            histogram.add_regions(depth, part.starts, part.ends)
            self.contig_regions.add(*histogram.summary())
        elif depth.found:
            histogram.count_means(values, DEEPEST_WINDOW)

    def _write_thresholds(self, depth: Depth, part: Intervals, file: BedFile) -> None:
        bounds = array("q", self.options.thresholds)
        rows = array("q", bytes(8 * len(bounds) * len(part)))
        if depth.found:
            rows = bases_covered(depth, part.starts, part.ends, bounds)
        number = 0
        while number < len(part):
            number = file.text.add_counts(part.starts, part.ends, part.names, rows, number)
            file.spill()

    def _write_quantized(self, depth: Depth, file: BedFile) -> None:
        bounds = array("q", self.options.quantize)
        position = 0
        while position < len(depth):
            position = file.text.add_bins(depth, bounds, self.labels, position)
            file.spill()

    def _summarise(self, name: str, positions: int, bases: int, least: int | None, most: int) -> None:
        contig = Totals(least=None)
        contig.add(positions, bases, least, most)
        self.totals.merge(contig)
        self.summary.append(contig.line(name, self.decimals))
        if self.regions:
            self.region_totals.merge(self.contig_regions)
            self.summary.append(self.contig_regions.line(f"{name}_region", self.decimals))
            self.contig_regions = Totals(least=None)

    def _distribute(self, name: str, histogram: Histogram, region_histogram: Histogram) -> None:
        self.global_file.write(distribution(name, histogram, self.decimals).encode(errors="surrogateescape"))
        if self.region_file:
            text = distribution(name, region_histogram, self.decimals)
            self.region_file.write(text.encode(errors="surrogateescape"))

    def _write_totals(self) -> None:
        self.summary.append(self.totals.line("total", self.decimals))
        if self.regions:
            self.summary.append(self.region_totals.line("total_region", self.decimals))
        self.summary_file.write("".join(self.summary).encode(errors="surrogateescape"))
        self._distribute("total", self.histogram, self.region_histogram)
        for file in self.files:
            file.close()
