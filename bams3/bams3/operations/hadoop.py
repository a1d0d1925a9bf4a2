"""Hadoop-streaming mapper and reducer: chunk URIs in; lines of a key, a tab and a number out.

Any program that sorts lines by key can connect the two: `bams3 mapper … | sort | bams3 reducer`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Any

from bams3.chunk.entry import ChunkEntry
from bams3.chunk.reader import ChunkReader, open_chunk
from bams3.coverage import CoverageOptions, region_values
from bams3.coverage.intervals import Intervals, read_intervals, windows
from bams3.dataset import layout
from bams3.dataset.loose import LooseChunks
from bams3.dataset.reader import DatasetReader
from bams3.errors import UsageError
from bams3.select.query import RecordFilter, count
from bams3.shown import field
from bams3.warned import warn

FAR = 1 << 32
"""A position past every interval."""

Mapped = Iterator[tuple[str, int | float | str]]
ChunkMapper = Callable[[DatasetReader, ChunkEntry], Mapped]


def mapped(lines: Iterable[str], mapper: ChunkMapper) -> Iterator[str]:
    """Apply a mapper to the chunk whose URI each line holds, and yield lines of a key, a tab and a number.

    Text before a tab is ignored, because Hadoop puts a number there. Raises UsageError for a URI that does not name a
    chunk, and for an invalid key or value.
    """
    dataset_of = lru_cache(16)(_dataset)
    for line in lines:
        uri = line.rstrip("\n").rpartition("\t")[2]
        if uri:
            for key, value in mapper(*_chunk(dataset_of, uri)):
                yield f"{key}\t{value}\n"


def _dataset(uri: str) -> tuple[DatasetReader, dict[str, ChunkEntry]]:
    dataset = DatasetReader(uri)
    return dataset, {entry.path: entry for entry in dataset.index}


def _chunk(dataset_of: Callable[[str], Any], uri: str) -> tuple[DatasetReader, ChunkEntry]:
    root, folder, name = uri.rpartition(f"/{layout.DATA}/")
    if not folder and not uri.endswith(".chunk"):
        raise UsageError(f"{uri}: not the URI of a chunk; bams3 chunks --format uri lists them")
    if not folder:
        alone = LooseChunks([open_chunk(uri)])
        return alone, alone.index[0]
    dataset, entries = dataset_of(root)
    try:
        return dataset, entries[f"{layout.DATA}/{name}"]
    except KeyError:
        raise UsageError(f"{uri}: {root} has no such chunk; bams3 chunks --format uri lists them") from None


def counts(record_filter: RecordFilter) -> ChunkMapper:
    """Return a mapper that counts the records that pass a filter, by contig (`*`: without a position)."""

    def mapper(dataset: DatasetReader, entry: ChunkEntry) -> Mapped:
        placed = entry.reference_id != layout.UNPLACED
        name = dataset.references[entry.reference_id][0] if placed else "*"
        yield field(name), count(dataset.only([entry]), None, record_filter)

    return mapper


def own(function: Callable[[ChunkReader], Mapping[str, int | float]]) -> ChunkMapper:
    """Return a mapper that calls a user's function, which returns a mapping of keys to numbers for a chunk."""

    def mapper(dataset: DatasetReader, entry: ChunkEntry) -> Mapped:
        made = function(dataset.chunk(entry))
        if not isinstance(made, Mapping):
            raise UsageError(f"{made!r}: the function must return a mapping of keys to numbers")
        for key, number in made.items():
            if "\t" in str(key) or "\n" in str(key) or not isinstance(number, int | float):
                raise UsageError(
                    f"{key!r} → {number!r}: a key must not contain tabs or newlines, and its value must be a number"
                )
            yield key, number

    return mapper


def regions(options: CoverageOptions) -> ChunkMapper:
    """Return a mapper for the mean depth of windows or BED intervals.

    An interval belongs to the chunk with the last start at or before the start of the interval. Reads from other
    chunks are fetched as needed. The keys sort in genome order; the values are lines of mosdepth's regions file.
    """
    bed = read_intervals(str(options.by), warn) if options.window is None else {}

    @cache
    def intervals_of(name: str, length: int) -> Intervals:
        return bed.get(name, Intervals()) if options.window is None else windows(length, options.window)

    def mapper(dataset: DatasetReader, entry: ChunkEntry) -> Mapped:
        for reference_id, start, end in _share(dataset, entry):
            name, length = dataset.references[reference_id]
            chosen = intervals_of(name, length)
            first, last = (bisect_left(chosen.starts, at) for at in (start, end))
            if first == last:
                continue
            part = chosen[first:last]
            groups = dataset.depth_row_groups(
                reference_id, options.reads_from(part.starts[0]), max(part.ends)
            )
            values = region_values(groups, reference_id, length, part, options)
            for number, (begin, stop, label, value) in enumerate(
                zip(part.starts, part.ends, part.labels(), values, strict=True), first
            ):
                named = [field(label.decode(errors="surrogateescape"))] if label else []
                columns = [field(name), str(begin), str(stop), *named, f"{value:#.{options.decimals}f}"]
                yield f"{reference_id:07d}:{number:010d}", "\t".join(columns)

    return mapper


def _share(dataset: DatasetReader, entry: ChunkEntry) -> Iterator[tuple[int, int, int]]:
    """Yield the windows (reference id, start, end) from the start of a chunk to the start of the next chunk.

    The first chunk's windows begin at the start of the genome. The last window of a contig ends at FAR, so that it
    includes intervals past the end of the contig.
    """
    end_of_genome = (len(dataset.references), 0)

    def place(chunk: ChunkEntry) -> tuple[int, int]:
        return end_of_genome if chunk.reference_id == layout.UNPLACED else (chunk.reference_id, chunk.start)

    reference_id, start = (0, 0) if entry == dataset.index[0] else place(entry)
    following = bisect_right(dataset.index, place(entry), key=place)
    end = place(dataset.index[following]) if following < len(dataset.index) else end_of_genome
    while (reference_id, start) < end:
        stop = start + dataset.manifest.chunk_size
        last = stop >= dataset.references[reference_id][1]
        yield reference_id, start, FAR if last else stop
        reference_id, start = (reference_id + 1, 0) if last else (reference_id, stop)


def summed(lines: Iterable[str]) -> Iterator[str]:
    """Merge adjacent lines with the same key (everything before the last tab) into one line with the sum.

    A line whose key occurs only once is not changed. Raises UsageError for a line without a number.
    """
    for key, alike in groupby(map(_parted, lines), key=itemgetter(0)):
        first, *second = islice(alike, 2)
        values = (_number(value) for _, value in chain([first], second, alike))
        yield f"{key}\t{sum(values) if second else first[1]}\n"


def _parted(line: str) -> tuple[str, str]:
    key, tab, value = line.rstrip("\n").rpartition("\t")
    if not tab:
        raise UsageError(
            f"{line.rstrip()!r} is not a key, a tab and a number; give the output of bams3 mapper, sorted"
        )
    _number(value)
    return key, value


def _number(text: str) -> int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    raise UsageError(
        f"{text!r} is not a number; give lines of a key, a tab and a number, as bams3 mapper writes them"
    )
