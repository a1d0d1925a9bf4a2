"""Parts of a virtual BAM: which bytes of it, or which records, answer a query, in blocks of moderate size."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from bams3.bam.regions import Region, merge_regions
from bams3.bridge.blocks import stored
from bams3.bridge.library import Content, Served
from bams3.select.projection import Projection
from bams3.select.query import RecordFilter, partial_records, query, row_group_jobs

LARGEST = 256 << 20  # bytes of a block, unless a row group or a chunk has more


class Bytes(NamedTuple):
    """The bytes [start, end) of the virtual BAM."""

    start: int
    end: int


class Records(NamedTuple):
    """The records of the chunks [first, last), by number, that overlap regions (None: all)."""

    first: int
    last: int
    regions: Sequence[Region] | None
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


def records(served: Served, regions: Sequence[Region] | None, projection: Projection) -> Iterator[Records]:
    """Yield what holds exactly the records of regions, in order."""
    index = served.dataset.index
    size = 0
    held: list[
        tuple[int, set[Region]]
    ] = []  # chunks by number, and the regions that their row groups overlap

    def part() -> Records:
        places = None if regions is None else merge_regions(set().union(*(here for _, here in held)))
        return Records(held[0][0], held[-1][0] + 1, places, projection)

    for number, here in _chunks(served, regions):
        more = sum(zone.bytes for zone in index[number].zones)
        if held and size + more > LARGEST:
            yield part()
            held, size = [], 0
        held.append((number, here))
        size += more
    if held:
        yield part()


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
    if part.projection.is_whole:
        found = query(dataset, part.regions, RecordFilter())
    else:
        found = partial_records(dataset, part.regions, part.projection)
    for block in found:
        data = memoryview(block.data)[block.offsets[0] : block.offsets[-1]]
        yield b"".join(stored(data))
