"""Write a dataset again: with other windows, another level, fewer records or tags, or at another place.

A chunk is copied in its stored form if a conversion of its records would write the same. If only its level or its
encodings change, worker threads encode its row groups again, one by one. The records of other chunks are decoded, and
cut into row groups again as in a conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from bams3.bam.header import as_bytes, field_of
from bams3.bam.lossy import Loss
from bams3.bam.records import check_order
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.header import HeaderLines
from bams3.chunk.writer import stored_row_group
from bams3.codec import ENCODINGS
from bams3.dataset import layout, parts
from bams3.dataset.manifest import HASHED_PATHS, Counts, Manifest
from bams3.dataset.opening import open_reader
from bams3.dataset.plan import Plan
from bams3.dataset.prefetch import plan_all
from bams3.dataset.sums import Sums
from bams3.errors import FormatError, SourceError, UsageError
from bams3.operations.begin import begin, check_options, removed_after_an_error, warn_of_partial_header
from bams3.operations.convert import Conversion, Result
from bams3.operations.copying import copied, is_same
from bams3.operations.places import refuse_in_place
from bams3.operations.reread import reread
from bams3.operations.row_groups import ChunkKey, Task
from bams3.parallel.uploads import Uploads
from bams3.parallel.workers import Workers, watched, worker_count
from bams3.sources.lossy import with_qualities
from bams3.sources.messages import show
from bams3.storage import open_storage, uri_of

if TYPE_CHECKING:
    from bams3.bam.records import RecordBlock
    from bams3.bam.regions import Region
    from bams3.chunk.row_group import RowGroup
    from bams3.dataset.reader import DatasetReader


def rewrite(
    source: Any, dataset: Any, *, chunk_size: int | str | None = None, level: int | None = None,
    regions: Sequence[str] = (), regions_file: str | None = None, qualities: str | None = None,
    drop_tags: Sequence[str] = (), keep_tags: Sequence[str] = (), drop_read_groups: Sequence[str] = (),
    hash_paths: bool | None = None,
    workers: int | str = "auto", overwrite: bool = False, verify: bool = False,
    progress: Callable[[int], None] | None = None, expect: Callable[[int], None] | None = None,
) -> Manifest:  # fmt: skip
    """Write a dataset again, in the format of this version, as `convert` would write its records.

    What does not change is copied in its stored form. If an error occurs, no incomplete dataset can be opened.

    Parameters
    ----------
    source
        Path or URI of a dataset, or of a chunk; or a list of chunks of one dataset.
    dataset
        Path or URI of the dataset to write. It must differ from `source`.
    chunk_size
        Length of a window in bp, as for `convert`; by default that of the source.
    level
        Compression level, 1 (fast) to 9 (small); by default that of the source.
    regions
        Region strings. Only records that overlap one of them are written, as `Dataset.query` selects them. The header
            is not reduced.
    regions_file
        BED file whose intervals are used in the same way.
    qualities, drop_tags
        As for `convert`.
    keep_tags
        Names of the tags to keep. All others are dropped, except CG, which holds long CIGARs.
    drop_read_groups
        IDs of read groups whose records and @RG lines are dropped.
    hash_paths
        Whether the paths of chunks are hashed, as for `convert`; by default, as in the source.
    workers
        Number of threads, or "auto" for all available cores.
    overwrite
        Replace an existing dataset, as `convert` does.
    verify
        Before the dataset is committed, read it again and compare its records with those of the source.
    progress
        Called after each row group is read, with its number of bytes.
    expect
        Called once with the number of bytes that will be read, if it is known.

    Returns
    -------
    Manifest
        The manifest of the new dataset.

    Raises
    ------
    FormatError
        If the source is damaged.
    DatasetError
        If the source is not a dataset, or if the new dataset exists, unless `overwrite` allows it.
    UsageError
        If options are invalid or contradict each other.
    """
    given = [uri_of(each) for each in (source if isinstance(source, list | tuple) else [source])]
    refuse_in_place(given, uri_of(dataset))
    if drop_tags and keep_tags:
        raise UsageError("--drop-tags and --keep-tags cannot be combined; give one of them")
    loss = Loss.of(qualities, drop_tags, keep_tags, drop_read_groups)
    threads = worker_count(workers)
    reader = open_reader(given, prefetch=(layout.INDEX, layout.HEADER))
    _check_read_groups(reader, drop_read_groups)
    chosen = _regions(reader, regions, regions_file)
    if loss and loss.needs_neighbours and not (reader.is_whole and chosen is None):
        raise UsageError(
            f"{reader.uri}: --qualities {loss.qualities} needs all reads of each position: rewrite the whole dataset "
            "with it, then choose chunks or regions of the result"
        )
    header = loss.in_header(reader.header) if loss else reader.header
    told = reader.manifest
    size = told.chunk_size if chunk_size is None else layout.parse_size(chunk_size)
    level = told.level if level is None else level
    check_options(source, None, (), level)
    hash_paths = told.version == HASHED_PATHS if hash_paths is None else hash_paths
    lossy = loss.after(told.lossy) if loss else told.lossy
    plan = Plan.of(header, size, level, lossy, hash_paths=hash_paths)
    _warn(reader, loss)
    if expect and chosen is None:
        expect(sum(zone.hot + zone.cold for entry in reader.objects for zone in entry.zones))
    storage = open_storage(uri_of(dataset))
    with begin(storage, plan, header.text, None, overwrite=overwrite, resume=False) as (storage, there, plan):
        with removed_after_an_error(storage), Workers(threads) as pool:
            job = _Rewriting(
                Uploads(storage), plan, HeaderLines(header), pool, None, there, reader, loss, chosen
            )
            part = job.rewritten(progress)
            if verify:
                reread(storage, plan, part, pool)
        return parts.commit(storage, plan, [part])


def _warn(reader: DatasetReader, loss: Loss | None) -> None:
    """Print warnings about properties of the new dataset that a user may not expect."""
    if loss:
        show(reader.uri, f"{loss}: the records of the new dataset differ from those of the old one")
    warn_of_partial_header(reader)


def _check_read_groups(reader: DatasetReader, names: Iterable[str]) -> None:
    """Raise UsageError for a read group that occurs neither in the header nor in the records."""
    lines = [line.rstrip(b"\r") for line in reader.header.text.split(b"\n") if line.startswith(b"@RG\t")]
    known = {field_of(line, b"ID") for line in lines}
    if sums := reader.manifest.sums:
        known.update(sums.groups)
    for name in names:
        if as_bytes(name) not in known:
            raise UsageError(
                f"{reader.uri}: no read group {name!r}; bams3 query -H prints the header, which lists them"
            )


def _regions(reader: DatasetReader, texts: Sequence[str], bed: str | None) -> Sequence[Region] | None:
    from bams3.bam.regions import parse_regions, read_bed

    if texts and bed is not None:
        raise UsageError("--region and -L cannot be combined; give one of them")
    if bed is not None:
        return read_bed(bed, reader.references)
    return parse_regions(texts, reader.references) if texts else None


class _Job(NamedTuple):
    """A row group to read.

    `intervals`: intervals that its records must overlap; None to keep all. `key`: the key of its chunk if the chunk
    keeps its row groups; None if its records are cut into row groups again.
    """

    group: RowGroup
    intervals: Any
    key: ChunkKey | None


class _Read(NamedTuple):
    """A row group that is kept (`group`), or its records and the place of the last one.

    `size`: number of stored bytes.
    """

    key: ChunkKey | None
    size: int
    group: RowGroup | None = None
    block: RecordBlock | None = None
    place: tuple[int, int] = (0, -1)


@dataclass
class _Rewriting(Conversion):
    """A conversion of a dataset's records."""

    reader: DatasetReader
    loss: Loss | None
    regions: Sequence[Region] | None

    def __post_init__(self) -> None:
        told = self.reader.manifest
        self.same = self.reader.is_whole and self.regions is None and not self.loss
        self.told = (told.counts, told.sums) if self.same and told.sums is not None else None
        """The counts and sums of the records, if the manifest has them and they do not change; else None."""

    def rewritten(self, progress: Callable[[int], None] | None) -> parts.Part:
        """Write the chunks, and return the part that lists them."""
        if self.told and is_same(self.reader, self.plan):
            return self._whole(list(copied(self.reader, self.reader.objects, self, progress)), *self.told)
        jobs = self.reader.fetched(self._jobs(), plan_all)
        found = self.workers.map(self._read, jobs, ahead=self.workers.count // 2)  # each has up to 32 MiB
        part = self.encode(self._tasks(watched(found, attrgetter("size"), progress)))
        return self._whole(part.chunks, *(self.told or (part.counts, part.sums)))

    def _whole(self, chunks: list[ChunkEntry], counts: Counts, sums: Sums | None) -> parts.Part:
        """Return the part that has all chunks."""
        windows, truncated = list(self.plan.grid.runs()), self.reader.manifest.truncated
        return parts.Part(windows, chunks, counts, truncated=truncated, sums=sums)

    def _jobs(self) -> Iterator[_Job]:
        """Yield the row groups to read, in order.

        None is kept here, because they take much memory once they are decoded.
        """
        reader, staying = self.reader, self._staying_chunks()
        if reader.is_whole and self.regions is None:
            for entry in reader.objects:
                job = partial(_Job, intervals=None, key=staying.get(entry.path))
                yield from map(job, reader.stored_chunk(entry).stored_row_groups)
            return
        from bams3.select.query import RecordFilter, inside, row_group_jobs

        jobs = row_group_jobs(reader, self.regions, RecordFilter())
        for chunk, of_chunk in groupby(jobs, key=lambda job: job[0].chunk):
            chosen = list(of_chunk)
            is_whole = len(chosen) == len(chunk.zones) and all(inside(*job) for job in chosen)
            key = staying.get(chunk.path) if is_whole and not chunk.contigs else None
            chosen.reverse()
            while chosen:
                yield _Job(*chosen.pop(), key)

    def _staying_chunks(self) -> dict[str, ChunkKey]:
        """Return the chunks that keep their row groups if all of their records are kept: their keys by path."""
        if self.loss or not self.reader.is_whole or self.reader.manifest.chunk_size != self.plan.chunk_size:
            return {}
        keys = {entry.path: (entry.reference_id, entry.start) for entry in self.reader.objects}
        before, after = self.reader.grid, self.plan.grid
        return {path: key for path, key in keys.items() if before.path(*key) == after.path(*key)}

    def _read(self, job: _Job) -> _Read:
        """Decode, check and reduce the records of a row group, unless it is kept."""
        group, intervals, key = job
        size = group.zone.hot + group.zone.cold
        if key is not None:
            return _Read(key, size, group)
        block, place = self._decoded(group)
        if intervals is not None:
            from bams3.select.kernels import kept_records
            from bams3.select.query import RecordFilter, matches

            mask = matches(group, intervals, RecordFilter(), self.reader)
            block = block if mask is None else kept_records(block, mask)
        return _Read(None, size, None, self.loss.applied(block) if self.loss else block, place)

    def _decoded(self, group: RowGroup) -> tuple[RecordBlock, tuple[int, int]]:
        """Return the records of a row group, and the place of the last one. Raises FormatError if they are invalid."""
        block = group.valid_block(len(self.plan.references))
        try:
            return block, check_order(block, references=self.reader.references)
        except SourceError as error:
            raise FormatError(f"{group.name}: invalid records: {error}") from error

    def _tasks(self, found: Iterable[_Read]) -> Iterator[Task]:
        """Yield the row groups to write."""
        for key, run in groupby(found, key=lambda read: read.key):
            if key is None:
                blocks = self._in_order(run)
                yield from self.cut(
                    with_qualities(blocks, self.loss, self.workers.map) if self.loss else blocks
                )
                continue
            for number, read in enumerate(run):
                yield Task(key, number, read.size, [], read.group)

    def _in_order(self, found: Iterable[_Read]) -> Iterator[RecordBlock]:
        """Yield blocks of records. Raises FormatError if they are out of order across row groups."""
        place = (0, -1)
        for read in found:
            assert read.block is not None
            try:
                check_order(read.block[:1], *place, references=self.reader.references)
            except SourceError as error:
                raise FormatError(f"{self.reader.uri}: invalid records: {error}") from error
            place = read.place
            yield read.block

    def compressed(self, task: Task) -> Result:
        """Return a row group, copied or encoded."""
        if (group := task.stored) is None:
            return super().compressed(task)
        footer = group.chunk.footer
        if (footer.level, footer.encodings) != (self.plan.level, ENCODINGS):
            return self.encoded(task, self._decoded(group)[0])
        counts, sums = self.tallied(None if self.told else self._decoded(group)[0], task.key[0])
        copied = stored_row_group(group, self.reader.tiles_of(group))
        group.spans.clear()  # release the fetched bytes
        return Result(task.key, copied, counts, sums)

    def tallied(self, block: Any, reference_id: int) -> tuple[Counts, Sums]:
        """Count and sum records, unless their counts and sums are known."""
        return (Counts.zero(), Sums.zero()) if self.told else super().tallied(block, reference_id)
