"""Extraction and counting of the records of a dataset that overlap regions and pass filters."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, compress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from bams3.bam.regions import LAST, UNPLACED, Region, RegionTable
from bams3.dataset import layout
from bams3.dataset.prefetch import Job, Plan, plan_all, plan_hot
from bams3.parallel.workers import Workers, in_order, together
from bams3.select.fields import FilterColumns
from bams3.select.kernels import keep_flags, keep_mapq, keep_overlapping, kept_records
from bams3.select.schema import HEADER_FIELDS, streams_of

if TYPE_CHECKING:
    from bams3.bam.records import RecordBlock
    from bams3.chunk.row_group import RowGroup
    from bams3.chunk.spans import Span
    from bams3.dataset.reader import DatasetReader as Dataset
    from bams3.select.filters import Expression
    from bams3.select.overlaps import Counted, Overlaps
    from bams3.select.projection import Projection

Item = TypeVar("Item")
Result = TypeVar("Result")
Intervals: TypeAlias = "tuple[array[int], array[int]]"
"""Starts and ends of intervals, 0-based and half-open, sorted and disjoint."""


def _size(job: tuple[Any, ...]) -> int:
    """Return the number of bytes of the records in a job's row group."""
    size: int = job[0].size
    return size


class RecordFilter(NamedTuple):
    """Conditions on records other than their position. They correspond to options of `samtools view`.

    `require`, `exclude`: FLAG bits that must all be set (-f), or must all be clear (-F). `min_mapq`: least mapping
    quality (-q). `read_groups`: only records of these read groups (-r) or, as in samtools, without an RG tag.
    `expression`: filter expression (-e).
    """

    require: int = 0
    exclude: int = 0
    min_mapq: int = 0
    read_groups: tuple[str, ...] | None = None
    expression: Expression | None = None

    def verdict(self, group: RowGroup) -> bool | None:
        """Decide from the zone map: True if all records of a row group pass, False if none can, None if unknown."""
        if (
            group.zone.flags_any & self.require != self.require
            or group.zone.flags_all & self.exclude
            or group.zone.max_mapq < self.min_mapq
            or (self.expression is not None and not self.expression.may_match(group.zone))
        ):
            return False
        looks_inside = (
            self.read_groups is not None
            or self.expression is not None
            or group.zone.flags_all & self.require != self.require
            or group.zone.flags_any & self.exclude
            or group.zone.min_mapq < self.min_mapq
        )
        return None if looks_inside else True

    @property
    def fields(self) -> frozenset[str]:
        """Names of the fields of `FilterColumns` that `apply` reads."""
        fields = self.expression.fields if self.expression else ()
        return frozenset(fields) | ({"[RG]"} if self.read_groups is not None else set())

    def apply(self, mask: bytearray, group: RowGroup, dataset: Dataset) -> None:
        """Clear the entries of `mask`, shape (n,), whose records do not pass. Only the needed columns are decoded."""
        if self.require or self.exclude:
            keep_flags(mask, group.flag, self.require, self.exclude)
        if self.min_mapq:
            keep_mapq(mask, group.mapq, self.min_mapq)
        if self.read_groups is not None and 1 in mask:
            for i, value in enumerate(group.tag("RG")):
                if value is not None and value not in self.read_groups:
                    mask[i] = 0
        if self.expression is not None and 1 in mask:
            import numpy as np

            passes = self.expression.evaluate(FilterColumns(group, lambda: dataset.header), group.records)
            np.frombuffer(mask, np.uint8)[:] &= passes


def query(
    dataset: Dataset,
    regions: Iterable[Region] | None,
    record_filter: RecordFilter,
    workers: int | Workers = 1,
) -> Iterator[RecordBlock]:
    """Yield blocks of the records that overlap any of `regions` (all records if None) and pass the filter.

    Each record comes once, in the order of the dataset. `workers` threads decode row groups, a few of them in advance.
    """

    def whole(group: RowGroup) -> RecordBlock:
        group.load()
        block: RecordBlock = group.block()
        return block

    jobs = dataset.fetched(record_jobs(dataset, regions, record_filter), plan_all)
    yield from _blocks(dataset, jobs, record_filter, whole, workers)


def reads(
    dataset: Dataset,
    regions: Iterable[Region] | None,
    record_filter: RecordFilter,
    workers: int | Workers = 1,
) -> Iterator[RecordBlock]:
    """Like `query`, but yield records of unaligned reads that have only names, FLAGs, bases and qualities.

    Only the columns of these, and those that the filter needs, are read.
    """
    from bams3.codec.partial import reads as reads_of

    jobs = dataset.fetched(record_jobs(dataset, regions, record_filter), plan_hot)
    jobs = _streams_too(dataset, jobs, record_filter.fields | {"qname", "seq", "qual"})
    yield from _blocks(dataset, jobs, record_filter, reads_of, workers)


def partial_records(
    dataset: Dataset, regions: Iterable[Region] | None, record_filter: RecordFilter, projection: Projection
) -> Iterator[RecordBlock]:
    """Like `query`, but yield records that have only the fields and tags of a projection; only these are read."""
    from bams3.codec.partial import partial

    jobs = dataset.fetched(row_group_jobs(dataset, regions, record_filter), plan_hot)
    jobs = _streams_too(dataset, jobs, record_filter.fields)
    jobs = dataset.fetched(jobs, _plan_of(projection.needs))

    def some(group: RowGroup) -> RecordBlock:
        block: RecordBlock = partial(group, projection.fields, projection.keeps)
        return block

    yield from _blocks(dataset, jobs, record_filter, some, 1)


def _blocks(
    dataset: Dataset,
    jobs: Iterable[tuple[RowGroup, Intervals]],
    record_filter: RecordFilter,
    of_group: Callable[[RowGroup], RecordBlock],
    workers: int | Workers,
) -> Iterator[RecordBlock]:
    """Yield, for each job, those of the records from `of_group` that match."""

    def matching_records(job: tuple[RowGroup, Intervals]) -> RecordBlock | None:
        group, intervals = job
        mask = matches(group, intervals, record_filter, dataset)
        if mask is not None and 1 not in mask:
            return None
        return of_group(group) if mask is None else kept_records(of_group(group), mask)

    for block in in_order(matching_records, jobs, workers):
        if block is not None:
            yield block


def batch(
    dataset: Dataset, regions: Iterable[Region] | None, record_filter: RecordFilter, number: int, of: int
) -> Dataset:
    """Return the dataset, restricted to one of several runs of the chunks that a query reads.

    It is the `number`-th (from 1) of `of` runs, which are about equal in bytes. Every record that `query` yields is in
    exactly one of these batches.
    """
    read = {group.path for group, _ in row_group_jobs(dataset, regions, record_filter)}
    chunks = [entry for entry in dataset.index if entry.path in read]
    return dataset.only(layout.batch(chunks, [entry.size for entry in chunks], number, of))


def count(
    dataset: Dataset, regions: Iterable[Region] | None, record_filter: RecordFilter, workers: int = 1
) -> int:
    """Return the number of records that `query` would yield. Row groups are not read if their zone maps are enough."""

    told = 0

    def matching_count(run: list[tuple[RowGroup, Intervals]]) -> int:
        masks = (matches(*job, record_filter, dataset) for job in run)
        return sum(mask.count(1) for mask in masks if mask is not None)

    def to_look_into(jobs: Iterable[tuple[RowGroup, Intervals]]) -> Iterator[tuple[RowGroup, Intervals]]:
        nonlocal told
        for group, intervals in jobs:
            if inside(group, intervals) and record_filter.verdict(group):
                told += group.records
            else:
                yield group, intervals

    jobs = dataset.fetched(record_jobs(dataset, regions, record_filter), count_plan(record_filter, inside))
    jobs = _streams_too(dataset, jobs, record_filter.fields)
    return sum(in_order(matching_count, together(to_look_into(jobs), _size), workers)) + told


def count_each(
    dataset: Dataset, regions: Sequence[Region], record_filter: RecordFilter, workers: int = 1
) -> array[int]:
    """Count, for each of `regions` separately, the records that overlap it and pass the filter.

    Returns an array('q') of len(regions). The numbers are those that `count` returns for each region, but a row group
    is decoded only once for all regions, by one of `workers` threads.
    """

    def counted(run: list[tuple[RowGroup, Overlaps]]) -> list[tuple[Overlaps, Counted]]:
        found = []
        for group, overlaps in run:
            mask = bytearray(b"\1") * group.records
            if not record_filter.verdict(group):
                record_filter.apply(mask, group, dataset)
            found.append((overlaps, overlaps.count(group, mask)))
        return found

    every = shared_regions(dataset, regions)
    plan = count_plan(record_filter, lambda group, overlaps: overlaps.alike(group))
    jobs = dataset.fetched(shared_jobs(dataset, every, record_filter), plan)
    runs = together(_streams_too(dataset, jobs, record_filter.fields), _size)
    for overlaps, numbers in chain.from_iterable(in_order(counted, runs, workers)):
        overlaps.add(numbers)
    totals = array("q", bytes(8)) * len(regions)
    for overlaps in every:
        overlaps.put(totals)
    return totals


def count_plan(record_filter: RecordFilter, alike: Callable[[RowGroup, Any], bool]) -> Plan[Any]:
    """Return the plan by which `count` and `count_each` fetch the hot streams of their jobs (row group, intervals).

    It skips row groups whose records, according to their zone maps, all pass and all overlap the same intervals
    (`alike`).
    """

    def is_open(group: RowGroup, intervals: Any) -> bool:
        return not record_filter.verdict(group) or not alike(group, intervals)

    return lambda jobs: plan_hot([job for job in jobs if is_open(*job)])


def columns(
    dataset: Dataset,
    regions: Iterable[Region] | None,
    record_filter: RecordFilter,
    fields: Iterable[str],
    workers: int = 1,
) -> Iterator[dict[str, Any]]:
    """Yield the records of `query` as columns: for each row group, a dict of the `fields` (tags are written `[NM]`).

    Numbers are in numpy arrays of shape (n,); text and tags are in lists. Only the requested columns and those that the
    filter needs are read. Raises UsageError for an unknown field.
    """
    fields = tuple(fields)

    def matching_columns(job: tuple[RowGroup, Intervals]) -> dict[str, Any] | None:
        group, intervals = job
        mask = matches(group, intervals, record_filter, dataset)
        table = FilterColumns(group, lambda: dataset.header)
        if mask is None:
            return {field: table[field] for field in fields}
        return {field: _chosen(table[field], mask) for field in fields} if 1 in mask else None

    jobs = column_jobs(dataset, regions, record_filter, fields)
    for table in in_order(matching_columns, jobs, workers):
        if table is not None:
            yield table


def column_jobs(
    dataset: Dataset, regions: Iterable[Region] | None, record_filter: RecordFilter, fields: Iterable[str]
) -> Iterator[tuple[RowGroup, Intervals]]:
    """Like `record_jobs`, but also fetch the streams that the fields and the filter need."""
    jobs = dataset.fetched(record_jobs(dataset, regions, record_filter), plan_hot)
    return _streams_too(dataset, jobs, record_filter.fields | frozenset(fields))


def _chosen(column: Any, mask: bytearray) -> Any:
    """Select the values of a column, a list or a numpy array, that `mask` keeps."""
    if isinstance(column, list):
        return list(compress(column, mask))
    import numpy as np

    return column[np.frombuffer(mask, np.bool_)]


def _streams_too(dataset: Dataset, jobs: Iterator[Job], fields: Iterable[str]) -> Iterator[Job]:
    """Fetch, for jobs whose hot streams are already fetched, the other streams that the fields need."""
    if HEADER_FIELDS.intersection(fields):
        _ = dataset.header  # read it once, before several threads need it
    return dataset.fetched(jobs, streams_plan(fields)) if streams_of(fields) else jobs


def streams_plan(fields: Iterable[str]) -> Plan[Any]:
    """Return the plan that fetches the cold streams that fields need."""
    names = streams_of(fields)
    return _plan_of(lambda name: name.startswith(names))


def _plan_of(wanted: Callable[[str], bool]) -> Plan[Any]:
    def plan(jobs: list[Any]) -> list[Span]:
        groups = [job[0] for job in jobs if job[0].spans]
        return groups[0].chunk.plan_streams(groups, wanted) if groups else []

    return plan


def row_group_jobs(
    dataset: Dataset,
    regions: Iterable[Region] | None,
    record_filter: RecordFilter,
    *,
    by_index: bool = False,
) -> Iterator[tuple[RowGroup, Intervals]]:
    """Yield the row groups that may hold matching records, in order, each with the intervals that overlap it.

    `by_index`: rely on the chunk index for now. Footers are compared with it when records are decoded.
    """
    references = dataset.references
    if regions is None:
        everywhere = [Region(i, -1, length) for i, (_, length) in enumerate(references)]
        regions = [*everywhere, UNPLACED]
    for reference_id, starts, ends in RegionTable.of(regions).merged():
        if reference_id < 0:
            groups = dataset.unplaced_row_groups()
            starts, ends = array("q", [-1]), array("q", [LAST])
        else:
            if ends[-1] == references[reference_id][1]:
                ends[-1] = LAST  # as in samtools, reads past the contig's end belong to such a region
            groups = dataset.row_groups(reference_id, starts[0], ends[-1], () if by_index else (starts, ends))
        for group in groups:
            first, last = bisect_right(ends, group.zone.min_pos), bisect_left(starts, group.zone.max_end)
            if first < last and record_filter.verdict(group) is not False:
                yield group, (starts[first:last], ends[first:last])


def record_jobs(
    dataset: Dataset, regions: Iterable[Region] | None, record_filter: RecordFilter
) -> Iterator[tuple[RowGroup, Intervals]]:
    """Like `row_group_jobs`, but row groups that contigs share come once, without a `reference_id`, for all records."""
    if regions is not None:
        yield from row_group_jobs(dataset, regions, record_filter)
        return
    everywhere = array("q", [-1]), array("q", [LAST])
    for group in dataset.all_row_groups():
        if record_filter.verdict(group) is not False:
            yield group, everywhere


def shared_regions(dataset: Dataset, regions: Iterable[Region]) -> list[Overlaps]:
    """Return the regions of each contig, for counting each region separately."""
    from bams3.select.overlaps import Overlaps

    found = []
    for reference_id, starts, ends, rows in RegionTable.of(regions).by_reference():
        length = dataset.references[reference_id][1] if reference_id >= 0 else LAST
        ends = array("q", (end if end != length else LAST for end in ends))
        found.append(Overlaps(reference_id, starts, ends, rows))
    return found


def shared_jobs(
    dataset: Dataset, every: Iterable[Overlaps], record_filter: RecordFilter
) -> Iterator[tuple[RowGroup, Overlaps]]:
    """Yield the row groups that may hold matching records, in order, each with the regions of its contig."""
    for overlaps in every:
        for group in dataset.row_groups(overlaps.reference_id, *overlaps.extent, overlaps.borders):
            if overlaps.touch(group) and record_filter.verdict(group) is not False:
                yield group, overlaps


def inside(group: RowGroup, intervals: Intervals) -> bool:
    """Tell whether all records of a row group start in the same interval."""
    starts, ends = intervals
    last = bisect_right(starts, group.zone.min_pos) - 1
    return last >= 0 and group.zone.max_pos < ends[last]


def matches(
    group: RowGroup, intervals: Intervals, record_filter: RecordFilter, dataset: Dataset
) -> bytearray | None:
    """Return a mask, shape (n,), with 1 for records that overlap an interval and pass the filter; None if all do."""
    is_inside = inside(group, intervals)
    passes = record_filter.verdict(group)
    if is_inside and passes:
        return None
    mask = bytearray(b"\1") * group.records
    if not is_inside:
        keep_overlapping(mask, group.pos, group.end, *intervals)
    if not passes and 1 in mask:
        record_filter.apply(mask, group, dataset)
    return mask
