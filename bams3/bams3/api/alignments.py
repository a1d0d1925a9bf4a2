"""Methods that a dataset and a stand-alone chunk have in common: counting, depth, and records as in pysam."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cached_property
from operator import index
from os import PathLike, fspath
from typing import TYPE_CHECKING, Literal, Self

from bams3.bam.regions import UNPLACED, Region, parse_regions
from bams3.dataset.reader import DatasetReader
from bams3.errors import UsageError
from bams3.parallel.workers import worker_count
from bams3.select.query import RecordFilter, count, query

if TYPE_CHECKING:
    import numpy as np
    import pysam

    from bams3.bam.header import Header
    from bams3.bam.records import RecordBlock

RegionLike = str | tuple[str, int | None, int | None]
WorkerCount = int | Literal["auto"]


class Alignments:
    """Alignments that can be counted and fetched.

    The methods that select records share these parameters:

    - `contig`, `start`, `stop`: select the records that overlap [start, stop) of a contig, 0-based. The default is the
      whole contig; a `stop` past its end is clipped. No record overlaps an empty interval. The contig "*" selects the
      records without a position.
    - `region`: a region string, 1-based with both ends included, instead of these three.
    - `filter`: an expression in samtools' filter language.
    - `require_flags`, `exclude_flags`: FLAG bits that must all be set, or all be clear (samtools' -f and -F).
    - `min_mapq`: minimum mapping quality (-q).
    - `workers`: number of threads that read and decode; "auto" for all available cores.

    They raise UsageError for an unknown contig, for a start past the stop or past the contig's end, and for an invalid
    expression, and FormatError if the dataset is damaged.
    """

    def __init__(self, reader: DatasetReader) -> None:
        self._reader = reader
        self._references = reader.references
        self._contigs = {name: (i, length) for i, (name, length) in enumerate(self._references)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: `with` is allowed as in pysam, but there is nothing to close, so the object works afterwards."""

    @cached_property
    def header(self) -> "pysam.AlignmentHeader":
        """The header as a pysam.AlignmentHeader."""
        from pysam import AlignmentHeader

        from bams3.output.alignments import sam_header

        return AlignmentHeader.from_text(sam_header(self._reader.header).decode("utf-8", "surrogateescape"))

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the contigs, by reference id."""
        return tuple(name for name, _ in self._references)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths of the contigs in bp, by reference id."""
        return tuple(length for _, length in self._references)

    def count(
        self, contig: str | None = None, start: int | None = None, stop: int | None = None,
        region: str | None = None, *, until_eof: bool = False, filter: str | None = None, require_flags: int = 0,
        exclude_flags: int = 0, min_mapq: int = 0, workers: WorkerCount = 1,
    ) -> int:  # fmt: skip
        """Return the number of records that `fetch` would yield. Row groups that the index decides are not read."""
        chosen = self._chosen(contig, start, stop, region, until_eof)
        record_filter = filter_of(filter, require_flags, exclude_flags, min_mapq)
        return count(self._reader, chosen, record_filter, threads(workers))

    def coverage(
        self, contig: str, start: int | None = None, stop: int | None = None, *, fast_mode: bool = False,
        exclude_flags: int = 1796, min_mapq: int = 0,
    ) -> "np.ndarray":  # fmt: skip
        """Return the depth of [start, stop) of a contig, as mosdepth counts it.

        Parameters
        ----------
        contig, start, stop
            0-based half-open interval, by default the whole contig; a `stop` past its end is clipped.
        fast_mode
            Count each read from its start to its end, including deletions and skips, and count positions that both
            mates cover twice instead of once.
        exclude_flags, min_mapq
            Exclude reads with any of these FLAG bits, or with a mapping quality below `min_mapq`.

        Returns
        -------
        numpy.ndarray
            int32, shape (stop - start,), after clipping.
        """
        import numpy as np

        from bams3.coverage import CoverageOptions, depth_of

        number, begin, end = self._window(contig, start, stop)
        options = CoverageOptions(fast_mode=fast_mode, exclude_flags=exclude_flags, min_mapq=min_mapq)
        groups = self._reader.depth_row_groups(number, options.reads_from(begin), end)
        depth = depth_of(groups, number, begin, end, options)
        values = np.zeros(
            len(depth), np.int32
        )  # raises MemoryError if there is no room; gaps that are not written take no memory
        depth.copy_to(values)
        return values

    def pileup(
        self, contig: str, start: int | None = None, stop: int | None = None, *, min_baseq: int = 13,
        min_mapq: int = 0, exclude_flags: int = 1796, orphans: bool = False, overlaps: bool = True,
        max_depth: int = 8000, workers: WorkerCount = 1,
    ) -> "dict[str, np.ndarray]":  # fmt: skip
        """Count the bases of the reads at each position of [start, stop) of a contig, as samtools mpileup prints them.

        Parameters
        ----------
        contig, start, stop
            0-based half-open interval, by default the whole contig; a `stop` past its end is clipped.
        min_baseq, min_mapq, exclude_flags
            Count only bases with at least this quality (-Q), of reads with at least this mapping quality (-q) and none
            of these FLAG bits (--ff).
        orphans
            Also count reads that are paired, but not properly (-A).
        overlaps
            Where mates overlap, count only one of them (without -x).
        max_depth
            Leave out a read if this many others already cover its start; 0: no limit (-d).
        workers
            Number of threads; "auto" for all available cores.

        Returns
        -------
        dict of numpy.ndarray
            Arrays with an element for each position that reads cover: `position` (int64, 0-based), `depth` (int32; the
            fourth column of mpileup), and the number of each symbol (int32): `A C G T N` on the forward strand,
            `a c g t n` on the reverse strand (`N` includes all other bases), deletions `*` and `#`, and skips `>` and
            `<` (forward and reverse strand).
        """
        from bams3.alleles.pileup import PileOptions, symbol_counts
        from bams3.parallel.workers import Workers

        options = PileOptions(
            exclude=exclude_flags, min_mapq=min_mapq, orphans=orphans, overlaps=overlaps, max_depth=max_depth
        )
        with Workers(threads(workers)) as pool:
            return symbol_counts(self._reader, self._window(contig, start, stop), options, min_baseq, pool)

    def alleles(
        self, sites: "str | PathLike[str] | Iterable[tuple[str, int]]", *, min_baseq: int = 0, min_mapq: int = 0,
        exclude_flags: int = 1796, orphans: bool = False, overlaps: bool = True, workers: WorkerCount = 1,
    ) -> "dict[str, np.ndarray | list[str]]":  # fmt: skip
        """Count the bases of the reads at known sites, as bcftools mpileup counts them.

        Parameters
        ----------
        sites
            A file (VCF, BED, or a table of contigs and 1-based positions), or pairs of contig and 0-based position.
        min_baseq
            Count only bases with at least this quality (-Q); if it is 0, qualities are not read.
        min_mapq, exclude_flags, orphans, overlaps, workers
            As in `pileup`. Where mates overlap, both count if `min_baseq` is 0.

        Returns
        -------
        dict
            Columns with an element for each site, in the order given. `contig`, `ref`, `alt`: lists of str; `ref` and
            `alt` are "." if the file has none. `position` (int64, 0-based). `depth` (int32): the number of bases.
            `A C G T N` on the forward strand, `a c g t n` on the reverse strand, deletions `*` and `#` (int32); `N`
            includes all other bases. `ADF` and `ADR` (int32): the number of reads with each allele, on the forward and
            on the reverse strand, or -1 for alleles that are not counted; the alleles of site i, REF and each ALT, are
            `first_allele[i]:first_allele[i + 1]` (int64).
        """
        from bams3.alleles.known import SITES, SiteFile, Sites, count_arrays
        from bams3.alleles.pileup import PileOptions
        from bams3.parallel.workers import Workers

        options = PileOptions(exclude=exclude_flags, min_mapq=min_mapq, orphans=orphans, overlaps=overlaps)
        if isinstance(sites, str | PathLike):
            blocks: Iterable[Sites] = SiteFile(fspath(sites)).blocks(SITES, [self._reader])
        else:
            pairs = [(contig, index(position)) for contig, position in sites]
            for contig, position in pairs:
                window = self._window(contig, position, None)
                if window.start == window.end:
                    raise UsageError(
                        f"{contig}: position {position} is past the end of the contig ({window.end} bp)"
                    )
            blocks = [Sites.of(pairs)] if pairs else []
        with Workers(threads(workers)) as pool:
            return count_arrays(self._reader, blocks, options, min_baseq, pool)

    def fetch(
        self, contig: str | None = None, start: int | None = None, stop: int | None = None,
        region: str | None = None, *, until_eof: bool = False, filter: str | None = None, require_flags: int = 0,
        exclude_flags: int = 0, min_mapq: int = 0, workers: WorkerCount = 1,
    ) -> Iterator["pysam.AlignedSegment"]:  # fmt: skip
        """Yield the records that overlap a region, in order, as pysam.AlignedSegment.

        As in pysam, the default is all records on contigs; `until_eof` adds those without a position. Records are
        decoded during iteration, slightly ahead; closing the iterator stops this.
        """
        chosen = self._chosen(contig, start, stop, region, until_eof)
        record_filter = filter_of(filter, require_flags, exclude_flags, min_mapq)
        return segments(query(self._reader, chosen, record_filter, threads(workers)), self._reader.header)

    def _chosen(
        self, contig: str | None, start: int | None, stop: int | None, region: str | None, until_eof: bool
    ) -> list[Region] | None:
        """Return the regions that the parameters of `fetch` select; None for everything."""
        if contig is None and (start is not None or stop is not None):
            raise UsageError("start and stop need a contig")
        if region is not None:
            if contig is not None:
                raise UsageError(
                    f"contig and region cannot be combined ({contig!r}, {region!r}); give one of them"
                )
            return parse_regions([region], self._references)
        if contig is not None:
            return self.regions_of([(contig, start, stop)])
        return None if until_eof else parse_regions(["*"], self._references)

    def regions_of(self, regions: RegionLike | Iterable[RegionLike]) -> list[Region]:
        """Look up region strings or (contig, start, stop). Raises UsageError."""
        chosen: list[Region] = []
        for region in each_region(regions):
            if isinstance(region, str):
                chosen += parse_regions([region], self._references)
            elif region[0] == "*":
                chosen.append(UNPLACED)
            else:
                window = self._window(*region)
                chosen += [window] if window.start < window.end else []
        return chosen

    def _window(self, contig: str, start: int | None, stop: int | None) -> Region:
        if contig not in self._contigs:
            is_region = isinstance(contig, str) and ":" in contig
            advice = "; give contig, start and stop, or a region string as `region`" if is_region else ""
            raise UsageError(f"unknown contig {contig!r}{advice}")
        reference_id, length = self._contigs[contig]
        first = 0 if start is None else index(start)
        last = length if stop is None else index(stop)
        if first > length:
            raise UsageError(f"{contig}: start {first} is past the end of the contig ({length} bp)")
        if not 0 <= first <= last:
            raise UsageError(f"{contig}: from {first} to {last} is not an interval (0 <= start <= stop)")
        return Region(reference_id, first, min(last, length))


def each_region(regions: RegionLike | Iterable[RegionLike]) -> Iterable[RegionLike]:
    """Return the regions as an iterable; a single string or (contig, start, stop) is also accepted."""
    alone = isinstance(regions, tuple) and len(regions) == 3 and not isinstance(regions[1], str | tuple)
    return [regions] if isinstance(regions, str) or alone else regions  # type: ignore[list-item, return-value]


def filter_of(text: str | None, require: int, exclude: int, min_mapq: int) -> RecordFilter:
    """Return the filter that these parameters describe."""
    if text is None:
        return RecordFilter(require, exclude, min_mapq)
    from bams3.select.filters import Expression

    return RecordFilter(require, exclude, min_mapq, None, Expression(text))


def threads(workers: WorkerCount) -> int:
    """Return the number of threads."""
    if workers == 1:
        return 1
    return worker_count(workers)


def segments(blocks: Iterator["RecordBlock"], header: "Header") -> Iterator["pysam.AlignedSegment"]:
    """Yield records as pysam.AlignedSegment; they are passed to pysam through a pipe, as uncompressed BAM."""
    import pysam

    from bams3.output.alignments import bam_bytes, piped

    # `blocks` is closed last, after the thread that consumes it has ended; this ends the threads that produce blocks.
    with (
        closing(blocks),  # type: ignore[type-var]
        piped(bam_bytes(blocks, header)) as pipe,
        pysam.AlignmentFile(pipe, "rb", check_sq=False) as alignments,
    ):
        yield from alignments
