"""Verification of a dataset: every checksum, count and window, and every record if the source is given."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import accumulate, pairwise, zip_longest
from typing import Any

from bams3.bam.records import walk
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.footer import MAGIC, MAGICS
from bams3.chunk.header import HeaderLines
from bams3.chunk.row_group import RowGroup, StoredChunk
from bams3.chunk.tiles import tiles_of
from bams3.codec import EARLIER_ENCODINGS, joined
from bams3.codec.encoder import encode
from bams3.dataset import layout
from bams3.dataset.hashes import unvouched
from bams3.dataset.manifest import Counts
from bams3.dataset.prefetch import plan_all
from bams3.dataset.reader import DatasetReader
from bams3.dataset.sums import Sums
from bams3.dataset.tiles import WRONG_TILES
from bams3.errors import FormatError, SourceError, UsageError
from bams3.operations.row_groups import cut_row_groups, ends_row_group, is_full
from bams3.parallel.workers import Workers, in_order
from bams3.storage import uri_of


def verify(
    dataset: DatasetReader, against: Any = None, *, workers: int = 1, reference: str | None = None,
    progress: Callable[[int], None] | None = None, strict: bool = False,
) -> Iterator[str]:  # fmt: skip
    """Yield one line for each problem of a dataset; none if it is intact.

    Parameters
    ----------
    dataset
        The dataset, or chunks of one.
    against
        A source whose records are compared with those of the dataset, if given.
    workers
        Number of threads.
    reference
        FASTA file of a CRAM source.
    progress
        Called with the number of records of each row group.
    strict
        Also compare every object with its SHA-256, and report objects that do not belong to the dataset.

    Raises
    ------
    FormatError
        If the dataset can't be read at all.
    UsageError
        If single chunks are given, and the options need the whole dataset.
    """
    if strict:
        yield from _unvouched(dataset, workers)
    total, sums, last = Counts.zero(), Sums.zero(), None
    lines = cache(lambda: HeaderLines(dataset.header))  # once, and only if it is needed
    for problems, counts, summed in in_order(
        lambda job: _check(dataset, job, lines), _arriving(dataset), workers
    ):
        for problem in problems:
            if problem != last:  # an unreadable footer is reported by each of its row groups
                yield problem
            last = problem
        total.add(counts)
        sums.add(summed)
        if progress:
            progress(counts.passed[0] + counts.failed[0])
    if last is None and dataset.is_whole and total != dataset.counts:
        yield f"{dataset.uri}: the counts in {layout.METADATA} do not match the records"
    if last is None and dataset.manifest.sums not in (None, sums):
        yield f"{dataset.uri}: the sums in {layout.METADATA} do not match the records"
    yield from _check_layout(dataset)
    if against is not None:
        yield from _compare(dataset, uri_of(against), workers, reference)


def _unvouched(dataset: DatasetReader, workers: int) -> Iterator[str]:
    if not dataset.is_whole:
        raise UsageError(
            f"{dataset.uri}: the SHA-256 of a chunk is in the dataset's index; give the dataset to verify --strict"
        )
    with Workers(workers) as pool:
        yield from unvouched(dataset, pool.map)


Job = tuple[RowGroup, ChunkEntry]


def _arriving(dataset: DatasetReader) -> Iterator[Job | FormatError]:
    """Yield all row groups, prefetched if the dataset is remote. For a chunk that can't be fetched, yield the error."""
    left = deque(dataset.objects)
    while left:
        try:
            for group, entry in dataset.fetched(_jobs(dataset, list(left)), plan_all):
                yield group, entry
                if group.number == sum(1 for zone in entry.zones if zone.hot) - 1:
                    left.popleft()
        except FormatError as error:
            yield error
            left.popleft()


def _jobs(dataset: DatasetReader, entries: Iterable[ChunkEntry]) -> Iterator[Job]:
    for entry in entries:
        for group in dataset.stored_chunk(entry).stored_row_groups:
            if group.number == 0:
                group.cold = (0, sum(group.cold))  # includes the magic number
            yield group, entry


def _check(
    dataset: DatasetReader, job: Job | FormatError, lines: Callable[[], HeaderLines]
) -> tuple[list[str], Counts, Sums]:
    nothing, problems = (Counts.zero(), Sums.zero()), []
    if isinstance(job, FormatError):
        return [str(job)], *nothing
    group, entry = job
    try:
        if group.number == 0:
            problems += _check_chunk(dataset, entry, group, lines)
        block, _ = walk(group.stored_block().data, _references_of(dataset, group))
        problems += _check_row_group(dataset, entry, group, block)
    except FormatError as error:
        return [*problems, str(error)], *nothing
    except SourceError as error:
        return [*problems, f"{group.name}: invalid records: {error}"], *nothing
    reference_id = None if entry.contigs else entry.reference_id
    return problems, Counts.of_block(block, reference_id), Sums.of_block(block)


def _references_of(dataset: DatasetReader, group: RowGroup) -> int:
    """Return the number of references that the stored ids of a row group refer to, as far as it is known."""
    if dataset.is_whole:
        return len(dataset.references)
    return 1 + max((reference for reference, _, _ in group.chunk.footer.references), default=-1)


def _check_header(
    dataset: DatasetReader, chunk: StoredChunk, lines: Callable[[], HeaderLines]
) -> Iterator[str]:
    """Yield a problem if the header lines in a chunk's footer are not those that the dataset's header gives it."""
    footer = chunk.footer
    if footer.header is None or not dataset.is_whole:
        return
    if footer.dataset != dataset.manifest.header_id:  # it has an earlier header, which is not kept
        return
    expected = lines().kept(
        [reference for reference, _, _ in footer.references],
        {name for group in footer.row_groups for name in group.read_groups},
        (name for group in chunk.stored_row_groups for name in group.text_values("PG")),
        len(MAGIC) + sum(zone.hot + zone.cold for zone in footer.zones),
    )
    if footer.header_text != expected:
        yield f"{chunk.name}: its header lines do not match the dataset's header"


def _check_chunk(
    dataset: DatasetReader, entry: ChunkEntry, first: RowGroup, lines: Callable[[], HeaderLines]
) -> list[str]:
    """Return the problems of a chunk as a whole. Raises FormatError if its footer is damaged or does not match the
    index."""
    chunk, problems = first.chunk, []
    _ = chunk.footer
    first.load()
    if next(span for span in first.spans if span.has(0, len(MAGIC))).cut(0, len(MAGIC)) not in MAGICS:
        problems.append(f"{chunk.name}: the magic number at the start is missing")
    problems += _check_header(dataset, chunk, lines)
    following = entry.zones[1:]
    if entry.contigs:
        return [*problems, *_check_ends(chunk)]
    if entry.reference_id == layout.UNPLACED and entry != dataset.index[-1] and dataset.is_whole:
        following.append(entry.zones[-1])  # check the last row group as if another one followed
        if len(following) != layout.UNPLACED_ROW_GROUPS:
            problems.append(f"{chunk.name}: it should have {layout.UNPLACED_ROW_GROUPS} row groups")
    for number, (zone, after) in enumerate(zip(entry.zones, following, strict=False)):
        if not ends_row_group(entry.reference_id, zone, after):
            problems.append(f"{chunk.name}: row group {number} ends too early")
    return problems


def _check_ends(chunk: StoredChunk) -> Iterator[str]:
    """Yield a problem for each row group that ends too early, in a chunk that contigs share."""
    for number, (group, after) in enumerate(pairwise(chunk.footer.row_groups)):
        ends = group.contigs[-1][0] != after.contigs[0][0] and group.zone.records >= layout.SHARED_ROW_GROUP
        if not ends and not is_full(group.zone):
            yield f"{chunk.name}: row group {number} ends too early"


def _check_row_group(dataset: DatasetReader, entry: ChunkEntry, group: RowGroup, block: Any) -> list[str]:
    """Return the problems of a row group: encode its records (`block`) again, and compare the results."""
    problems = []
    told = group.entry
    encodings = group.chunk.footer.encodings
    level = dataset.manifest.level
    zone: Any
    if entry.contigs:
        streams, zone, references, read_groups = joined.encode(block, _lengths(group), level, encodings)
        is_wrong = [list(contig) for contig in zone] != told.contigs
    else:
        streams, zone, references, read_groups = encode(block, group.stored_reference_id, level, encodings)
        # The sizes of streams are checked with the footer.
        without_streams = told.zone._replace(hot=0, cold=0)
        is_wrong = zone != without_streams
    if is_wrong:
        problems.append(f"{group.name}: its zone map is wrong")
    tiles = dataset.tiles_of(group)
    if tiles is not None and not entry.contigs and tiles != tiles_of(block):
        problems.append(f"{group.name}: {WRONG_TILES}")
    if (references, read_groups) != (told.references, told.read_groups):
        problems.append(f"{group.name}: its lists of references or read groups do not match its records")
    earlier = _streams_of_earlier_encodings(group)
    names = sorted(name for name in streams.keys() | told.streams.keys() if not name.startswith(earlier))
    if wrong := [name for name in names if bytes(streams.get(name, b"")) != bytes(group.stream(name))]:
        problems.append(f"{group.name}: streams that do not match its records: {', '.join(map(repr, wrong))}")
    if entry.reference_id != layout.UNPLACED and not _is_sorted(group):
        problems.append(f"{group.name}: records are out of order")
    elif len(list(_cut_again(dataset, entry, group, block))) > 1:
        problems.append(f"{group.name}: it is larger than a row group may be")
    return problems


def _is_sorted(group: RowGroup) -> bool:
    """Tell whether the positions of a row group ascend, in each contig that shares it."""
    pos = group.pos
    ends = accumulate((contig[1] for contig in group.entry.contigs), initial=0)
    for start, end in pairwise(ends) if group.entry.contigs else [(0, len(pos))]:
        if any(a > b for a, b in pairwise(pos[start:end])):
            return False
    return True


def _streams_of_earlier_encodings(group: RowGroup) -> tuple[str, ...]:
    """Return the prefixes of streams that this version encodes differently. (The records in them are still checked.)"""
    encodings = group.chunk.footer.encodings
    return tuple(
        prefix for field, earlier in EARLIER_ENCODINGS.items() for prefix in earlier.get(encodings[field], ())
    )


def _cut_again(dataset: DatasetReader, entry: ChunkEntry, group: RowGroup, block: Any) -> Iterator[Any]:
    """Yield the row groups into which the records of a row group would be cut now."""
    shared = {contig[0]: entry.reference_id for contig in group.entry.contigs}
    return cut_row_groups([block], dataset.manifest.chunk_size, _lengths(group), shared)


def _lengths(group: RowGroup) -> dict[int, int]:
    return {reference: length for reference, _, length in group.chunk.footer.references}


def _check_layout(dataset: DatasetReader) -> Iterator[str]:
    try:
        _ = dataset.header
    except FormatError as error:
        yield str(error)


def _compare(dataset: DatasetReader, source: str, workers: int, reference: str | None) -> Iterator[str]:
    from bams3.select.query import RecordFilter, query
    from bams3.sources.bam import open_source
    from bams3.sources.lossy import with_loss

    if not dataset.is_whole:
        raise UsageError(f"{dataset.uri}: a chunk can't be compared with a whole source; give the dataset")
    allowed = dataset.manifest.truncated or None
    with open_source(source, reference=reference, allow_truncated=allowed) as given:
        opened = with_loss(given, dataset.manifest.lossy)
        if opened.header != dataset.header:
            yield f"{opened.path}: its header differs from the dataset's"
        ours = _records(query(dataset, None, RecordFilter(), workers))
        theirs = _records(opened.blocks())
        for number, (mine, other) in enumerate(zip_longest(ours, theirs), 1):
            if mine != other:
                yield _difference(opened.path, number, mine, other)
                return


def _records(blocks: Iterable[Any]) -> Iterator[bytes]:
    for block in blocks:
        view, offsets = memoryview(block.data), block.offsets
        for start, end in pairwise(offsets):
            yield bytes(view[start:end])


def _difference(source: str, number: int, mine: bytes | None, other: bytes | None) -> str:
    def name(record: bytes) -> str:
        return record[36 : 35 + record[12]].decode("utf-8", "backslashreplace")

    if other is None:
        return f"{source}: has only {number - 1} records; the dataset has more"
    if mine is None:
        return f"{source}: record {number} ({name(other)}) is not in the dataset, which has {number - 1}"
    return f"{source}: record {number} ({name(other)}) differs from the dataset's ({name(mine)})"
