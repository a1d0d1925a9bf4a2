"""Finds the bytes or records of a virtual BAM that answer a query, divided into blocks of moderate size."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

from bams3.bam.records import RecordBlock
from bams3.bam.regions import Region, RegionTable, merge_regions
from bams3.bridge.blocks import Stored
from bams3.bridge.library import Content, Served
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.row_group import RowGroup
from bams3.dataset.reader import DatasetReader
from bams3.select.kernels import keep_overlapping, kept_records
from bams3.select.projection import Projection
from bams3.select.query import Intervals, RecordFilter, inside, partial_records, row_group_jobs

Item = TypeVar("Item")
NOWHERE: Intervals = array("q"), array("q")
LARGEST = 256 << 20  # bytes of a block, at most, unless a single row group or chunk has more
REGIONS = 400  # regions of a block, at most, in the same way: its URL has them, and proxies accept 8 KiB


class Bytes(NamedTuple):
    """The bytes [start, end) of the virtual BAM."""

    start: int
    end: int


class Cut(NamedTuple):
    """The records of some row groups, by number, that overlap `regions` and `visible` (None: all records)."""

    numbers: Sequence[int]
    regions: Sequence[Region]
    visible: Sequence[Region] | None


class ChunkRecords(NamedTuple):
    """The records of the chunks [first, last), by number, that overlap `regions` and `visible` (None: all records)."""

    first: int
    last: int
    regions: Sequence[Region] | None
    visible: Sequence[Region] | None
    projection: Projection


Part = Bytes | Cut | ChunkRecords


def everything(served: Served) -> Iterator[Bytes]:
    """Yield all records, in order."""
    yield from _joined(map(served.bam.place, range(len(served.bam.row_groups.places))))


def _joined(places: Iterable[tuple[int, int]]) -> Iterator[Bytes]:
    """Join adjacent ranges of the virtual BAM."""
    start = end = 0
    for begin, finish in places:
        if end != begin or finish - start > LARGEST:
            if start < end:
                yield Bytes(start, end)
            start = begin
        end = finish
    if start < end:
        yield Bytes(start, end)


def whole_records(
    served: Served, regions: Sequence[Region], visible: Sequence[Region] | None
) -> Iterator[Bytes | Cut]:
    """Yield exactly the records that overlap regions and the visible regions, in order: whole or cut row groups."""
    seen = None if visible is None else _by_reference(visible)
    for whole, run in groupby(_touched(served, regions, seen), key=lambda touched: touched.whole):
        if whole:
            yield from _joined(served.bam.place(each.number) for each in run)
        else:
            for some in _within(run, lambda each: _weight(each.size, len(each.regions) + len(each.visible))):
                places = {place for each in some for place in each.regions}
                here = None if visible is None else {place for each in some for place in each.visible}
                yield Cut(
                    [each.number for each in some],
                    merge_regions(places),
                    None if here is None else merge_regions(here),
                )


class _Touched(NamedTuple):
    """A row group that may hold records of an answer. `whole`: all its records belong to it. `size`: their bytes."""

    number: int
    size: int
    whole: bool
    regions: Sequence[Region]
    visible: Sequence[Region]


def _touched(
    served: Served, regions: Sequence[Region], visible: Mapping[int, Intervals] | None
) -> Iterator[_Touched]:
    for group, intervals in row_group_jobs(served.dataset, regions, RecordFilter(), by_index=True):
        number = served.numbers[group.path, group.number]
        reference = served.bam.row_groups.places[number][0].reference_id
        whole, seen = inside(group, intervals), NOWHERE
        if visible is not None:
            starts, ends = visible.get(reference, NOWHERE)
            first, last = bisect_right(ends, group.zone.min_pos), bisect_left(starts, group.zone.max_end)
            seen = starts[first:last], ends[first:last]
            if not seen[0]:
                continue
            whole = whole and inside(group, seen)
        places = [
            [Region(reference, *place) for place in zip(*each, strict=True)] for each in (intervals, seen)
        ]
        yield _Touched(number, group.zone.bytes, whole, *places)


def _within(items: Iterable[Item], weight: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Divide items into runs with a weight of at most `LARGEST` together, or of a single item."""
    held: list[Item] = []
    total = 0
    for item in items:
        if held and total + weight(item) > LARGEST:
            yield held
            held, total = [], 0
        held.append(item)
        total += weight(item)
    if held:
        yield held


def _weight(size: int, regions: int) -> int:
    """What a part of a block weighs: its bytes, or more if it has many regions."""
    return max(size, regions * (LARGEST // REGIONS))


def records(
    served: Served, regions: Sequence[Region] | None, visible: Sequence[Region] | None, projection: Projection
) -> Iterator[ChunkRecords]:
    """Yield the chunks with exactly the records that overlap regions and the visible regions, in order."""
    index = served.dataset.index
    wanted = (
        each for each in _chunks(served, regions)
        if visible is None or any(_touches(place, index[each[0] : each[0] + 1]) for place in visible)
    )  # fmt: skip
    for some in _within(
        wanted,
        lambda each: _weight(sum(zone.bytes for zone in index[each[0]].zones), len(each[1])),
    ):
        first, last = some[0][0], some[-1][0] + 1
        places = None if regions is None else merge_regions(set().union(*(here for _, here in some)))
        seen = None if visible is None else [each for each in visible if _touches(each, index[first:last])]
        yield ChunkRecords(first, last, places, seen, projection)


def _touches(place: Region, entries: Sequence[ChunkEntry]) -> bool:
    """Whether records of any of the chunks may overlap a region."""
    return any(
        place.reference_id == entry.reference_id
        and (entry.reference_id < 0 or (place.start < entry.max_end and place.end > entry.min_pos))
        for entry in entries
    )


def _chunks(served: Served, regions: Sequence[Region] | None) -> Iterator[tuple[int, set[Region]]]:
    index = served.dataset.index
    if regions is None:
        yield from ((number, set()) for number in range(len(index)))
        return
    numbers = {entry.path: number for number, entry in enumerate(index)}
    jobs = row_group_jobs(served.dataset, regions, RecordFilter(), by_index=True)
    for path, of_chunk in groupby(jobs, key=lambda job: job[0].path):
        number = numbers[path]
        places = {place for _, intervals in of_chunk for place in zip(*intervals, strict=True)}
        yield number, {Region(index[number].reference_id, start, end) for start, end in places}


def content_of(served: Served, part: Bytes) -> Content:
    """Return some bytes of a virtual BAM as a separate file."""
    size = part.end - part.start

    def within(take: Callable[[int, int], bytes]) -> Callable[[int, int], bytes]:
        return lambda offset, length: take(part.start + offset, min(length, size - offset))

    read, at_hand = within(served.bam.read_some), within(served.bam.at_hand)
    return Content(size, f"{served.bam.etag}-{part.start}-{part.end}", served.bam.modified, read, at_hand)


def cut_out(served: Served, part: Cut) -> Iterator[bytes]:
    """Yield records in stored BGZF blocks. Raises FormatError, DatasetError and OSError."""
    asked, seen = _by_reference(part.regions), None if part.visible is None else _by_reference(part.visible)
    row_groups = served.bam.row_groups
    for at, number in enumerate(part.numbers, 1):
        reference = row_groups.places[number][0].reference_id
        block, pos, end = row_groups.decoded(number, part.numbers[at : at + row_groups.ahead])
        mask = bytearray(b"\1") * len(pos)
        for places in (asked, seen):
            if places is not None:
                keep_overlapping(mask, pos, end, *places.get(reference, NOWHERE))
        if 1 in mask:
            yield _blocks(kept_records(block, mask))


def decoded(served: Served, part: ChunkRecords) -> Iterator[bytes]:
    """Like `cut_out`, but decoded in this thread."""
    dataset = served.dataset.only(served.dataset.index[part.first : part.last])
    record_filter = RecordFilter() if part.visible is None else _Visible(part.visible)
    yield from map(_blocks, partial_records(dataset, part.regions, record_filter, part.projection))


def _blocks(block: RecordBlock) -> bytes:
    return bytes(Stored(memoryview(block.data)[block.offsets[0] : block.offsets[-1]]))


def _by_reference(regions: Sequence[Region]) -> dict[int, Intervals]:
    return {number: (starts, ends) for number, starts, ends in RegionTable.of(regions).merged()}


class _Visible(RecordFilter):
    """A filter for records that overlap regions."""

    def __new__(cls, regions: Sequence[Region]) -> "_Visible":
        return super().__new__(cls)

    def __init__(self, regions: Sequence[Region]) -> None:
        self._places = _by_reference(regions)

    def verdict(self, group: RowGroup) -> bool | None:
        """Always None: it depends on the records."""
        return None

    def apply(self, mask: bytearray, group: RowGroup, dataset: DatasetReader) -> None:
        """Clear the mask of records that overlap no region."""
        number = group.stored_reference_id
        if number >= 0 or number not in self._places:
            keep_overlapping(mask, group.pos, group.end, *self._places.get(number, NOWHERE))
