"""Depth as samtools depth, coverage and bedcov count it: from the reads of a dataset, contig by contig."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from bams3.bam import intervals
from bams3.bam.flags import NOT_COUNTED, UNMAP
from bams3.bam.regions import LAST, Region
from bams3.coverage.depth import Depth
from bams3.coverage.runs import Runs, counted, keep_long
from bams3.coverage.tally import Tally
from bams3.dataset.prefetch import plan_hot
from bams3.errors import UsageError
from bams3.parallel.workers import Workers, in_order
from bams3.select.kernels import keep_any_flag, keep_overlapping
from bams3.select.query import Intervals, RecordFilter, inside, row_group_jobs, streams_plan

if TYPE_CHECKING:
    from bams3.chunk.row_group import RowGroup
    from bams3.dataset.reader import DatasetReader


class PileupOptions(NamedTuple):
    """Which reads count, and where.

    Attributes
    ----------
    exclude, require, any_of
        FLAG bits of which a read must have none, all, or at least one (0: no condition).
    min_mapq, min_quality
        Minimum mapping quality of a read, and minimum quality of a base.
    min_length, soft_clips
        Minimum length of a read in bases, and whether soft-clipped bases count for it.
    deletions
        Reads also count at deletions.
    extents
        Reads count from their start to their end, including skips and deletions.
    once
        Where mates overlap, only the first one counts (see `MateEnds`).
    pileup
        As in htslib's pileup, an operation of length 0 takes a position from the next one, and reads that are unmapped
        or cover no position do not count.
    """

    exclude: int = NOT_COUNTED
    require: int = 0
    any_of: int = 0
    min_mapq: int = 0
    min_length: int = 0
    soft_clips: bool = False
    min_quality: int = 0
    deletions: bool = False
    extents: bool = False
    once: bool = False
    pileup: bool = False

    @property
    def record_filter(self) -> RecordFilter:
        """The conditions that the zone maps of row groups can decide."""
        return RecordFilter(self.require, self.exclude, self.min_mapq)

    @property
    def columns(self) -> frozenset[str]:
        """The columns that are needed, in addition to those of hot streams."""
        needed = {"l_seq": self.min_length > 0, "qual": self.min_quality > 0, "names": self.once}
        return frozenset(name for name, is_needed in needed.items() if is_needed)

    def mask(self, group: RowGroup, within: Intervals, dataset: DatasetReader) -> bytearray:
        """Return one byte for each record of a row group: 1 if it is selected and overlaps the intervals."""
        mask = bytearray(b"\1") * group.records
        if not inside(group, within):
            keep_overlapping(mask, group.pos, group.end, *within)
        self.record_filter.apply(mask, group, dataset)
        if self.any_of:
            keep_any_flag(mask, group.flag, self.any_of)
        if self.min_length > 0:
            keep_long(mask, group, self.min_length, soft_clips=self.soft_clips)
        return mask


class Settled(NamedTuple):
    """The depth of consecutive positions of a contig, and the merged intervals that reads cover there."""

    depth: Depth
    starts: array[int]
    ends: array[int]

    @property
    def end(self) -> int:
        """The position after the last one."""
        return self.depth.start + len(self.depth)


def selected(
    dataset: DatasetReader,
    regions: Iterable[Region],
    options: PileupOptions,
    workers: Workers,
    columns: Iterable[str] = (),
) -> Iterator[tuple[RowGroup, bytearray]]:
    """Yield the row groups with reads that may count, in order, each with its mask. Threads decode them in advance.

    `columns` are additional columns of `codec.Columns` to decode.
    """
    return masked(dataset, row_group_jobs(dataset, regions, options.record_filter), options, workers, columns)


def masked(
    dataset: DatasetReader,
    jobs: Iterator[tuple[RowGroup, Intervals]],
    options: PileupOptions,
    workers: Workers,
    columns: Iterable[str] = (),
) -> Iterator[tuple[RowGroup, bytearray]]:
    """Like `selected`, for row groups that are given with the intervals that their reads may overlap."""
    needed = options.columns.union(columns)

    def decoded(job: tuple[RowGroup, Intervals]) -> tuple[RowGroup, bytearray]:
        group, within = job
        mask = options.mask(group, within, dataset)
        for column in ("end", *needed, *(("previous", "next_pos", "next_ref") if options.once else ())):
            getattr(group, column)
        return group, mask

    jobs = dataset.fetched(jobs, plan_hot)
    if needed:
        jobs = dataset.fetched(jobs, streams_plan(needed))
    return in_order(decoded, jobs, workers)


class Pileup:
    """The depth of a dataset, one contig after another, in the order of `shared_contigs`."""

    def __init__(
        self,
        dataset: DatasetReader,
        contigs: Sequence[tuple[str, int]],
        regions: Iterable[Region],
        options: PileupOptions,
        workers: Workers,
        *,
        begin: int = 0,
        sum_to: Sequence[int] = (),
    ) -> None:
        """Only reads that overlap `regions` of `contigs` count, and only from the position `begin` on.

        If `sum_to` is given, it has a position for each contig of the dataset; mapping qualities are summed, and the
        qualities of bases up to this position.
        """
        self._ids = {name: number for number, (name, _) in enumerate(dataset.references)}
        reads = _runs(dataset, own_regions(dataset, contigs, regions), options, workers, begin, sum_to)
        self._contigs = groupby(reads, lambda runs: runs.reference_id)
        self._next: tuple[int, Iterator[Runs]] | None = (-1, iter(()))

    def settled(self, contig: str, start: int, stop: int) -> Iterator[Settled]:
        """Yield the depth of the positions [start, stop) of a contig, 0-based, as consecutive `Settled`s."""
        return settled(self.runs(contig), start, stop)

    def runs(self, contig: str) -> Iterable[Runs]:
        """The reads of a contig, one row group at a time."""
        reference_id = self._ids.get(contig, -1)
        while self._next and self._next[0] < reference_id:
            self._next = next(self._contigs, None)
        return self._next[1] if self._next and self._next[0] == reference_id else ()


def _runs(
    dataset: DatasetReader,
    regions: Sequence[Region],
    options: PileupOptions,
    workers: Workers,
    begin: int,
    sum_to: Sequence[int],
) -> Iterator[Runs]:
    """Yield the reads that count, one row group at a time."""

    def jobs() -> Iterator[tuple[Any, ...]]:
        ends: Any = None
        if options.once:
            from bams3.coverage.mates import MateEnds

            ends = MateEnds()
        reference_id, reach = -1, 0
        for group, mask in selected(dataset, regions, options, workers, ("qual", "mapq") if sum_to else ()):
            if group.reference_id != reference_id:
                reference_id, reach = group.reference_id, 0
            yield group, mask, ends.clip(group, mask) if ends else None, reach
            if not options.exclude & UNMAP:
                reach = max(reach, max(compress(group.end, mask), default=0))

    def runs(job: tuple[Any, ...]) -> Runs:
        group, mask, clip, reach = job
        return counted(
            group, mask, extents=options.extents, deletions=options.deletions, min_quality=options.min_quality,
            pileup=options.pileup, clip=clip, begin=begin, reach=reach,
            sum_to=sum_to[group.reference_id] if sum_to else 0,
        )  # fmt: skip

    return in_order(runs, jobs(), workers)


def settled(reads: Iterable[Runs], start: int, stop: int) -> Iterator[Settled]:
    """Yield the depth of the positions [start, stop) of a contig, from all its reads, as `Pileup.settled` does."""
    tally = Tally(stop - start, start=start, exclude_flags=0, incremental=True)
    starts, ends = array("q"), array("q")
    for runs in reads:
        if runs.records:
            tally.add(runs)
            starts += runs.starts
            ends += runs.ends
            if depth := tally.settled():
                starts, ends = intervals.merged(starts, ends)
                until = depth.start + len(depth)
                yield Settled(depth, starts, ends)
                starts, ends = intervals.common(starts, ends, array("q", [until]), array("q", [LAST]))
    yield Settled(tally.finish(), *intervals.merged(starts, ends))


def shared_contigs(datasets: Sequence[DatasetReader]) -> list[tuple[str, int]]:
    """Return the contigs (name, length) of all datasets, in an order that agrees with the order in each of them.

    Raises UsageError if there is no such order, or if a contig has two lengths.
    """
    first, *others = datasets
    contigs = dict(first.references)
    for dataset in others:
        for name, length in dataset.references:
            if contigs.setdefault(name, length) != length:
                raise UsageError(
                    f"{dataset.uri}: contig {name} has {length} bp, but {contigs[name]} in another dataset; "
                    "give datasets of one reference genome"
                )
    numbers = {name: number for number, name in enumerate(contigs)}
    for dataset in others:
        order = [numbers[name] for name, _ in dataset.references]
        if order != sorted(order):
            raise UsageError(
                f"{dataset.uri}: its contigs are in a different order from those of {first.uri}; "
                "give datasets of one reference genome"
            )
    return list(contigs.items())


def own_regions(
    dataset: DatasetReader, contigs: Sequence[tuple[str, int]], regions: Iterable[Region]
) -> list[Region]:
    """Convert regions of `contigs` to regions of a dataset, without those on contigs that it does not have."""
    ids = {name: number for number, (name, _) in enumerate(dataset.references)}
    own = [ids.get(name, -1) for name, _ in contigs]
    return [Region(own[contig], *bounds) for contig, *bounds in regions if own[contig] >= 0]


def boundless(contigs: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return contigs of unlimited length, for regions that must not be clipped: reads may lie past a contig's end."""
    return [(name, LAST) for name, _ in contigs]


def one_region(text: str, contigs: Sequence[tuple[str, int]]) -> Region:
    """Parse a region of samtools' option -r. It is not clipped to its contig. Raises UsageError if it is invalid."""
    from bams3.bam.regions import parse_regions

    found = parse_regions([text], boundless(contigs))
    if len(found) != 1 or found[0].reference_id < 0 or found[0].start < 0:
        raise UsageError(
            f"region {text!r}: give one region, such as chr20 or chr20:1M-2M; for more, use a BED file"
        )
    return found[0]
