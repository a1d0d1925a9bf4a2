"""Parts of a virtual BAM: which bytes of it, or which records, answer a query, in blocks of moderate size."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from bams3.bam.regions import Region, RegionTable, merge_regions
from bams3.bridge.blocks import stored
from bams3.bridge.library import Content, Served
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.reader import RowGroup
from bams3.dataset.reader import DatasetReader
from bams3.select.kernels import keep_overlapping
from bams3.select.projection import Projection
from bams3.select.query import RecordFilter, partial_records, query, row_group_jobs

LARGEST = 256 << 20  # bytes of a block, unless a row group or a chunk has more


class Bytes(NamedTuple):
    """The bytes [start, end) of the virtual BAM."""

    start: int
    end: int


class Records(NamedTuple):
    """The records of the chunks [first, last), by number, that overlap `regions` and `visible` (None: all records)."""

    first: int
    last: int
    regions: Sequence[Region] | None
    visible: Sequence[Region] | None
    projection: Projection


def row_groups(served: Served, regions: Sequence[Region] | None) -> Iterator[Bytes]:
    """Yield the bytes of the row groups that may hold records of regions, in order."""
    start = end = 0
    for number in _numbers(served, regions):
        begin, finish = served.bam.place(number)
        if end != begin or finish - start > LARGEST:
            if start < end:
                yield Bytes(start, end)
            start = begin
        end = finish
    if start < end:
        yield Bytes(start, end)


def _numbers(served: Served, regions: Sequence[Region] | None) -> Iterator[int]:
    firsts, count = {}, 0
    for entry in served.dataset.index:
        firsts[entry.path] = count
        count += len(entry.zones)
    if regions is None:
        yield from range(count)
        return
    for group, _ in row_group_jobs(served.dataset, regions, RecordFilter()):
        yield firsts[group.chunk.path] + group.number


def records(
    served: Served, regions: Sequence[Region] | None, visible: Sequence[Region] | None, projection: Projection
) -> Iterator[Records]:
    """Yield what holds exactly the records that overlap regions and what is visible, in order."""
    index = served.dataset.index
    size = 0
    held: list[
        tuple[int, set[Region]]
    ] = []  # chunks by number, and the regions that their row groups overlap

    def part() -> Records:
        places = None if regions is None else merge_regions(set().union(*(here for _, here in held)))
        entries = index[held[0][0] : held[-1][0] + 1]
        seen = None if visible is None else [place for place in visible if _touches(place, entries)]
        return Records(held[0][0], held[-1][0] + 1, places, seen, projection)

    for number, here in _chunks(served, regions):
        if visible is not None and not any(_touches(place, index[number : number + 1]) for place in visible):
            continue
        more = sum(zone.bytes for zone in index[number].zones)
        if held and size + more > LARGEST:
            yield part()
            held, size = [], 0
        held.append((number, here))
        size += more
    if held:
        yield part()


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
    jobs = row_group_jobs(served.dataset, regions, RecordFilter())
    for path, of_chunk in groupby(jobs, key=lambda job: job[0].chunk.path):
        number = numbers[path]
        places = {place for _, intervals in of_chunk for place in zip(*intervals, strict=True)}
        yield number, {Region(index[number].reference_id, start, end) for start, end in places}


def content_of(served: Served, part: Bytes) -> Content:
    """Return some bytes of a virtual BAM as a file of their own."""
    size = part.end - part.start

    def read(offset: int, length: int) -> bytes:
        return served.bam.read(part.start + offset, min(length, size - offset))

    return Content(size, f"{served.bam.etag}-{part.start}-{part.end}", served.bam.modified, read)


def pieces_of(served: Served, part: Records) -> Iterator[bytes]:
    """Yield records in stored BGZF blocks. Raises FormatError, DatasetError and OSError."""
    dataset = served.dataset.only(served.dataset.index[part.first : part.last])
    record_filter = RecordFilter() if part.visible is None else _Visible(part.visible)
    if part.projection.is_whole:
        found = query(dataset, part.regions, record_filter)
    else:
        found = partial_records(dataset, part.regions, record_filter, part.projection)
    for block in found:
        data = memoryview(block.data)[block.offsets[0] : block.offsets[-1]]
        yield b"".join(stored(data))


class _Visible(RecordFilter):
    """Passes records that overlap regions."""

    def __new__(cls, regions: Sequence[Region]) -> "_Visible":
        return super().__new__(cls)

    def __init__(self, regions: Sequence[Region]) -> None:
        merged = RegionTable.of(regions).merged()
        self._places = {number: (starts, ends) for number, starts, ends in merged}

    def verdict(self, group: RowGroup) -> bool | None:
        """Not known before the records are looked at."""
        return None

    def apply(self, mask: bytearray, group: RowGroup, dataset: DatasetReader) -> None:
        """Clear the entries of records that overlap no region."""
        number = group.stored_reference_id
        nowhere = array("q"), array("q")
        if number >= 0 or number not in self._places:
            keep_overlapping(mask, group.pos, group.end, *self._places.get(number, nowhere))
